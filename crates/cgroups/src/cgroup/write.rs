//! Writing settings into a cgroup.

use nix::errno::Errno;

use super::Cgroup;
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::layout::Hierarchy;
use crate::setting::{Above, Absent, Setting};

impl Cgroup {
    /// Writes settings in order, and those that the kernel finds contradicting others once more at the end.
    pub(super) fn apply(&self, settings: &[Setting]) -> Result<()> {
        self.check(settings)?;
        let mut again = Vec::new();
        for setting in settings {
            match self.write(setting) {
                Err(Error::Write { errno: Errno::EINVAL, .. }) => again.push(setting),
                other => other?,
            }
        }
        again.into_iter().try_for_each(|setting| self.write(setting))
    }

    /// Whether more is used already than one of the settings allows, where the config wants to know before
    /// (`checkBeforeUpdate`).
    ///
    /// # Errors
    /// [`Error::BelowUsage`].
    pub fn check(&self, settings: &[Setting]) -> Result<()> {
        settings.iter().try_for_each(|setting| self.check_usage(setting))
    }

    fn write(&self, setting: &Setting) -> Result<()> {
        let dir = self.dir_of(setting)?;
        let (file, value, errno) = match (dir.write(&setting.file, &setting.value), &setting.absent) {
            (Ok(()), _) | (Err(Errno::ENOENT), Absent::Skip) => return Ok(()),
            (Err(Errno::ENOENT), Absent::Instead { file, value }) => match dir.write(file, value) {
                Ok(()) => return Ok(()),
                Err(errno) => (*file, value, errno),
            },
            (Err(errno), _) => (&*setting.file, &setting.value, errno),
        };
        Err(Error::Write {
            path: dir.join(file),
            value: value.clone(),
            errno,
            origin: setting.origin.to_string(),
            hint: hint(file, errno),
        })
    }

    /// The directory that a setting goes to.
    pub(super) fn dir_of(&self, setting: &Setting) -> Result<&Dir> {
        if setting.hierarchy == Hierarchy::V2 {
            return Ok(&self.v2);
        }
        let v1 = self.v1.iter().find(|v1| v1.controllers.contains(setting.controller));
        v1.map(|v1| &v1.dir).ok_or_else(|| Error::NoHierarchy {
            file: setting.file.to_string(),
            value: setting.value.clone(),
            controller: setting.controller,
        })
    }

    fn check_usage(&self, setting: &Setting) -> Result<()> {
        let Some(Above { usage, limit, of }) = setting.above else { return Ok(()) };
        let dir = self.dir_of(setting)?;
        // As in runc: where there is no usage to compare with, there is nothing to object to.
        let text = dir.read_if_there(usage).ok().flatten();
        match text.and_then(|text| text.trim().parse::<u64>().ok()) {
            Some(usage) if limit <= usage => {
                let path = dir.join(&*setting.file);
                Err(Error::BelowUsage { path, of, limit, usage, origin: setting.origin.to_string() })
            }
            _ => Ok(()),
        }
    }
}

/// What an errno of a file usually means.
fn hint(file: &str, errno: Errno) -> &'static str {
    match (file, errno) {
        (_, Errno::EACCES | Errno::EPERM) => "run as root, or in a cgroup that is delegated to you",
        (_, Errno::EROFS) => "the cgroup file system is mounted read-only here",
        ("io.weight", Errno::ENOENT) => {
            "weights need the BFQ scheduler or io.cost (CONFIG_BLK_CGROUP_IOCOST)"
        }
        ("memory.swap.max" | "memory.memsw.limit_in_bytes", Errno::ENOENT) => {
            "swap is not accounted: boot with swapaccount=1, or leave out linux.resources.memory.swap"
        }
        (_, Errno::ENOENT) => "this kernel has no such file",
        ("memory.limit_in_bytes", Errno::EBUSY) => {
            "the container uses more than that and it cannot be reclaimed"
        }
        ("cpuset.cpus" | "cpuset.mems", Errno::EINVAL | Errno::ENODEV) => {
            "the list must be within that of the parent cgroup"
        }
        ("cpu.rt_runtime_us", Errno::EINVAL) => "the parents must have realtime bandwidth to give",
        ("io.max" | "io.bfq.weight" | "io.weight", Errno::ENODEV) => "no such block device",
        (_, Errno::EINVAL | Errno::ERANGE) => "the kernel does not take this value",
        _ => "",
    }
}
