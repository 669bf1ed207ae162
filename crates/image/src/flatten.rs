//! The layers of an image as one directory tree, without mounting them: what is seen is copied, what is hidden is not.

use std::collections::{BTreeSet, HashMap};
use std::ffi::CString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::rc::Rc;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, mkdirat, mknodat};
use nix::unistd::{Whence, ftruncate, getegid, geteuid, linkat, lseek64, symlinkat};
use orlop_sys::{Fd, xattr};

use crate::error::{Doing as _, Error, Result, shown};
use crate::file;
use crate::tar::Time;
use crate::tree::{Directory, Found, Tree};
use crate::unpack::attributes::{Attributes, Setter};
use crate::unpack::path::join;
use crate::unpack::{Owners, Warnings};

/// Copies a tree into an empty directory. `implicit` are the directories of each layer whose attributes nobody chose, so
/// that those of a lower layer hold.
pub(crate) fn flatten(
    tree: &Tree,
    implicit: &[BTreeSet<Vec<u8>>],
    to: &OwnedFd,
    owners: Owners,
) -> Result<Warnings> {
    copy(tree.root(), b"", implicit, to, owners)
}

/// Copies what is in a directory of a tree, which has this path there, and what the directory itself is like.
pub(crate) fn copy(
    from: &Directory,
    path: &[u8],
    implicit: &[BTreeSet<Vec<u8>>],
    to: &OwnedFd,
    owners: Owners,
) -> Result<Warnings> {
    let warnings = std::cell::RefCell::default();
    let ids = (geteuid().as_raw(), getegid().as_raw());
    let setter = Setter { owners, ids, warnings: &warnings };
    let mut copier = Copier { root: to, start: path.len(), implicit, setter, links: HashMap::new() };
    copier.directory(from, to, path)?;
    Ok(warnings.into_inner())
}

/// Copies a directory, as it is, into an empty one.
pub(crate) fn copy_directory(from: &OwnedFd, to: &OwnedFd) -> Result<()> {
    let from = from.try_clone().doing(|| "keep a directory".into())?;
    let owners = if geteuid().is_root() { Owners::Keep } else { Owners::Caller };
    flatten(&Tree::of_directory(from), &[], to, owners).map(drop)
}

struct Copier<'a> {
    root: &'a OwnedFd,
    /// How long the path is that has become the root.
    start: usize,
    implicit: &'a [BTreeSet<Vec<u8>>],
    setter: Setter<'a>,
    /// Files with several names, by layer and inode: the path of the first.
    links: HashMap<(usize, u64), Vec<u8>>,
}

impl Copier<'_> {
    /// Copies what is in a directory, and then what it is like.
    fn directory(&mut self, from: &Directory, to: &OwnedFd, path: &[u8]) -> Result<()> {
        for name in from.names().doing(|| format!("list the directory {}", shown(path)))? {
            let child = join(path, &name);
            match from.look_up(&name).doing(|| format!("look at {}", shown(&child)))? {
                Found::Nothing => {}
                Found::Directory(below) => {
                    let doing = || format!("make the directory {}", shown(&child));
                    mkdirat(to, &name[..], Mode::S_IRWXU).doing(doing)?;
                    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                    let made = openat(to, &name[..], flags, Mode::empty()).doing(doing)?;
                    self.directory(&below, &made, &child)?;
                }
                Found::Other(layer, dir, stat) => self.other(layer, &dir, &stat, to, &child)?,
            }
        }
        let Some((_, dir)) = described(from, path, self.implicit).or(from.0.first()) else { return Ok(()) };
        let stat = fstat(&**dir).doing(|| format!("look at {}", shown(path)))?;
        // The kernel sets attributes of what is open for reading, not of an O_PATH descriptor.
        let to = openat(to, c".", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
        let to = to.doing(|| format!("open the directory {}", shown(path)))?;
        attributes(dir, &stat, path)?.set(&to, 0o10_000, &self.setter, path)
    }

    /// Copies anything but a directory.
    fn other(
        &mut self,
        layer: usize,
        dir: &OwnedFd,
        stat: &FileStat,
        to: &OwnedFd,
        path: &[u8],
    ) -> Result<()> {
        let doing = || format!("copy {}", shown(path));
        let name = path.rsplit(|b| *b == b'/').next().unwrap_or(path);
        if stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&(layer, stat.st_ino)) {
                let first = first[self.start..].strip_prefix(b"/").unwrap_or(&first[self.start..]);
                return self.link(first, to, name).doing(doing);
            }
            self.links.insert((layer, stat.st_ino), path.to_vec());
        }
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let source = openat(dir, name, flags, Mode::empty()).doing(doing)?;
        let attributes = attributes(&source, stat, path)?;
        let kind = SFlag::from_bits_truncate(stat.st_mode & libc::S_IFMT);
        match kind {
            SFlag::S_IFREG => {
                let source =
                    openat(dir, name, OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty());
                let flags =
                    OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                let made = File::from(openat(to, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).doing(doing)?);
                copy_data(&File::from(source.doing(doing)?), &made, stat).doing(doing)?;
                return attributes.set(&made, 0o10_000, &self.setter, path);
            }
            SFlag::S_IFLNK => {
                let target = readlinkat(dir, name).doing(doing)?;
                symlinkat(target.as_bytes(), to, name).doing(doing)?;
            }
            _ => mknodat(to, name, kind, Mode::S_IRUSR | Mode::S_IWUSR, stat.st_rdev).doing(doing)?,
        }
        attributes.set_at(to, name, kind == SFlag::S_IFLNK, &self.setter, path)
    }

    /// Another name for what was copied already.
    fn link(&self, first: &[u8], to: &OwnedFd, name: &[u8]) -> std::result::Result<(), Errno> {
        let (parent, first) = match first.iter().rposition(|b| *b == b'/') {
            Some(at) => (&first[..at], &first[at + 1..]),
            None => (&b""[..], first),
        };
        let parent = file::open_beneath(self.root, parent, libc::O_PATH | libc::O_DIRECTORY)
            .map_err(|e| Errno::from_raw(e.errno()))?;
        linkat(&parent, first, to, name, AtFlags::empty())
    }
}

