//! From an archive to a directory tree.
//!
//! | file | what is in it |
//! |---|---|
//! | `unpack/path.rs` | which paths are refused |
//! | `unpack/place.rs` | directories by descriptor |
//! | `unpack/attributes.rs` | owner, mode, extended attributes, times |
//! | `unpack/whiteout.rs` | what a layer deletes |
//!
//! The tree is nobody's but ours while it is made: its top is in a directory of the store that only its owner may enter,
//! and every directory in it is 0700 until the end. What is refused is refused as a whole: the caller removes the tree.

pub(crate) mod attributes;
pub(crate) mod path;
mod place;
mod whiteout;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, makedev, mknodat};
use nix::unistd::{ftruncate, getegid, geteuid, linkat, symlinkat};

use crate::error::{Doing as _, Error, Result, shown};
use crate::tar::{Archive, Entry, Input, Kind};
use attributes::{Attributes, Setter};
use path::TreePath;
use place::Places;
pub use whiteout::OpaqueMark;
use whiteout::Whiteouts;

/// What an archive may at most be, each for one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files together, holes included, and of the archive itself.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
    /// Parts of a path.
    pub depth: u32,
    /// Bytes out of the decompressor for one in, which counts after the first 256 MiB.
    pub ratio: u64,
}

impl Default for Limits {
    /// 64 GiB, two million entries, 128 parts, 256 to one.
    fn default() -> Self {
        Self { bytes: 64 << 30, entries: 2_000_000, depth: 128, ratio: 256 }
    }
}

/// Whom unpacked files belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owners {
    /// As the archive says, which takes root.
    Keep,
    /// Whoever unpacks.
    Caller,
}

/// How to unpack.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What is too much.
    pub limits: Limits,
    /// Whom files belong to.
    pub owners: Owners,
    /// How directories are marked that hide what is below.
    pub mark: OpaqueMark,
    /// Whether there are whiteouts: in the archive of a layer. Elsewhere their names are like any other.
    pub whiteouts: bool,
}

/// What could not be kept, and how often.
#[derive(Clone, Debug, Default)]
pub struct Warnings(BTreeMap<&'static str, u64>);

impl Warnings {
    fn note(&mut self, text: &'static str) {
        *self.0.entry(text).or_default() += 1;
    }

    /// Each with how often.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(text, count)| format!("{text} ({count})"))
    }
}

/// What came of an archive.
#[derive(Debug)]
pub(crate) struct Unpacked {
    /// Directories that the archive has something in, but does not describe.
    pub(crate) implicit: Vec<Vec<u8>>,
    /// Bytes of all files together.
    pub(crate) bytes: u64,
    pub(crate) warnings: Warnings,
}

/// Unpacks a layer's archive into an empty directory.
pub(crate) fn unpack<I: Input>(input: I, root: OwnedFd, options: &Options) -> Result<Unpacked> {
    let mut unpacker = Unpacker {
        places: Places::new(root),
        whiteouts: Whiteouts::default(),
        warnings: RefCell::default(),
        options,
        umask: umask()?,
        ids: (geteuid().as_raw(), getegid().as_raw()),
        bytes: 0,
    };
    let mut archive = Archive::new(input);
    let mut entries = 0;
    while let Some(entry) = archive.next()? {
        entries += 1;
        if entries > options.limits.entries {
            let what = "the number of entries".into();
            let (entry, limit) = (entry.path, options.limits.entries);
            return Err(Error::Limit { entry, what, limit, option: "--max-entries" });
        }
        unpacker.entry(&mut archive, entry)?;
    }
    unpacker.finish()
}

struct Unpacker<'a> {
    places: Places,
    whiteouts: Whiteouts,
    warnings: RefCell<Warnings>,
    options: &'a Options,
    umask: u32,
    ids: (u32, u32),
    bytes: u64,
}

