//! The upper directory of an overlay over the layers of an image, so that directories are what they are in the image.
//!
//! Overlayfs shows a directory as the topmost layer has it that has it at all. A layer may have something in a directory
//! without describing it, `tmp/file` without `tmp` for instance, and then its directory is like any that is made for want of
//! a description. The layer is not changed, as other images share it: the right directory is put on top. The root is always
//! shown as the upper directory is.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat, mknodat};
use nix::unistd::{getegid, geteuid};

use crate::error::{Doing as _, Result, shown};
use crate::flatten::{attributes, described};
use crate::store::{ImageHandle, Store};
use crate::tree::{Directory, Found, Tree};
use crate::unpack::attributes::Setter;
use crate::unpack::path::join;

impl Store {
    /// Prepares an empty directory, open for reading, to be the upper one of an overlay over an image's layers: it becomes like the image's root,
    /// and gets the directories that overlayfs would show otherwise than the image has them. There are seldom any. `unmarked`:
    /// the overlay is mounted in a user namespace that root has made, where overlayfs does not see which directories hide those
    /// below; what they hide is deleted in the upper directory instead.
    ///
    /// # Errors
    ///
    /// A layer cannot be read, or the directory not be written to.
    pub fn prepare_upper(&self, image: &ImageHandle, upper: &OwnedFd, unmarked: bool) -> Result<()> {
        let implicit = self.implicit(image)?;
        let tree = Tree::of(image)?;
        let warnings = std::cell::RefCell::default();
        let ids = (geteuid().as_raw(), getegid().as_raw());
        let setter = Setter { owners: self.owners(), ids, warnings: &warnings };
        let making = Making { implicit: &implicit, upper, setter };
        let mut missing = BTreeMap::new();
        if unmarked && !image.userxattr {
            hidden(tree.root(), tree.root(), b"", &mut missing)?;
        }
        // Directories further in first, as what is made in one changes its times.
        let paths: BTreeSet<&[u8]> =
            implicit.iter().flatten().chain(missing.keys()).map(Vec::as_slice).collect();
        for path in paths.into_iter().rev() {
            let Some(way) = way(tree.root(), path)? else { continue };
            let names = missing.get(path).map_or(&[][..], Vec::as_slice);
            if !names.is_empty() || is_shown_wrongly(&way, path, &implicit) {
                making.copy_way(&way, path, names)?;
            }
        }
        // Last, as what is made in it changes its times.
        making.like(tree.root(), b"", upper)
    }
}

/// By directory, what overlayfs would show of the layers below although a directory is marked to hide them: it does not see
/// the marks in a user namespace.
fn hidden(
    seen: &Directory,
    unmarked: &Directory,
    path: &[u8],
    missing: &mut BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
) -> Result<()> {
    for name in unmarked.names().doing(|| format!("list the directory {}", shown(path)))? {
        let child = join(path, &name);
        let doing = || format!("look at {}", shown(&child));
        match (seen.look_up(&name).doing(doing)?, unmarked.look_up_unmarked(&name).doing(doing)?) {
            (_, Found::Nothing) => {}
            (Found::Nothing, _) => missing.entry(path.to_vec()).or_default().push(name),
            // In one layer only there is nothing to hide.
            (Found::Directory(seen), Found::Directory(unmarked)) if unmarked.0.len() > 1 => {
                hidden(&seen, &unmarked, &child, missing)?;
            }
            _ => {}
        }
    }
    Ok(())
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

/// What is made in the upper directory.
struct Making<'a> {
    implicit: &'a [BTreeSet<Vec<u8>>],
    upper: &'a OwnedFd,
    setter: Setter<'a>,
}

impl Making<'_> {
    /// Makes a directory in the upper one, and those on the way to it, with whiteouts of these names.
    fn copy_way(&self, way: &[Directory], path: &[u8], deleted: &[Vec<u8>]) -> Result<()> {
        let doing = || format!("make the directory {} of the overlay", shown(path));
        let mut made = vec![(self.upper.try_clone().doing(doing)?, 0)];
        for name in path.split(|b| *b == b'/').filter(|name| !name.is_empty()) {
            let Some((at, end)) = made.last() else { break };
            match mkdirat(at, name, Mode::S_IRWXU) {
                Ok(()) | Err(Errno::EEXIST) => {}
                made => made.doing(doing)?,
            }
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let end = end + name.len() + usize::from(*end > 0);
            made.push((openat(at, name, flags, Mode::empty()).doing(doing)?, end));
        }
        if let Some((at, _)) = made.last() {
            for name in deleted {
                mknodat(at, &name[..], SFlag::S_IFCHR, Mode::empty(), 0).doing(doing)?;
            }
        }
        // What is made in a directory changes its times, so those further in come first. The root is left for the end.
        for (dir, (made, end)) in way.iter().zip(&made).skip(1).rev() {
            self.like(dir, &path[..*end], made)?;
        }
        Ok(())
    }

    /// Makes a directory like the image's.
    fn like(&self, dir: &Directory, path: &[u8], to: &OwnedFd) -> Result<()> {
        let Some((_, from)) = described(dir, path, self.implicit).or(dir.0.first()) else { return Ok(()) };
        let stat = fstat(&**from).doing(|| format!("look at {}", shown(path)))?;
        attributes(from, &stat, path)?.set(to, 0o10_000, &self.setter, path)
    }
}
