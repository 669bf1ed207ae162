//! A directory of overlayfs becomes the archive of a layer, the other direction of [`crate::unpack`]; and a whole tree, or a
//! part of it, a plain archive.
//!
//! The same directory always gives the same bytes: names are sorted, and times are those of the files.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;

use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, fstat, fstatat, major, minor};

use crate::error::{Doing as _, Error, Result, shown};
use crate::file;
use crate::flatten::attributes;
use crate::tar::write::Writer;
use crate::tar::{Entry, Kind};
use crate::tree::{Directory, Found, Tree, is_opaque, is_whiteout};
use crate::unpack::path::join;

/// Writes the archive of a layer: what is in a directory as overlayfs has it, the upper directory of a container or a layer
/// of the store, with its whiteouts in the form of images. Directories in `implicit` are not described.
///
/// # Errors
///
/// Something cannot be read, or the archive not be written.
pub(crate) fn pack<W: Write>(dir: &OwnedFd, implicit: &BTreeSet<Vec<u8>>, to: W) -> Result<W> {
    let mut packer = Packer::new(to, implicit);
    packer.directory(dir, b"")?;
    packer.finish()
}

/// Writes a plain archive of what is seen in a tree, as `docker export` does: without the root directory itself.
///
/// # Errors
///
/// Something cannot be read, or the archive not be written.
pub fn export(tree: &Tree, to: &mut dyn Write) -> Result<()> {
    let mut packer = Packer::new(to, &NONE);
    packer.inside(tree.root(), b"")?;
    packer.finish()?.flush().doing(writing)
}

/// Writes a plain archive of a directory, as everything in it is called then, or with no name of what is in it.
pub(crate) fn archive_directory(dir: OwnedFd, name: &[u8], to: &mut dyn Write) -> Result<()> {
    let mut packer = Packer::new(to, &NONE);
    packer.merged(Tree::of_directory(dir).root(), name)?;
    packer.finish()?.flush().doing(writing)
}

/// Writes a plain archive of one file that is no directory.
pub(crate) fn archive_file(dir: &OwnedFd, name: &[u8], to: &mut dyn Write) -> Result<()> {
    let doing = || format!("look at {}", shown(name));
    let stat = fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).doing(doing)?;
    let mut packer = Packer::new(to, &NONE);
    packer.other((0, dir), name, &stat, name)?;
    packer.finish()?.flush().doing(writing)
}

/// Where every directory is described.
static NONE: BTreeSet<Vec<u8>> = BTreeSet::new();

struct Packer<'a, W> {
    archive: Writer<W>,
    implicit: &'a BTreeSet<Vec<u8>>,
    /// Files with several names, by layer and inode: the path of the first.
    links: HashMap<(usize, u64), Vec<u8>>,
    buf: Vec<u8>,
}

impl<'a, W: Write> Packer<'a, W> {
    fn new(to: W, implicit: &'a BTreeSet<Vec<u8>>) -> Self {
        Self { archive: Writer::new(to), implicit, links: HashMap::new(), buf: vec![0; 128 << 10] }
    }

    fn finish(self) -> Result<W> {
        self.archive.finish().doing(writing)
    }

    /// What is in a directory of a tree.
    fn inside(&mut self, dir: &Directory, path: &[u8]) -> Result<()> {
        for name in dir.names().doing(|| format!("list the directory {}", shown(path)))? {
            let child = join(path, &name);
            match dir.look_up(&name).doing(|| format!("look at {}", shown(&child)))? {
                Found::Nothing => {}
                Found::Directory(below) => self.merged(&below, &child)?,
                Found::Other(layer, dir, stat) => self.other((layer, &dir), &name, &stat, &child)?,
            }
        }
        Ok(())
    }

    /// A directory of a tree, and what is in it.
    fn merged(&mut self, dir: &Directory, path: &[u8]) -> Result<()> {
        if let Some((_, top)) = dir.0.first() {
            self.describe(top, path)?;
        }
        self.inside(dir, path)
    }

    /// The directory itself.
    fn describe(&mut self, dir: &OwnedFd, path: &[u8]) -> Result<()> {
        let stat = fstat(dir).doing(|| format!("look at {}", shown(path)))?;
        let entry = entry(dir, &stat, Kind::Directory, path)?;
        let name = if path.is_empty() { b"./".to_vec() } else { [path, b"/"].concat() };
        self.add(&Entry { path: name, ..entry })
    }

