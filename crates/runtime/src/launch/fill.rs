//! What the host side opens for a program: trees of mounts, user namespaces for id-mapped ones, its procfs.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use orlop_compile::{Fill, FillWith, IdMaps, Launch, MountIdMap, UserNamespace};
use orlop_sys::mount::Attributes;
use orlop_sys::{Fd, file, mount};

use super::at;
use crate::error::{Answer, Doing, Error, Result};
use crate::idmap;

/// Fills slots, one after the other.
pub(super) struct Filler<'a> {
    /// User namespaces that were made: many mounts have the same mappings.
    made: Vec<(&'a IdMaps, OwnedFd)>,
}

/// Maps the ids of a mount that init has made, in one of the ways that the launch names.
///
/// # Errors
///
/// [`Error::Kernel`](crate::Error::Kernel), with the place in the config that asks for it.
pub(crate) fn map_ids(launch: &Launch, number: u8, tree: &OwnedFd) -> Result<()> {
    let id_map = launch.maps_by_host.get(usize::from(number));
    let id_map = id_map.ok_or(nix::errno::Errno::EBADMSG).doing(|| "map the ids of a mount".to_owned())?;
    Filler::new().map_ids(tree, Path::new("of the container's"), id_map).map_err(|e| at(e, &id_map.origin))
}

impl<'a> Filler<'a> {
    pub(super) const fn new() -> Self {
        Self { made: Vec::new() }
    }

    /// Opens what a slot is filled with.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`](crate::Error::Kernel), with the place in the config that asks for it.
    pub(super) fn open(&mut self, fill: &'a Fill) -> Result<OwnedFd> {
        match &fill.what {
            FillWith::DetachedTree { path, recursive, id_map, locked } => {
                let tree = tree(path, *recursive).map_err(|e| at(e, &fill.origin))?;
                if let Some(change) = locked {
                    keep_locked(&tree, path, *change).map_err(|e| at(e, &fill.origin))?;
                }
                if let Some(id_map) = id_map {
                    self.map_ids(&tree, path, id_map).map_err(|e| at(e, &id_map.origin))?;
                }
                Ok(tree)
            }
            FillWith::UserNamespace(id_map) => {
                self.namespace(&id_map.namespace).map_err(|e| at(e, &id_map.origin))
            }
            FillWith::Procfs => {
                let proc = file::openat(Fd::CWD, c"/proc", libc::O_PATH | libc::O_DIRECTORY, 0);
                Ok(proc.doing(|| "open /proc".to_owned())?.into())
            }
        }
    }

    fn map_ids(&mut self, tree: &OwnedFd, path: &Path, id_map: &'a MountIdMap) -> Result<()> {
        let namespace = self.namespace(&id_map.namespace)?;
        let userns = Fd::of(&namespace).raw() as u64;
        let change = Attributes { set: libc::MOUNT_ATTR_IDMAP, userns, ..Attributes::default() };
        mount::mount_setattr(Fd::of(tree), c"", id_map.recursive, &change)
            .doing(|| format!("map the ids of the mount of {}", path.display()))
            .map_err(|e| match e.errno().and_then(id_map_hint) {
                Some(hint) => e.with_hint(hint),
                None => e,
            })
    }

    /// A user namespace with these mappings.
    fn namespace(&mut self, namespace: &'a UserNamespace) -> Result<OwnedFd> {
        let maps = match namespace {
            UserNamespace::Of(path) => {
                let opened = std::fs::File::open(path);
                return Ok(opened.doing(|| format!("open the user namespace {}", path.display()))?.into());
            }
            UserNamespace::With(maps) => maps,
        };
        let same = |other: &IdMaps| other.uid == maps.uid && other.gid == maps.gid;
        let found = self.made.iter().find(|(other, _)| same(other));
        let of_found = |(_, fd): &(_, OwnedFd)| fd.try_clone();
        if let Some(copy) = found.map(of_found) {
            return copy.doing(|| "copy the descriptor of a user namespace".to_owned());
        }
        let made = idmap::make(maps)?;
        let copy = made.try_clone().doing(|| "copy the descriptor of a user namespace".to_owned())?;
        self.made.push((maps, made));
        Ok(copy)
    }
}

/// A detached copy of what is mounted at a path. It is made among the host's mounts, and is a peer of what is shared there.
fn tree(path: &Path, recursive: bool) -> Result<OwnedFd> {
    let doing = || format!("open {}", path.display());
    let name =
        CString::new(path.as_os_str().as_bytes()).map_err(|_| nix::errno::Errno::EINVAL).doing(doing)?;
    let tree = mount::clone_tree(Fd::CWD, &name, recursive).doing(doing)?;
    let slave = Attributes { propagation: libc::MS_SLAVE, ..Attributes::default() };
    mount::mount_setattr(tree.fd(), c"", true, &slave).doing(doing)?;
    Ok(tree.into())
}

