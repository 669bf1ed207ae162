//! What the kernel is told of a server: which cgroup it counts for, how dear it is, and whom it shares a core with.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};

use orlop_cgroups::Layout;

use crate::stdio::failed;
use crate::ttrpc::{Code, Failure, Result};

/// Puts the server into a cgroup (`ShimCgroup`), in every hierarchy that has it.
///
/// # Errors
///
/// There is no such cgroup: whoever asks for one knows its limits, and makes it.
pub(crate) fn join_cgroup(path: &str, server: u32) -> Result<()> {
    let named = |why: &str| Failure::new(Code::InvalidArgument, format!("ShimCgroup {path:?}: {why}"));
    let inner: PathBuf = Path::new(path).components().filter(|part| *part != Component::RootDir).collect();
    if inner.components().any(|part| !matches!(part, Component::Normal(_))) {
        return Err(named("no path of a cgroup"));
    }
    let layout = Layout::detect().map_err(failed("find the cgroups"))?;
    let unified = layout.unified.iter().map(|unified| &unified.mount);
    let mounts = unified.chain(layout.v1.iter().map(|v1| &v1.mount));
    let found: Vec<_> = mounts.map(|mount| mount.join(&inner)).filter(|dir| dir.is_dir()).collect();
    if found.is_empty() {
        return Err(named("there is no such cgroup; it has to be made before"));
    }
    for directory in found {
        let file = directory.join("cgroup.procs");
        fs::write(&file, server.to_string())
            .map_err(failed(format!("ShimCgroup: write {}", file.display())))?;
    }
    Ok(())
}

/// Lets the kernel rather end the server than containerd: one more than our own score, which is containerd's.
pub(crate) fn adjust_score(server: u32) -> io::Result<()> {
    let own = fs::read_to_string("/proc/self/oom_score_adj")?;
    let score = own.trim().parse::<i32>().unwrap_or(0).saturating_add(1).min(1000);
    let mut file = File::options().write(true).open(format!("/proc/{server}/oom_score_adj"))?;
    file.write_all(score.to_string().as_bytes())
}

/// Lets no process but those of this server and its containers run beside them on a core, if containerd wants that
/// (`SCHED_CORE`). The server inherits it.
///
/// # Errors
///
/// The kernel cannot do it.
pub(crate) fn own_cores() -> Result<()> {
    match orlop_sys::sched::own_cores() {
        // No core has several threads to share.
        Err(e) if e.is(libc::ENODEV) => Ok(()),
        done => done.map_err(failed("SCHED_CORE: keep others off our cores (CONFIG_SCHED_CORE)")),
    }
}
