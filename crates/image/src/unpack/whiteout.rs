//! Whiteouts: names in a layer that stand for what is deleted from the layers below ([layer.md]).
//!
//! They say nothing about their own layer, in whatever order they come, so they are collected and made at the end, as
//! overlayfs wants them ([overlayfs.rst]): a character device 0/0, or an attribute of a directory that hides everything below.
//!
//! [layer.md]: https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#representing-changes
//! [overlayfs.rst]: https://docs.kernel.org/filesystems/overlayfs.html#whiteouts-and-opaque-directories

use std::collections::BTreeSet;
use std::ffi::CStr;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstatat, mknodat};
use orlop_sys::{Fd, file};

use super::path::TreePath;
use super::place::Places;
use crate::error::{Doing as _, Error, Result, shown};

const PREFIX: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// What AUFS kept for itself in old layers; it never was part of an image.
const OF_AUFS: &[u8] = b".wh..wh.";

/// How overlayfs is told that a directory hides everything below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpaqueMark {
    /// `trusted.overlay.opaque`, which takes `CAP_SYS_ADMIN` of the host.
    Trusted,
    /// `user.overlay.opaque`, for mounts with the option `userxattr`.
    User,
}

impl OpaqueMark {
    /// The name of the attribute.
    pub const fn attribute(self) -> &'static CStr {
        match self {
            Self::Trusted => c"trusted.overlay.opaque",
            Self::User => c"user.overlay.opaque",
        }
    }
}

/// The whiteouts of one layer.
#[derive(Debug, Default)]
pub(crate) struct Whiteouts {
    deleted: BTreeSet<TreePath>,
    opaque: BTreeSet<TreePath>,
}

impl Whiteouts {
    /// Takes an entry in if it is a whiteout: true if it was one, or is nothing that belongs to the image.
    pub(crate) fn take(&mut self, path: &TreePath) -> Result<bool> {
        let through = path.parent().split(|b| *b == b'/').any(|part| part.starts_with(PREFIX));
        if through && !path.parent().split(|b| *b == b'/').any(|part| part.starts_with(OF_AUFS)) {
            return Err(Error::archive(path.bytes(), "it is below a whiteout"));
        }
        let name = path.name();
        if name == OPAQUE {
            self.opaque.insert(path.directory());
        } else if through || name.starts_with(OF_AUFS) {
            // Left out.
        } else if let Some(deleted) = name.strip_prefix(PREFIX) {
            if matches!(deleted, b"" | b"." | b"..") {
                return Err(Error::archive(path.bytes(), "it is a whiteout of a directory itself"));
            }
            self.deleted.insert(path.sibling(deleted));
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Makes them, as far as the layer does not have something of its own in their place.
    pub(crate) fn make(&self, places: &mut Places, mark: OpaqueMark) -> Result<()> {
        for path in &self.deleted {
            let parent = places.directory(path.parent(), path.bytes())?;
            match fstatat(parent, path.name(), AtFlags::AT_SYMLINK_NOFOLLOW) {
                Err(Errno::ENOENT) => {
                    mknodat(parent, path.name(), SFlag::S_IFCHR, Mode::empty(), 0)
                        .doing(|| format!("make the whiteout of {}", shown(path.bytes())))?;
                }
                Err(e) => return Err(e).doing(|| format!("look at {}", shown(path.bytes()))),
                // A new directory of the same name has nothing of the old one in it.
                Ok(stat) if stat.st_mode & libc::S_IFMT == libc::S_IFDIR => hide_below(places, path, mark)?,
                Ok(_) => {}
            }
        }
        self.opaque.iter().try_for_each(|path| hide_below(places, path, mark))
    }
}

/// Makes a directory opaque.
fn hide_below(places: &mut Places, path: &TreePath, mark: OpaqueMark) -> Result<()> {
    let doing = || format!("make the directory {} opaque", shown(path.bytes()));
    let dir = places.directory(path.bytes(), path.bytes())?;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let dir = openat(dir, c".", flags, Mode::empty()).doing(doing)?;
    file::set_attribute(Fd::of(&dir), mark.attribute(), b"y").doing(doing)
}
