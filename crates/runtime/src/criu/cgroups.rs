//! What CRIU has to know of cgroups.

use std::path::{Path, PathBuf};

use orlop_cgroups::Layout;

use super::{Message, opt, pair};
use crate::error::{Doing, Result};

/// A directory in which CRIU finds the cgroup hierarchies by name, and the mounts that it takes.
///
/// Without one it mounts them itself, and mounting a cgroup2 file system without its options takes `nsdelegate` and
/// `memory_recursiveprot` from the host's (<https://github.com/checkpoint-restore/criu/issues/3029>).
#[derive(Debug, Default)]
pub(crate) struct Yard {
    path: Option<PathBuf>,
    pub(crate) mounts: Vec<(Option<PathBuf>, PathBuf)>,
}

/// What CRIU calls the hierarchy of version 2.
const UNIFIED: &str = "unified";

impl Yard {
    /// The directory where the host has them, if they have CRIU's names there; else, where there is only version 2, one of
    /// CRIU's own: a tmpfs that only CRIU sees, over a directory of the container's that CRIU has no use for. None for
    /// hosts with version 1 hierarchies in other places.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`](crate::Error::Kernel).
    pub(crate) fn find(layout: &Layout, cover: &Path) -> Result<Self> {
        let Some(unified) = &layout.unified else { return Ok(Self::default()) };
        if layout.v1.is_empty() {
            let inside = cover.join(UNIFIED);
            let mounts = vec![(None, cover.to_owned()), (Some(unified.mount.clone()), inside)];
            return Ok(Self { path: Some(cover.to_owned()), mounts });
        }
        let at_host = unified.mount.parent().map(Path::to_owned);
        let file = "/proc/self/cgroup";
        let text = std::fs::read_to_string(file).doing(|| format!("read {file}"))?;
        let path = at_host.filter(|path| names(&text).all(|(_, name, _)| path.join(name).is_dir()));
        Ok(Self { path, mounts: Vec::new() })
    }

    pub(crate) fn tell(&self, opts: &mut Message) {
        if let Some(path) = &self.path {
            opts.text(opt::CGROUP_YARD, std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()));
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
