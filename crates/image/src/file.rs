//! Files by descriptor: what several parts of this crate do with them.

use std::ffi::CString;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use orlop_sys::Fd;
use orlop_sys::file::{How, openat2};

use crate::error::Doing as _;

/// Opens what is at a path below a directory, without following a link on the way or at its end; an empty path is the
/// directory itself.
pub(crate) fn open_beneath(dir: &OwnedFd, path: &[u8], flags: i32) -> orlop_sys::Result<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    let nul = orlop_sys::Error::of(libc::SYS_openat2, libc::EINVAL);
    let path = CString::new(path).map_err(|_| nul)?;
    let resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS;
    openat2(Fd::of(dir), &path, How { flags, mode: 0, resolve }).map(Into::into)
}

/// The names in a directory, sorted.
pub(crate) fn names(dir: &OwnedFd) -> Result<Vec<Vec<u8>>, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut names = Vec::new();
    for entry in Dir::openat(dir, c".", flags, Mode::empty())?.iter() {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// A name that nobody else has, for a while.
pub(crate) fn free_name() -> String {
    let random = RandomState::new().build_hasher().finish();
    format!("{}-{random:016x}", std::process::id())
}

/// Removes a tree, with directories in it that not even their owner may enter, as overlayfs makes one. It may be gone
/// already.
///
/// # Errors
///
/// The kernel's answer.
pub fn remove_tree(path: &Path) -> crate::Result<()> {
    let doing = || format!("remove {}", path.display());
    let (above, name) = path.parent().zip(path.file_name()).ok_or(Errno::EINVAL).doing(doing)?;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let above = match open(above, flags, Mode::empty()) {
        Err(Errno::ENOENT) => return Ok(()),
        opened => opened.doing(doing)?,
    };
    remove_all(&above, name.as_bytes()).doing(doing)
}

/// Removes what has this name in a directory, with everything below it; what is not there is removed.
pub(crate) fn remove_all(dir: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
    match unlinkat(dir, name, UnlinkatFlags::NoRemoveDir) {
        // Of a directory: EISDIR says Linux, EPERM POSIX.
        Err(Errno::EISDIR | Errno::EPERM) => {}
        Err(Errno::ENOENT) => return Ok(()),
        done => return done,
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let below = match openat(dir, name, flags, Mode::empty()) {
        // A directory of ours that nobody but root could read: an image's author chose its mode.
        Err(Errno::EACCES) => {
            allow_owner(dir, name)?;
            openat(dir, name, flags, Mode::empty())?
        }
        opened => opened?,
    };
    for (index, child) in names(&below)?.into_iter().enumerate() {
        match remove_all(&below, &child) {
            Err(Errno::EACCES) if index == 0 => {
                allow_owner(dir, name)?;
                remove_all(&below, &child)?;
            }
            done => done?,
        }
    }
    match unlinkat(dir, name, UnlinkatFlags::RemoveDir) {
        Err(Errno::ENOENT) => Ok(()),
        done => done,
    }
}

/// Lets the owner of a directory in.
fn allow_owner(dir: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
    let stat = fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    if stat.st_mode & libc::S_IFMT != libc::S_IFDIR {
        return Err(Errno::ENOTDIR);
    }
    fchmodat(dir, name, Mode::S_IRWXU, FchmodatFlags::FollowSymlink)
}

/// Reads a file of at most so many bytes; `None` if it is longer.
pub(crate) fn read_at_most(file: std::fs::File, limit: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}
