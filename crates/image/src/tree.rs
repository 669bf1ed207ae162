//! Looking into the layers of an image as if they were one tree, without mounting them.
//!
//! Paths are looked up one name at a time, in each layer's directory by descriptor; links are read and followed here,
//! inside the tree. What overlayfs would hide is hidden.

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, fstatat};
use orlop_sys::{Fd, xattr};

use crate::error::{Doing as _, Error, Result};
use crate::file;
use crate::store::ImageHandle;
use crate::unpack::OpaqueMark;

/// How many symbolic links one path may lead through, as for the kernel.
const LINKS: u32 = 40;

/// Layers that are looked at as one tree.
#[derive(Debug)]
pub struct Tree {
    root: Directory,
}

/// A directory of the tree: those of the layers that are seen in it, topmost first. The number is the layer's.
#[derive(Clone, Debug)]
pub(crate) struct Directory(pub(crate) Vec<(usize, Rc<OwnedFd>)>);

/// Where a path leads.
enum Place {
    /// To a layer's directory, and a name in it that is no directory.
    File(Rc<OwnedFd>, Vec<u8>),
    Directory(Directory),
}

/// What a name in a directory is.
pub(crate) enum Found {
    Directory(Directory),
    /// Anything else: in which layer's directory.
    Other(usize, Rc<OwnedFd>, FileStat),
    Nothing,
}

impl Tree {
    /// The tree of an image.
    ///
    /// # Errors
    ///
    /// A layer is not there.
    pub fn of(image: &ImageHandle) -> Result<Self> {
        Self::layered(&image.layers)
    }

    /// The tree in a directory.
    ///
    /// # Errors
    ///
    /// It is not there.
    pub fn open(path: &Path) -> Result<Self> {
        Self::layered(&[path.into()])
    }

    /// The tree of these directories, the topmost first.
    ///
    /// # Errors
    ///
    /// One of them is not there.
    pub fn layered(layers: &[PathBuf]) -> Result<Self> {
        let opened = layers.iter().enumerate().map(|(layer, path)| {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let fd =
                open(path, flags, Mode::empty()).doing(|| format!("open the layer {}", path.display()))?;
            Ok((layer, Rc::new(fd)))
        });
        Ok(Self { root: Directory(opened.collect::<Result<_>>()?) })
    }

    /// The tree in a directory that is open.
    pub(crate) fn of_directory(dir: OwnedFd) -> Self {
        Self { root: Directory(vec![(0, Rc::new(dir))]) }
    }

    pub(crate) const fn root(&self) -> &Directory {
        &self.root
    }

    /// The content of a file of at most so many bytes, found as a process in the container would find it. `None` if there is
    /// no such file.
    ///
    /// # Errors
    ///
    /// It is no regular file, too long, or cannot be read.
    pub fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let doing = || format!("read {path} of the image");
        let (dir, name) = match self.find(path).doing(doing)? {
            None => return Ok(None),
            Some(Place::Directory(_)) => return Err(Errno::EISDIR).doing(doing),
            Some(Place::File(dir, name)) => (dir, name),
        };
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::from(openat(&*dir, &name[..], flags, Mode::empty()).doing(doing)?);
        let wrong = |why: &str| Error::document(format!("{path} of the image"), why);
        if !file.metadata().doing(doing)?.is_file() {
            return Err(wrong("it is no regular file"));
        }
        file::read_at_most(file, limit).doing(doing)?.ok_or_else(|| wrong("it is too long")).map(Some)
    }

    /// The directory that a path leads to in the container, through links; `None` if there is none.
    pub(crate) fn directory(&self, path: &str) -> std::result::Result<Option<Directory>, Errno> {
        Ok(match self.find(path)? {
            Some(Place::Directory(dir)) => Some(dir),
            _ => None,
        })
    }

    /// Where a path leads, through links.
    fn find(&self, path: &str) -> std::result::Result<Option<Place>, Errno> {
        let parts = |path: &[u8]| path.split(|b| *b == b'/').map(<[u8]>::to_vec).collect::<Vec<_>>();
        let mut rest: VecDeque<Vec<u8>> = parts(path.as_bytes()).into();
        let mut above: Vec<Directory> = vec![self.root.clone()];
        let mut links = LINKS;
        while let Some(name) = rest.pop_front() {
            match &name[..] {
                b"" | b"." => continue,
                b".." => {
                    above.truncate((above.len() - 1).max(1));
                    continue;
                }
                _ => {}
            }
            let here = above.last().unwrap_or(&self.root);
            match here.look_up(&name)? {
                Found::Nothing => return Ok(None),
                Found::Directory(dir) => above.push(dir),
                Found::Other(_, dir, stat) if stat.st_mode & libc::S_IFMT == libc::S_IFLNK => {
                    links = links.checked_sub(1).ok_or(Errno::ELOOP)?;
                    let target = readlinkat(&*dir, &name[..])?;
                    let target = std::os::unix::ffi::OsStrExt::as_bytes(&*target);
                    if target.starts_with(b"/") {
                        above.truncate(1);
                    }
                    for part in parts(target).into_iter().rev() {
                        rest.push_front(part);
                    }
                }
                Found::Other(_, dir, _) => {
                    let last = rest.iter().all(Vec::is_empty);
                    return Ok(last.then_some(Place::File(dir, name)));
                }
            }
        }
        Ok(above.pop().map(Place::Directory))
    }
}

impl Directory {
    /// What a name is: of the topmost layer that has it, and of those below as far as directories are merged.
    pub(crate) fn look_up(&self, name: &[u8]) -> std::result::Result<Found, Errno> {
        self.find(name, true)
    }

    /// The same for overlayfs where it does not see which directories hide those below.
    pub(crate) fn look_up_unmarked(&self, name: &[u8]) -> std::result::Result<Found, Errno> {
        self.find(name, false)
    }

    fn find(&self, name: &[u8], marks: bool) -> std::result::Result<Found, Errno> {
        let mut merged = Vec::new();
        for (layer, dir) in &self.0 {
            let stat = match fstatat(&**dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
                Err(Errno::ENOENT) => continue,
                stat => stat?,
            };
            if stat.st_mode & libc::S_IFMT == libc::S_IFDIR {
                let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                let child = openat(&**dir, name, flags, Mode::empty())?;
                let opaque = marks && is_opaque(&child);
                merged.push((*layer, Rc::new(child)));
                if opaque {
                    break;
                }
            } else if merged.is_empty() && !is_whiteout(&stat) {
                return Ok(Found::Other(*layer, Rc::clone(dir), stat));
            } else {
                break;
            }
        }
        Ok(if merged.is_empty() { Found::Nothing } else { Found::Directory(Self(merged)) })
    }

    /// The names of all layers' directories, sorted; some may be whiteouts.
    pub(crate) fn names(&self) -> std::result::Result<Vec<Vec<u8>>, Errno> {
        let mut names = Vec::new();
        for (_, dir) in &self.0 {
            names.extend(file::names(dir)?);
        }
        names.sort();
        names.dedup();
        Ok(names)
    }
}

/// Whether overlayfs takes a file for a whiteout.
pub(crate) fn is_whiteout(stat: &FileStat) -> bool {
    stat.st_mode & libc::S_IFMT == libc::S_IFCHR && stat.st_rdev == 0
}

/// Whether a directory hides what is below.
pub(crate) fn is_opaque(dir: &OwnedFd) -> bool {
    let mut value = [0; 1];
    [OpaqueMark::Trusted, OpaqueMark::User]
        .iter()
        .any(|mark| xattr::get(Fd::of(dir), mark.attribute(), &mut value) == Ok(1) && value == *b"y")
}
