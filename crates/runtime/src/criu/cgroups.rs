//! What CRIU has to know of cgroups.

use std::path::{Path, PathBuf};

use orlop_cgroups::Layout;

use super::{Message, opt, pair};
use crate::error::{Doing, Result};
use crate::store::StateDir;

/// A directory in which CRIU finds the cgroup hierarchies by name. Dropping it removes what was made for it.
///
/// Without one it mounts them itself, and mounting a cgroup2 file system without its options takes `nsdelegate` and
/// `memory_recursiveprot` from the host's (<https://github.com/checkpoint-restore/criu/issues/3029>).
#[derive(Debug)]
pub(crate) struct Yard<'a> {
    path: Option<PathBuf>,
    made_in: Option<&'a StateDir>,
}

/// What CRIU calls the hierarchy of version 2.
const UNIFIED: &str = "unified";

impl<'a> Yard<'a> {
    /// The directory where the host has them, if they have CRIU's names there; else, where there is only version 2, the
    /// state directory, with a link. `None` for hosts with version 1 hierarchies in other places.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`](crate::Error::Kernel).
    pub(crate) fn make(layout: &Layout, dir: &'a StateDir) -> Result<Self> {
        let Some(unified) = &layout.unified else { return Ok(Self { path: None, made_in: None }) };
        if layout.v1.is_empty() {
            dir.link(UNIFIED, &unified.mount)?;
            return Ok(Self { path: Some(dir.path().to_owned()), made_in: Some(dir) });
        }
        let at_host = unified.mount.parent().map(Path::to_owned);
        let file = "/proc/self/cgroup";
        let text = std::fs::read_to_string(file).doing(|| format!("read {file}"))?;
        let path = at_host.filter(|path| names(&text).all(|(_, name, _)| path.join(name).is_dir()));
        Ok(Self { path, made_in: None })
    }

    pub(crate) fn tell(&self, opts: &mut Message) {
        if let Some(path) = &self.path {
            opts.text(opt::CGROUP_YARD, std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()));
        }
    }
}

impl Drop for Yard<'_> {
    fn drop(&mut self) {
        if let Some(dir) = self.made_in {
            dir.remove_link(UNIFIED).ok();
        }
    }
}

/// For restoring: the cgroups of the process that restores are those of the container, whatever they were called.
///
/// # Errors
///
/// [`Error::Kernel`](crate::Error::Kernel).
pub(crate) fn roots(opts: &mut Message, pid: i32) -> Result<()> {
    let file = format!("/proc/{pid}/cgroup");
    let text = std::fs::read_to_string(&file).doing(|| format!("read {file}"))?;
    for (controllers, _, path) in names(&text) {
        opts.message(opt::CG_ROOT, &pair(controllers, path));
    }
    Ok(())
}

/// Controllers, the name of the directory for them, and path of each line of `/proc/PID/cgroup`
/// ([cgroups(7)](https://man7.org/linux/man-pages/man7/cgroups.7.html)).
fn names(text: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    text.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let name = controllers.strip_prefix("name=").unwrap_or(controllers);
        Some((controllers, if name.is_empty() { UNIFIED } else { name }, path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_known_by_name() {
        let text = "4:cpu,cpuacct:/a\n1:name=systemd:/b:c\n0::/d\n";
        let all: Vec<_> = names(text).collect();
        let expected =
            [("cpu,cpuacct", "cpu,cpuacct", "/a"), ("name=systemd", "systemd", "/b:c"), ("", "unified", "/d")];
        assert_eq!(all, expected);
    }
}
