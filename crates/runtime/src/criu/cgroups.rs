//! What CRIU has to know of cgroups.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use orlop_cgroups::{Controller, Layout, V1Mount};

use super::{CriuError, Message, opt, pair};
use crate::error::{Doing, Result};
use crate::options::CgroupsMode;

/// What CRIU calls the hierarchy of version 2.
const UNIFIED: &str = "unified";

/// Mounts that only CRIU sees: what, or a new tmpfs, and where.
pub(crate) type Mounts = Vec<(Option<PathBuf>, PathBuf)>;

/// Tells CRIU how far it takes care of cgroups. If there are hierarchies that containers have no cgroups in, or that are not
/// to be seen here, not at all, as it would save the host's and make them again. Then all processes are in the container's
/// cgroup afterwards.
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
    const OWN: &str = "/proc/self/cgroup";
    let own = std::fs::read_to_string(OWN).doing(|| format!("read {OWN}"))?;
    manage_these(opts, asked, (layout, &own), cover)
}

fn manage_these(
    opts: &mut Message,
    asked: Option<CgroupsMode>,
    (layout, own): (&Layout, &str),
    cover: &Path,
) -> Result<Mounts> {
    let strange =
        paths(own).map(|(controllers, _)| controllers).find(|controllers| !is_known(layout, controllers));
    let mode = match (asked, strange) {
        (None, None) => CgroupsMode::Soft,
        (None, Some(_)) => CgroupsMode::Ignore,
        (Some(mode), None) | (Some(mode @ CgroupsMode::Ignore), Some(_)) => mode,
        (Some(_), Some(strange)) => {
            let what = format!(
                "--manage-cgroups-mode: the container has no cgroup of its own in the hierarchy {strange:?}, where CRIU \
                 would save the host's; only \"ignore\" is possible"
            );
            return Err(CriuError::Unable { what }.into());
        }
    };
    opts.flag(opt::MANAGE_CGROUPS, true).number(opt::MANAGE_CGROUPS_MODE, mode as u32);
    if mode == CgroupsMode::Ignore {
        return Ok(Mounts::new());
    }
    opts.text(opt::CGROUP_YARD, cover.as_os_str().as_bytes());
    let mut mounts = vec![(None, cover.to_owned())];
    mounts.extend(layout.unified.iter().map(|v2| (Some(v2.mount.clone()), cover.join(UNIFIED))));
    mounts.extend(layout.v1.iter().map(|v1| (Some(v1.mount.clone()), cover.join(name(v1)))));
    Ok(mounts)
}

/// Whether a hierarchy, by its controllers, is one that containers have cgroups in.
fn is_known(layout: &Layout, controllers: &str) -> bool {
    if controllers.is_empty() {
        return layout.unified.is_some();
    }
    let mounted = |name| Controller::from_v1_name(name).is_some_and(|c| layout.v1_mount_of(c).is_some());
    controllers.split(',').all(mounted)
}

/// What CRIU calls a hierarchy of version 1: its controllers as the kernel lists them, and by its name if it has one.
fn name(v1: &V1Mount) -> String {
    let names: Vec<&str> = v1.controllers.iter().map(Controller::v1_name).collect();
    names.join(",").trim_start_matches("name=").to_owned()
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
    use orlop_cgroups::{Controllers, Unified};

    fn layout(v1: &[&str]) -> Layout {
        let unified =
            Unified { mount: "/sys/fs/cgroup".into(), own: PathBuf::new(), controllers: Controllers::NONE };
        let mount = |controllers: &&str| V1Mount {
            mount: "/cg".into(),
            own: PathBuf::new(),
            controllers: Controllers::parse(controllers),
        };
        Layout { unified: Some(unified), v1: v1.iter().map(mount).collect() }
    }

    #[test]
    fn cgroups_are_known_by_their_controllers() {
        let all: Vec<_> = paths("4:cpu,cpuacct:/a\n1:name=systemd:/b:c\n0::/d\n").collect();
        assert_eq!(all, [("cpu,cpuacct", "/a"), ("name=systemd", "/b:c"), ("", "/d")]);
    }

    #[test]
    fn where_criu_takes_care_of_cgroups_it_finds_them() {
        let (cover, layout) = (Path::new("/run/orlop/web"), layout(&["cpu cpuacct", "io", "name=systemd"]));
        let own = "3:blkio:/a\n2:cpu,cpuacct:/a\n1:name=systemd:/b\n0::/d\n";
        let manage = |mode| manage_these(&mut Message::default(), mode, (&layout, own), cover).unwrap();
        let places: Vec<_> = manage(None).into_iter().map(|(_, place)| place).collect();
        let below = |name| cover.join(name);
        assert_eq!(
            places,
            [cover.into(), below("unified"), below("cpu,cpuacct"), below("blkio"), below("systemd")]
        );
        assert!(manage(Some(CgroupsMode::Ignore)).is_empty());
    }

    #[test]
    fn where_there_are_the_hosts_cgroups_only_criu_has_to_leave_them_alone() {
        for own in ["2:name=openrc:/\n0::/\n", "2:memory:/\n0::/\n"] {
            let layout = layout(&["cpu"]);
            let manage = |mode| manage_these(&mut Message::default(), mode, (&layout, own), Path::new("/x"));
            assert!(manage(None).unwrap().is_empty());
            assert!(manage(Some(CgroupsMode::Ignore)).unwrap().is_empty());
            assert!(manage(Some(CgroupsMode::Soft)).unwrap_err().to_string().contains("ignore"));
        }
    }
}
