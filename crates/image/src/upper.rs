//! The upper directory of an overlay over the layers of an image, so that directories are what they are in the image.
//!
//! Overlayfs shows a directory as the topmost layer has it that has it at all. A layer may have something in a directory
//! without describing it, `tmp/file` without `tmp` for instance, and then its directory is like any that is made for want of
//! a description. The layer is not changed, as other images share it: the right directory is put on top. The root is always
//! shown as the upper directory is.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fstat, mkdirat};
use nix::unistd::{getegid, geteuid};

use crate::error::{Doing as _, Result, shown};
use crate::flatten::{attributes, described};
use crate::store::{ImageHandle, Store};
use crate::tree::{Directory, Found, Tree};
use crate::unpack::attributes::Setter;

impl Store {
    /// Prepares an empty directory, open for reading, to be the upper one of an overlay over an image's layers: it becomes like the image's root,
    /// and gets the directories that overlayfs would show otherwise than the image has them. There are seldom any.
    ///
    /// # Errors
    ///
    /// A layer cannot be read, or the directory not be written to.
    pub fn prepare_upper(&self, image: &ImageHandle, upper: &OwnedFd) -> Result<()> {
        let implicit = self.implicit(image)?;
        let tree = Tree::of(image)?;
        let warnings = std::cell::RefCell::default();
        let ids = (geteuid().as_raw(), getegid().as_raw());
        let setter = Setter { owners: self.owners(), ids, warnings: &warnings };
        let paths: BTreeSet<&[u8]> = implicit.iter().flatten().map(Vec::as_slice).collect();
        for path in paths {
            if let Some(way) = way(tree.root(), path)?
                && is_shown_wrongly(&way, path, &implicit)
            {
                copy_way(&way, path, &implicit, upper, &setter)?;
            }
        }
        // Last, as what is made in it changes its times.
        like(tree.root(), b"", &implicit, upper, &setter)
    }
}

/// The directories on the way to a path, the root first; `None` if it is no directory any more.
fn way(root: &Directory, path: &[u8]) -> Result<Option<Vec<Directory>>> {
    let mut way = vec![root.clone()];
    for name in path.split(|b| *b == b'/').filter(|name| !name.is_empty()) {
        let here = way.last().unwrap_or(root);
        match here.look_up(name).doing(|| format!("look at {}", shown(path)))? {
            Found::Directory(dir) => way.push(dir),
            _ => return Ok(None),
        }
    }
    Ok(Some(way))
}

/// Whether the topmost layer that has a directory does not describe it, but one below does.
fn is_shown_wrongly(way: &[Directory], path: &[u8], implicit: &[BTreeSet<Vec<u8>>]) -> bool {
    let Some(dir) = way.last() else { return false };
    let top = dir.0.first().map(|(layer, _)| layer);
    described(dir, path, implicit).is_some_and(|(layer, _)| Some(layer) != top)
}

/// Makes a directory in the upper one, and those on the way to it.
fn copy_way(
    way: &[Directory],
    path: &[u8],
    implicit: &[BTreeSet<Vec<u8>>],
    upper: &OwnedFd,
    setter: &Setter<'_>,
) -> Result<()> {
    let doing = || format!("make the directory {} of the overlay", shown(path));
    let mut at = upper.try_clone().doing(doing)?;
    let mut end = 0;
    for (dir, name) in way.iter().skip(1).zip(path.split(|b| *b == b'/')) {
        end += name.len() + usize::from(end > 0);
        match mkdirat(&at, name, Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => {}
            made => made.doing(doing)?,
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        at = openat(&at, name, flags, Mode::empty()).doing(doing)?;
        like(dir, &path[..end], implicit, &at, setter)?;
    }
    Ok(())
}

/// Makes a directory like the image's.
fn like(
    dir: &Directory,
    path: &[u8],
    implicit: &[BTreeSet<Vec<u8>>],
    to: &OwnedFd,
    setter: &Setter<'_>,
) -> Result<()> {
    let Some((_, from)) = described(dir, path, implicit).or(dir.0.first()) else { return Ok(()) };
    let stat = fstat(&**from).doing(|| format!("look at {}", shown(path)))?;
    attributes(from, &stat, path)?.set(to, 0o10_000, setter, path)
}
