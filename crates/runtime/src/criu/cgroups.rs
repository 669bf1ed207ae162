//! What CRIU has to know of cgroups.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use orlop_cgroups::Layout;

use super::{CriuError, Message, opt, pair};
use crate::error::{Doing, Result};
use crate::options::CgroupsMode;

/// What CRIU calls the hierarchy of version 2.
const UNIFIED: &str = "unified";

/// Mounts that only CRIU sees: what, or a new tmpfs, and where.
pub(crate) type Mounts = Vec<(Option<PathBuf>, PathBuf)>;

/// Tells CRIU how far it takes care of cgroups. Where there are hierarchies of version 1, not at all: the container has
/// none of its own in some of them, and CRIU would save the host's and make them again. Then all processes are in the
/// container's cgroup afterwards.
///
/// Where it does, it wants a directory with the hierarchies in it. Without one it mounts them itself, and mounting a
/// cgroup2 file system without its options takes `nsdelegate` and `memory_recursiveprot` from the host's
/// (<https://github.com/checkpoint-restore/criu/issues/3029>). So it gets one: a tmpfs over `cover`, a directory that
/// CRIU has no use for.
///
/// # Errors
///
/// [`CriuError::Unable`].
pub(crate) fn manage(
    opts: &mut Message,
    asked: Option<CgroupsMode>,
    layout: &Layout,
    cover: &Path,
) -> Result<Mounts> {
    let whole = layout.unified.as_ref().filter(|_| layout.v1.is_empty());
    let mode = match (asked, whole) {
        (None, Some(_)) => CgroupsMode::Soft,
        (None, None) => CgroupsMode::Ignore,
        (Some(mode), Some(_)) | (Some(mode @ CgroupsMode::Ignore), None) => mode,
        (Some(_), None) => {
            let what = "--manage-cgroups-mode: on a host with cgroups of version 1, CRIU would save the host's; only \
                        \"ignore\" is possible";
            return Err(CriuError::Unable { what: what.to_owned() }.into());
        }
    };
    opts.flag(opt::MANAGE_CGROUPS, true).number(opt::MANAGE_CGROUPS_MODE, mode as u32);
    let Some(unified) = whole.filter(|_| mode != CgroupsMode::Ignore) else { return Ok(Mounts::new()) };
    opts.text(opt::CGROUP_YARD, cover.as_os_str().as_bytes());
    Ok(vec![(None, cover.to_owned()), (Some(unified.mount.clone()), cover.join(UNIFIED))])
}

/// For restoring: the cgroups of the process that restores are those of the container, whatever they were called.
///
/// # Errors
///
/// [`Error::Kernel`](crate::Error::Kernel).
pub(crate) fn roots(opts: &mut Message, pid: i32) -> Result<()> {
    let file = format!("/proc/{pid}/cgroup");
    let text = std::fs::read_to_string(&file).doing(|| format!("read {file}"))?;
    for (controllers, path) in paths(&text) {
        opts.message(opt::CG_ROOT, &pair(controllers, path));
    }
    Ok(())
}

/// Controllers and path of each line of `/proc/PID/cgroup`
/// ([cgroups(7)](https://man7.org/linux/man-pages/man7/cgroups.7.html)).
fn paths(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_cgroups::{Controllers, Unified, V1Mount};

    fn unified() -> Layout {
        let unified =
            Unified { mount: "/sys/fs/cgroup".into(), own: PathBuf::new(), controllers: Controllers::NONE };
        Layout { unified: Some(unified), v1: Vec::new() }
    }

    #[test]
    fn cgroups_are_known_by_their_controllers() {
        let all: Vec<_> = paths("4:cpu,cpuacct:/a\n1:name=systemd:/b:c\n0::/d\n").collect();
        assert_eq!(all, [("cpu,cpuacct", "/a"), ("name=systemd", "/b:c"), ("", "/d")]);
    }

    #[test]
    fn where_criu_takes_care_of_cgroups_it_finds_them() {
        let cover = Path::new("/run/orlop/web");
        let mounts = manage(&mut Message::default(), None, &unified(), cover).unwrap();
        assert_eq!(mounts[0], (None, cover.to_owned()));
        assert_eq!(mounts[1], (Some("/sys/fs/cgroup".into()), cover.join("unified")));
        let ignore = Some(CgroupsMode::Ignore);
        assert!(manage(&mut Message::default(), ignore, &unified(), cover).unwrap().is_empty());
    }

    #[test]
    fn where_there_is_version_1_criu_has_to_leave_cgroups_alone() {
        let v1 = V1Mount {
            mount: "/sys/fs/cgroup/cpu".into(),
            own: PathBuf::new(),
            controllers: Controllers::NONE,
        };
        let layout = Layout { v1: vec![v1], ..unified() };
        let manage = |mode| manage(&mut Message::default(), mode, &layout, Path::new("/x"));
        assert!(manage(None).unwrap().is_empty() && manage(Some(CgroupsMode::Ignore)).unwrap().is_empty());
        assert!(manage(Some(CgroupsMode::Soft)).unwrap_err().to_string().contains("ignore"));
    }
}