    fn directory(&mut self, dir: &OwnedFd, path: &[u8]) -> Result<()> {
        if !self.implicit.contains(path) {
            self.describe(dir, path)?;
        }
        if is_opaque(dir) {
            self.add(&empty(&join(path, b".wh..wh..opq")))?;
        }
        for name in file::names(dir).doing(|| format!("list the directory {}", shown(path)))? {
            let child = join(path, &name);
            let doing = || format!("look at {}", shown(&child));
            let stat = fstatat(dir, &name[..], AtFlags::AT_SYMLINK_NOFOLLOW).doing(doing)?;
            if stat.st_mode & libc::S_IFMT == libc::S_IFDIR {
                let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                self.directory(&openat(dir, &name[..], flags, Mode::empty()).doing(doing)?, &child)?;
            } else if is_whiteout(&stat) {
                self.add(&empty(&join(path, &[b".wh.", &name[..]].concat())))?;
            } else {
                self.other((0, dir), &name, &stat, &child)?;
            }
        }
        Ok(())
    }

    /// Anything but a directory, of a layer's directory.
    fn other(
        &mut self,
        (layer, dir): (usize, &OwnedFd),
        name: &[u8],
        stat: &FileStat,
        path: &[u8],
    ) -> Result<()> {
        let doing = || format!("read {}", shown(path));
        let kind = match stat.st_mode & libc::S_IFMT {
            libc::S_IFREG => Kind::File,
            libc::S_IFLNK => Kind::Symlink,
            libc::S_IFCHR => Kind::Char,
            libc::S_IFBLK => Kind::Block,
            libc::S_IFIFO => Kind::Fifo,
            // Nobody but the process that made it can use it.
            libc::S_IFSOCK => return Ok(()),
            _ => return Err(Error::archive(path, "it is of a kind that no archive has")),
        };
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let node = openat(dir, name, flags, Mode::empty()).doing(doing)?;
        let mut entry = entry(&node, stat, kind, path)?;
        if stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&(layer, stat.st_ino)) {
                (entry.kind, entry.link, entry.size) = (Kind::HardLink, first.clone(), 0);
                entry.attributes.clear();
                return self.add(&entry);
            }
            self.links.insert((layer, stat.st_ino), path.to_vec());
        }
        if kind == Kind::Symlink {
            entry.link = readlinkat(dir, name).doing(doing)?.as_bytes().to_vec();
        }
        self.add(&entry)?;
        if kind == Kind::File {
            // Of a container that runs, it may be something else by now: nobody waits for a pipe, and a longer file is cut.
            let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
            let file = File::from(openat(dir, name, flags, Mode::empty()).doing(doing)?);
            if !file.metadata().doing(doing)?.is_file() {
                return Err(Error::archive(path, "it became something else while it was read"));
            }
            self.data(file, entry.size, path)?;
        }
        Ok(())
    }

    /// The content of a file, which must not become longer or shorter meanwhile.
    fn data(&mut self, mut file: File, size: u64, path: &[u8]) -> Result<()> {
        let mut left = size;
        while left > 0 {
            let length = self.buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let n = match file.read(&mut self.buf[..length]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                n => n.doing(|| format!("read {}", shown(path)))?,
            };
            if n == 0 {
                return Err(Error::archive(path, "it became shorter while it was read"));
            }
            self.archive.data(&self.buf[..n]).doing(writing)?;
            left -= n as u64;
        }
        Ok(())
    }

    fn add(&mut self, entry: &Entry) -> Result<()> {
        self.archive.entry(entry).doing(writing)
    }
}

fn writing() -> String {
    "write the archive".into()
}

/// What an archive says of a file.
fn entry(node: &OwnedFd, stat: &FileStat, kind: Kind, path: &[u8]) -> Result<Entry> {
    let attributes = attributes(node, stat, path)?;
    let extended = attributes.extended.into_iter().map(|(name, value)| (name.into_bytes(), value));
    Ok(Entry {
        kind,
        mode: attributes.mode,
        uid: attributes.uid,
        gid: attributes.gid,
        mtime: attributes.mtime,
        size: if kind == Kind::File { stat.st_size as u64 } else { 0 },
        device: (major(stat.st_rdev), minor(stat.st_rdev)),
        attributes: extended.collect(),
        ..empty(path)
    })
}

/// An empty file of root's, which a whiteout is.
fn empty(path: &[u8]) -> Entry {
    Entry::new(path, Kind::File, 0, 0)
}
