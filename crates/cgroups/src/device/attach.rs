//! Loading a device program and putting it on a cgroup.

use std::path::Path;

use nix::errno::Errno;
use orlop_sys::Fd;
use orlop_sys::bpf::{Program, attached};

use super::DeviceProgram;
use crate::dir::Dir;
use crate::error::{Error, Result};

/// More programs than this cannot be attached to one cgroup (`BPF_CGROUP_MAX_PROGS`).
const MOST: usize = 64;
const LOG: usize = 64 * 1024;

impl DeviceProgram {
    /// Loads the program and attaches it to a cgroup that has none.
    pub(crate) fn attach(&self, cgroup: &Dir) -> Result<()> {
        let program = self.load(cgroup.path())?;
        program.attach(Fd::of(cgroup)).map_err(|e| failed("BPF_PROG_ATTACH", cgroup.path(), e, ""))
    }

    /// Loads the program and puts it in the place of those that are attached to the cgroup.
    ///
    /// One old program, the usual case, is replaced in one step. Otherwise the new one is attached before the old
    /// ones go: since all attached programs must allow an access, nothing is allowed meanwhile that neither allows.
    pub(crate) fn replace(&self, cgroup: &Dir) -> Result<()> {
        let fd = Fd::of(cgroup);
        let mut ids = [0; MOST];
        let count = attached(fd, &mut ids).map_err(|e| failed("BPF_PROG_QUERY", cgroup.path(), e, ""))?;
        let mut old = Vec::new();
        for id in &ids[..count] {
            match Program::from_id(*id) {
                Ok(program) => old.push(program),
                // A security module may hide a program of others. It can only forbid more.
                Err(e)
                    if matches!(Errno::from_raw(e.errno()), Errno::EPERM | Errno::EACCES | Errno::ENOENT) => {
                }
                Err(e) => return Err(failed("BPF_PROG_GET_FD_BY_ID", cgroup.path(), e, "")),
            }
        }
        let new = self.load(cgroup.path())?;
        if let [only] = old.as_slice() {
            match new.replace(fd, only) {
                Ok(()) => return Ok(()),
                // Linux before 5.6 does not know how.
                Err(e) if e.errno() == Errno::EINVAL as i32 => {}
                Err(e) => return Err(failed("BPF_PROG_ATTACH (replace)", cgroup.path(), e, "")),
            }
        }
        new.attach(fd).map_err(|e| failed("BPF_PROG_ATTACH", cgroup.path(), e, ""))?;
        for program in old {
            program.detach(fd).map_err(|e| failed("BPF_PROG_DETACH", cgroup.path(), e, ""))?;
        }
        Ok(())
    }

    /// Loads; after a failure once more, to learn what the verifier has against it.
    fn load(&self, path: &Path) -> Result<Program> {
        Program::load_cgroup_device(self.instructions(), &mut []).map_err(|first| {
            let mut log = vec![0; LOG];
            let again = Program::load_cgroup_device(self.instructions(), &mut log);
            let text = log.split(|b| *b == 0).next().unwrap_or_default();
            let text = if again.is_err() { String::from_utf8_lossy(text) } else { "".into() };
            failed("BPF_PROG_LOAD", path, first, text.trim())
        })
    }
}

fn failed(call: &'static str, path: &Path, error: orlop_sys::Error, log: &str) -> Error {
    let errno = Errno::from_raw(error.errno());
    let hint = match errno {
        Errno::EPERM => {
            "device rules need CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN, in the initial user namespace"
        }
        Errno::ENOSYS => "this kernel has no bpf(2): CONFIG_BPF_SYSCALL",
        Errno::EINVAL => "this kernel may lack CONFIG_CGROUP_BPF",
        _ => "",
    };
    Error::Device { call, path: path.into(), errno, log: log.into(), hint }
}
