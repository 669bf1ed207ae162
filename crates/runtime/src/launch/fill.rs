//! What the host side opens for a program: trees of mounts, user namespaces for id-mapped ones, its procfs.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use orlop_compile::{Fill, FillWith, IdMaps, Launch, MountIdMap, UserNamespace};
use orlop_sys::mount::Attributes;
use orlop_sys::{Fd, file, mount};

use super::at;
use crate::error::{Doing, Result};
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
            FillWith::DetachedTree { path, recursive, id_map } => {
                let tree = tree(path, *recursive).map_err(|e| at(e, &fill.origin))?;
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
