//! What a new file system takes over from the directory that it covers: owner, and a copy of what is in it.
//!
//! The directory belongs to the container and may be changed while it is copied: nothing is followed, and what is read is
//! checked after it was opened. The copy stays in a file system of the container's.

use crate::Machine;
use crate::machine::Outcome;
use core::ffi::CStr;
use orlop_program::{Slot, Str};
use orlop_sys::directory::Entries;
use orlop_sys::file::{self, How, IN_ROOT, Status};
use orlop_sys::name::Name;
use orlop_sys::{Error, Fd, OwnedFd, Result};

const PERMISSIONS: u32 = 0o7777;
/// How deep directories may lie: each level takes some of the stack.
const DEPTH: u32 = 256;
/// How much of a file is asked for at once.
const CHUNK: usize = 1 << 20;

/// Opens a directory that is about to be covered. There need not be one.
pub fn open_covered(machine: &mut Machine<'_>, path: Str<'_>, slot: Slot) -> Outcome {
    match directory(machine.root(), path) {
        Ok(found) => machine.keep(slot, found),
        Err(e) if e.is(libc::ENOENT) => {}
        Err(e) => return Err(e.into()),
    }
    Ok(())
}

/// Fills the file system at `target` with what it covers.
pub fn take_over(machine: &mut Machine<'_>, from: Slot, target: Str<'_>, owner: bool) -> Outcome {
    let Some(from) = machine.take(from) else { return Ok(()) };
    let to = directory(machine.root(), target)?;
    if owner {
        own(to.fd(), c".", &file::fstat(from.fd())?)?;
    }
    Ok(content(from.fd(), to.fd(), DEPTH)?)
}

fn directory(root: Fd, path: Str<'_>) -> Result<OwnedFd> {
    let how = How { flags: libc::O_PATH | libc::O_DIRECTORY, mode: 0, resolve: IN_ROOT };
    file::openat2(root, Name::new().set(path.bytes())?, how)
}

/// Copies everything in a directory.
fn content(from: Fd, to: Fd, depth: u32) -> Result<()> {
    let Some(depth) = depth.checked_sub(1) else { return Err(Error::of(libc::SYS_openat, libc::ELOOP)) };
    let mut entries = Entries::of(from)?;
    while let Some(name) = entries.next()? {
        entry(from, to, name, depth)?;
    }
    Ok(())
}

/// Copies one thing of whatever type.
fn entry(from: Fd, to: Fd, name: &CStr, depth: u32) -> Result<()> {
    let found = file::openat(from, name, libc::O_PATH | libc::O_NOFOLLOW, 0)?;
    let status = file::fstat(found.fd())?;
    match status.mode & libc::S_IFMT {
        libc::S_IFLNK => {
            let mut target = [0; 4096];
            let length = file::readlinkat(found.fd(), c"", &mut target)?;
            file::symlinkat(Name::new().set(target.get(..length).unwrap_or(&[]))?, to, name)?;
            return own(to, name, &status);
        }
        libc::S_IFDIR => {
            file::mkdirat(to, name, 0o700)?;
            let made = file::openat(to, name, libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW, 0)?;
            content(found.fd(), made.fd(), depth)?;
        }
        libc::S_IFREG => regular(from, to, name)?,
        _ => file::mknodat(to, name, status.mode, status.rdev)?,
    }
    own(to, name, &status)?;
    // A change of owner takes set-id bits away.
    file::fchmodat(to, name, status.mode & PERMISSIONS)
}

fn regular(from: Fd, to: Fd, name: &CStr) -> Result<()> {
    let source = file::openat(from, name, libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK, 0)?;
    if !file::fstat(source.fd())?.is(libc::S_IFREG) {
        return Err(Error::of(libc::SYS_openat, libc::ESTALE));
    }
    let made =
        file::openat(to, name, libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW, 0o600)?;
    while file::sendfile(made.fd(), source.fd(), CHUNK)? > 0 {}
    Ok(())
}

/// Gives a name the owner that another has. One that this user namespace does not have cannot be given.
fn own(to: Fd, name: &CStr, status: &Status) -> Result<()> {
    match file::fchownat(to, name, status.uid, status.gid, libc::AT_SYMLINK_NOFOLLOW) {
        Err(e) if !e.is(libc::EINVAL) => Err(e),
        _ => Ok(()),
    }
}