impl Unpacker<'_> {
    /// Makes what one entry says.
    fn entry<I: Input>(&mut self, archive: &mut Archive<I>, mut entry: Entry) -> Result<()> {
        let path = TreePath::parse(&entry.path, self.options.limits.depth)?;
        self.count(&entry)?;
        if self.options.whiteouts && self.whiteouts.take(&path)? {
            return Ok(());
        }
        let attributes = Attributes::of(&mut entry, self.options, self.warnings.get_mut())?;
        if path.is_root() && entry.kind != Kind::Directory {
            return Err(Error::archive(&entry.path, "it would replace the root directory"));
        }
        match entry.kind {
            Kind::Directory => self.directory(&path, attributes),
            Kind::File => self.file(archive, &entry, &path, &attributes),
            Kind::HardLink => self.hard_link(&entry, &path),
            Kind::Symlink => self.symlink(&entry, &path, &attributes),
            Kind::Char | Kind::Block | Kind::Fifo => self.node(&entry, &path, &attributes),
        }
    }

    fn count(&mut self, entry: &Entry) -> Result<()> {
        self.bytes = self.bytes.saturating_add(entry.size);
        if self.bytes <= self.options.limits.bytes {
            return Ok(());
        }
        let what = format!("the size of the files, {} bytes with this one,", self.bytes);
        let limit = self.options.limits.bytes;
        Err(Error::Limit { entry: entry.path.clone(), what, limit, option: "--max-bytes" })
    }

    fn directory(&mut self, path: &TreePath, attributes: Attributes) -> Result<()> {
        self.places.directory(path.bytes(), path.bytes())?;
        self.places.describe(path.bytes(), attributes);
        Ok(())
    }

    fn file<I: Input>(
        &mut self,
        archive: &mut Archive<I>,
        entry: &Entry,
        path: &TreePath,
        attributes: &Attributes,
    ) -> Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        // Bits that make it more than a plain file come when it is complete.
        let mode = attributes.mode & 0o777;
        let parent = self.places.directory(path.parent(), path.bytes())?;
        let file = openat(parent, path.name(), flags, Mode::from_bits_truncate(mode))
            .map_err(|errno| not_made(path, "file", errno))?;
        let file = File::from(file);
        write_data(archive, entry, &file)?;
        attributes.set(&file, mode & !self.umask, &self.setter(), path.bytes())
    }

    /// Only to what this archive has brought itself: nothing else is in the tree.
    fn hard_link(&mut self, entry: &Entry, path: &TreePath) -> Result<()> {
        let refuse = |why: String| Err(Error::archive(&entry.path, why));
        let target = match TreePath::parse(&entry.link, self.options.limits.depth) {
            Err(e) => return refuse(format!("it is a hard link to what is refused: {e}")),
            Ok(target) => target,
        };
        let missing =
            || format!("it is a hard link to {}, which is not in this archive before it", shown(&entry.link));
        let Some(from) = self.places.existing(target.parent())? else { return refuse(missing()) };
        let from = from.try_clone().doing(|| format!("keep the directory of {}", shown(target.bytes())))?;
        let to = self.places.directory(path.parent(), path.bytes())?;
        match linkat(&from, target.name(), to, path.name(), AtFlags::empty()) {
            Err(Errno::ENOENT) => refuse(missing()),
            Err(Errno::EPERM) => refuse("it is a hard link to a directory".into()),
            Err(errno) => Err(not_made(path, "hard link", errno)),
            Ok(()) => Ok(()),
        }
    }

    fn symlink(&mut self, entry: &Entry, path: &TreePath, attributes: &Attributes) -> Result<()> {
        if entry.link.is_empty() || entry.link.contains(&0) {
            return Err(Error::archive(&entry.path, "it is a symbolic link to nothing, or with a NUL"));
        }
        let parent = self.places.directory(path.parent(), path.bytes())?;
        symlinkat(&entry.link[..], parent, path.name())
            .map_err(|errno| not_made(path, "symbolic link", errno))?;
        let parent = self.places.directory(path.parent(), path.bytes())?;
        let setter = Setter { owners: self.options.owners, ids: self.ids, warnings: &self.warnings };
        attributes.set_at(parent, path.name(), true, &setter, path.bytes())
    }

    fn node(&mut self, entry: &Entry, path: &TreePath, attributes: &Attributes) -> Result<()> {
        let (kind, what) = match entry.kind {
            Kind::Char => (SFlag::S_IFCHR, "character device"),
            Kind::Block => (SFlag::S_IFBLK, "block device"),
            _ => (SFlag::S_IFIFO, "FIFO"),
        };
        let (major, minor) = entry.device;
        if entry.kind == Kind::Char && (major, minor) == (0, 0) {
            return Err(Error::archive(
                &entry.path,
                "it is the device 0/0, which overlayfs takes for a whiteout",
            ));
        }
        // What the kernel has room for (makedev(3)).
        if major >= 1 << 12 || minor >= 1 << 20 {
            return Err(Error::archive(&entry.path, format!("there is no device {major}/{minor}")));
        }
        let parent = self.places.directory(path.parent(), path.bytes())?;
        let mode = Mode::from_bits_truncate(attributes.mode & 0o777);
        match mknodat(parent, path.name(), kind, mode, makedev(major, minor)) {
            Err(Errno::EPERM) if entry.kind != Kind::Fifo => {
                let text = "device nodes are left out: in a user namespace, or without CAP_MKNOD, nobody can make them";
                self.warnings.get_mut().note(text);
                return Ok(());
            }
            made => made.map_err(|errno| not_made(path, what, errno))?,
        }
        let setter = Setter { owners: self.options.owners, ids: self.ids, warnings: &self.warnings };
        attributes.set_at(parent, path.name(), false, &setter, path.bytes())
    }

    fn setter(&self) -> Setter<'_> {
        Setter { owners: self.options.owners, ids: self.ids, warnings: &self.warnings }
    }

    /// Whiteouts, and then the attributes of directories, children first: nothing changes in them any more.
    fn finish(mut self) -> Result<Unpacked> {
        self.whiteouts.make(&mut self.places, self.options.mark)?;
        self.places.leave();
        let made = std::mem::take(&mut self.places.made);
        let mut implicit = Vec::new();
        for (path, attributes) in made.into_iter().rev() {
            let dir =
                super::file::open_beneath(self.places.root(), &path, libc::O_RDONLY | libc::O_DIRECTORY)
                    .doing(|| format!("open the directory {}", shown(&path)))?;
            if let Some(attributes) = attributes {
                attributes.set(&dir, 0o10_000, &self.setter(), &path)?;
            } else {
                nix::sys::stat::fchmod(&dir, Mode::from_bits_truncate(0o755))
                    .doing(|| format!("set the mode of {}", shown(&path)))?;
                implicit.push(path);
            }
        }
        Ok(Unpacked { implicit, bytes: self.bytes, warnings: self.warnings.into_inner() })
    }
}