/// Refuses to change what the kernel locks in mounts that come to a user namespace from outside (mount_namespaces(7)): the
/// tree is made among the host's mounts, and init could change it all. The first words are runc's.
fn keep_locked(tree: &OwnedFd, path: &Path, change: (u64, u64)) -> Result<()> {
    let doing = || format!("error mounting {}", path.display());
    let flags = file::mount_flags(Fd::of(tree)).doing(doing)?;
    let Some(lost) = lost(flags, change) else { return Ok(()) };
    let step = format!("{}: it is mounted {lost}, and in a user namespace it stays so", doing());
    let hint = "leave out the option that says otherwise, or change the mount on the host";
    let answer = Answer { errno: libc::EPERM, call: "" };
    Err(Error::Step { step, answer, pointer: None, detail: String::new(), hint: Some(hint.into()) })
}

/// The first attribute of a mount that a change, of what is set and what is cleared, would take from it.
fn lost(flags: u64, (set, clear): (u64, u64)) -> Option<&'static str> {
    use libc::{MOUNT_ATTR__ATIME, MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_STRICTATIME};
    // In <linux/statfs.h>; the C libraries do not all have it.
    const ST_RELATIME: u64 = 0x1000;
    let restrictions = [
        (libc::ST_RDONLY, libc::MOUNT_ATTR_RDONLY, "read-only"),
        (libc::ST_NOSUID, libc::MOUNT_ATTR_NOSUID, "nosuid"),
        (libc::ST_NODEV, libc::MOUNT_ATTR_NODEV, "nodev"),
        (libc::ST_NOEXEC, libc::MOUNT_ATTR_NOEXEC, "noexec"),
    ];
    let is_lost = |(flag, attribute, _): &(u64, u64, _)| flags & flag != 0 && clear & !set & attribute != 0;
    if let Some((.., name)) = restrictions.into_iter().find(is_lost) {
        return Some(name);
    }
    let (now, name) = if flags & libc::ST_NOATIME != 0 {
        (libc::MOUNT_ATTR_NOATIME, "noatime")
    } else if flags & ST_RELATIME != 0 {
        (libc::MOUNT_ATTR_RELATIME, "relatime")
    } else {
        (MOUNT_ATTR_STRICTATIME, "strictatime")
    };
    if clear & MOUNT_ATTR__ATIME != 0 && set & MOUNT_ATTR__ATIME != now {
        return Some(name);
    }
    let without = flags & libc::ST_NODIRATIME != 0;
    let changes = if without { clear & !set } else { set } & MOUNT_ATTR_NODIRATIME != 0;
    changes.then_some(if without { "nodiratime" } else { "without nodiratime" })
}

/// What usually is the matter with an id-mapped mount. The versions are those of mount_setattr(2).
pub(super) const fn id_map_hint(errno: i32) -> Option<&'static str> {
    Some(match errno {
        libc::EINVAL => {
            "the file system cannot be id-mapped by this kernel: ext4, xfs and vfat can since Linux 5.12, btrfs since \
            5.15, f2fs since 5.18, erofs since 5.19, squashfs since 6.2, tmpfs since 6.3, ceph since 6.7, hugetlbfs \
            since 6.9"
        }
        libc::EPERM => "it takes CAP_SYS_ADMIN over the file system, and a mount that is not id-mapped yet",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::lost;
    use libc::{
        MOUNT_ATTR__ATIME as ATIME, MOUNT_ATTR_NOATIME as NOATIME, MOUNT_ATTR_NODIRATIME as NODIRATIME,
        MOUNT_ATTR_NOEXEC as NOEXEC, MOUNT_ATTR_RDONLY as RDONLY, MOUNT_ATTR_STRICTATIME as STRICTATIME,
        ST_NOATIME, ST_NODIRATIME, ST_NOEXEC, ST_RDONLY,
    };

    const RELATIME: u64 = 0x1000;

    #[test]
    fn what_the_hosts_mount_has_is_not_to_be_taken_from_it() {
        assert_eq!(lost(ST_RDONLY | RELATIME, (0, RDONLY)), Some("read-only"));
        assert_eq!(lost(ST_NOEXEC | RELATIME, (RDONLY, NOEXEC)), Some("noexec"));
        assert_eq!(lost(ST_NOEXEC | RELATIME, (RDONLY, RDONLY)), None);
        assert_eq!(lost(RELATIME, (RDONLY | NOEXEC, 0)), None);
        assert_eq!(lost(ST_RDONLY | RELATIME, (RDONLY, RDONLY)), None);
    }

    #[test]
    fn access_times_stay_what_they_are() {
        assert_eq!(lost(RELATIME, (STRICTATIME, ATIME | NODIRATIME)), Some("relatime"));
        assert_eq!(lost(RELATIME, (0, ATIME | NODIRATIME)), None);
        assert_eq!(lost(RELATIME, (NODIRATIME, ATIME)), Some("without nodiratime"));
        assert_eq!(lost(ST_NOATIME, (NOATIME, ATIME | NODIRATIME)), None);
        assert_eq!(lost(ST_NOATIME | ST_NODIRATIME, (NOATIME, ATIME | NODIRATIME)), Some("nodiratime"));
        assert_eq!(lost(0, (NOATIME, ATIME)), Some("strictatime"));
        assert_eq!(lost(0, (0, 0)), None);
    }
}