/// Copies the content of a file, without its holes.
fn copy_data(from: &File, to: &File, stat: &FileStat) -> std::io::Result<()> {
    if stat.st_blocks * 512 >= stat.st_size {
        // In the kernel, where that is possible.
        return std::io::copy(&mut &*from, &mut &*to).map(drop);
    }
    let mut at = 0;
    let mut buf = vec![0; 64 << 10];
    loop {
        let data = match lseek64(from, at, Whence::SeekData) {
            Err(Errno::ENXIO) => break,
            data => data?,
        };
        let end = lseek64(from, data, Whence::SeekHole)?;
        at = data;
        while at < end {
            let length = buf.len().min((end - at) as usize);
            let n = from.read_at(&mut buf[..length], at as u64)?;
            if n == 0 {
                break;
            }
            to.write_all_at(&buf[..n], at as u64)?;
            at += n as i64;
        }
        at = end;
    }
    ftruncate(to, stat.st_size)?;
    Ok(())
}

/// Of the directories that are seen as one, the topmost whose attributes somebody chose.
pub(crate) fn described<'a>(
    dir: &'a Directory,
    path: &[u8],
    implicit: &[BTreeSet<Vec<u8>>],
) -> Option<&'a (usize, Rc<OwnedFd>)> {
    dir.0.iter().find(|(layer, _)| !implicit.get(*layer).is_some_and(|implicit| implicit.contains(path)))
}

/// What a file is like, besides its content; without what only overlayfs reads.
pub(crate) fn attributes(file: &OwnedFd, stat: &FileStat, path: &[u8]) -> Result<Attributes> {
    let extended = extended(file).map_err(|e| {
        let errno = Errno::from_raw(e.errno());
        Error::Kernel {
            doing: format!("read the attributes of {}", shown(path)),
            call: e.call_name(),
            errno,
            hint: "",
        }
    })?;
    let mtime = Time { seconds: stat.st_mtime, nanoseconds: stat.st_mtime_nsec as u32 };
    Ok(Attributes { mode: stat.st_mode & 0o7777, uid: stat.st_uid, gid: stat.st_gid, mtime, extended })
}

/// Longer than any list or value of attributes ([xattr(7)](https://man7.org/linux/man-pages/man7/xattr.7.html)).
const LONGEST: usize = 64 << 10;

fn extended(file: &OwnedFd) -> orlop_sys::Result<Vec<(CString, Vec<u8>)>> {
    let fd = Fd::of(file);
    // Most files have none.
    match xattr::list(fd, &mut []) {
        Ok(0) => return Ok(Vec::new()),
        Err(e) if e.is(libc::EOPNOTSUPP) => return Ok(Vec::new()),
        other => other?,
    };
    let mut names = vec![0; LONGEST];
    let length = xattr::list(fd, &mut names)?;
    let mut found = Vec::new();
    for name in names[..length].split(|b| *b == 0).filter(|name| !name.is_empty()) {
        let of_host = name.starts_with(b"security.") && name != b"security.capability";
        if of_host || name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") {
            continue;
        }
        let Ok(name) = CString::new(name) else { continue };
        let mut value = vec![0; LONGEST];
        let length = xattr::get(fd, &name, &mut value)?;
        value.truncate(length);
        found.push((name, value));
    }
    Ok(found)
}