/// Writes the content of a file: all of it, or its pieces with holes between them.
fn write_data<I: Input>(archive: &mut Archive<I>, entry: &Entry, file: &File) -> Result<()> {
    let whole = [(0, entry.size)];
    for (offset, length) in entry.pieces.as_deref().unwrap_or(&whole) {
        let mut at = *offset;
        let end = offset + length;
        while at < end {
            let data = archive.data()?;
            let step = data.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
            if step == 0 {
                return Err(Error::archive(&entry.path, "its data are shorter than it says"));
            }
            file.write_all_at(&data[..step], at).doing(|| format!("write {}", shown(&entry.path)))?;
            archive.used(step);
            at += step as u64;
        }
    }
    if entry.pieces.is_some() {
        let length = i64::try_from(entry.size).unwrap_or(i64::MAX);
        ftruncate(file, length).doing(|| format!("set the length of {}", shown(&entry.path)))?;
    }
    Ok(())
}

/// Why something could not be made. What is there already, this archive has brought.
fn not_made(path: &TreePath, what: &str, errno: Errno) -> Error {
    match errno {
        Errno::EEXIST | Errno::EISDIR => Error::archive(path.bytes(), "there are two entries of this name"),
        Errno::ENAMETOOLONG => Error::archive(path.bytes(), "what it leads to is too long"),
        errno => Error::Kernel {
            doing: format!("make the {what} {}", shown(path.bytes())),
            call: "",
            errno,
            hint: "",
        },
    }
}

/// The permission bits that new files do not get. umask(2) can only be asked by changing it, for all threads.
fn umask() -> Result<u32> {
    let status = std::fs::read_to_string("/proc/self/status").doing(|| "read /proc/self/status".into())?;
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    Ok(mask.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok()).unwrap_or(0o777))
}

#[cfg(test)]
mod gnu;
#[cfg(test)]
mod tests;
