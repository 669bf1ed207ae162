//! Finding and making paths inside the container's root.
//!
//! The root's content belongs to the container: any part of any path may be a symbolic link, and may be exchanged while
//! we look. So every look-up starts at the root's descriptor and stays inside by openat2(2); what is missing is made with
//! the `*at` calls relative to the descriptor of its verified parent, one name at a time, never following a link.

use crate::mounts::MOUNT_POINT;
use core::ffi::CStr;
use orlop_sys::file::{How, IN_ROOT};
use orlop_sys::name::Name;
use orlop_sys::{Error, Fd, OwnedFd, Result, file};

/// How many symbolic links that lead to something missing are followed for one path.
const LINKS: u32 = 8;

/// The directory at `path` in the root, with every missing one made, with this mode.
pub fn directory(root: Fd, path: &[u8], mode: u32) -> Result<OwnedFd> {
    directory_by(root, path, mode, LINKS)
}

fn directory_by(root: Fd, path: &[u8], mode: u32, links: u32) -> Result<OwnedFd> {
    let mut name = Name::new();
    let how = How { flags: libc::O_PATH | libc::O_DIRECTORY, mode: 0, resolve: IN_ROOT };
    // The whole path first: usually it is there.
    match file::openat2(root, or_dot(name.set(path)?), how) {
        Err(e) if e.is(libc::ENOENT) => {}
        found => return found,
    }
    // Then what it is to be made in: often that is there.
    let (above, last) = split(path);
    if let Ok(parent) = file::openat2(root, or_dot(name.set(above)?), how)
        && file::mkdirat(parent.fd(), name.set(last)?, mode).is_ok()
    {
        return open_made(parent.fd(), name.set(last)?);
    }
    let mut dir = file::openat2(root, c".", how)?;
    let mut missing = false;
    let mut start = 0;
    for component in path.split(|b| *b == b'/') {
        let end = start + component.len();
        let (above, rest) = (path.get(..start).unwrap_or(b""), path.get(end..).unwrap_or(b""));
        let prefix = path.get(..end).unwrap_or(path);
        start = end + 1;
        if component.is_empty() || component == b"." {
            continue;
        }
        if !missing {
            match file::openat2(root, name.set(prefix)?, how) {
                Ok(found) => {
                    dir = found;
                    continue;
                }
                Err(e) if e.is(libc::ENOENT) => missing = true,
                Err(e) => return Err(e),
            }
            if let Some(path) = link_target(dir.fd(), name.set(component)?, above, rest, &mut [0; 4096])? {
                let links = links.checked_sub(1).ok_or(Error::of(libc::SYS_openat2, libc::ELOOP))?;
                return directory_by(root, path, mode, links);
            }
        }
        dir = make_directory(dir.fd(), name.set(component)?, mode)?;
    }
    Ok(dir)
}

/// If `name` in a directory is a symbolic link to something that is missing: the path that it stands for, with what comes
/// before and after it. The kernel follows links to what exists; what is missing is made where they lead to, inside the
/// root like every path.
fn link_target<'a>(
    dir: Fd,
    name: &CStr,
    above: &[u8],
    rest: &[u8],
    path: &'a mut [u8; 4096],
) -> Result<Option<&'a [u8]>> {
    let mut target = [0; 4096];
    let length = match file::readlinkat(dir, name, &mut target) {
        Err(e) if e.is(libc::EINVAL) || e.is(libc::ENOENT) => return Ok(None),
        length => length?,
    };
    let target = target.get(..length).unwrap_or(b"");
    let above = if target.starts_with(b"/") { b"" } else { above };
    let mut filled = 0;
    for part in [above, target, rest] {
        let room = path.get_mut(filled..filled + part.len());
        room.ok_or(Error::of(libc::SYS_openat2, libc::ENAMETOOLONG))?.copy_from_slice(part);
        filled += part.len();
    }
    Ok(path.get(..filled))
}

/// The directory at `path` in the root.
pub(crate) fn existing_directory(root: Fd, path: &[u8]) -> Result<OwnedFd> {
    let how = How { flags: libc::O_PATH | libc::O_DIRECTORY, mode: 0, resolve: IN_ROOT };
    file::openat2(root, or_dot(Name::new().set(path)?), how)
}

/// Makes one directory in a verified parent, and opens it. Losing a race against somebody who makes it too is fine, a
/// link in its place is not.
fn make_directory(parent: Fd, name: &CStr, mode: u32) -> Result<OwnedFd> {
    if name == c".." {
        return Err(Error::of(libc::SYS_mkdirat, libc::EINVAL));
    }
    match file::mkdirat(parent, name, mode) {
        Err(e) if !e.is(libc::EEXIST) => return Err(e),
        _ => {}
    }
    open_made(parent, name)
}

fn open_made(parent: Fd, name: &CStr) -> Result<OwnedFd> {
    file::openat(parent, name, libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW, 0)
}

/// The directory at `path`, which must not be a symbolic link nor lie below one: where procfs or sysfs is mounted, since
/// what is written there later must not land in a file system of the container's choice.
pub fn real_directory(root: Fd, path: &[u8]) -> Result<OwnedFd> {
    let path = path.trim_ascii_start();
    let relative = path.iter().position(|b| *b != b'/').and_then(|at| path.get(at..)).unwrap_or(b".");
    let mut name = Name::new();
    let how = How {
        flags: libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW,
        mode: 0,
        resolve: libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS,
    };
    match file::openat2(root, name.set(relative)?, how) {
        Err(e) if e.is(libc::ENOENT) => {}
        found => return found,
    }
    directory(root, relative, MOUNT_POINT)?;
    file::openat2(root, name.set(relative)?, how)
}

/// What is at `path`, or an empty file made there, with every missing directory above it.
pub fn file_or_new(root: Fd, path: &[u8]) -> Result<OwnedFd> {
    file_by(root, path, LINKS)
}

fn file_by(root: Fd, path: &[u8], links: u32) -> Result<OwnedFd> {
    let mut name = Name::new();
    match file::open_path_in_root(root, name.set(path)?) {
        Err(e) if e.is(libc::ENOENT) => {}
        found => return found,
    }
    let (above, last) = split(path);
    let parent = directory(root, above, MOUNT_POINT)?;
    let last = name.set(last)?;
    match file::mknodat(parent.fd(), last, libc::S_IFREG | 0o644, 0) {
        Err(e) if e.is(libc::EEXIST) => {}
        Err(e) => return Err(e),
        Ok(()) => return file::openat(parent.fd(), last, libc::O_PATH | libc::O_NOFOLLOW, 0),
    }
    let above = path.get(..=above.len()).unwrap_or(b"");
    match link_target(parent.fd(), last, above, b"", &mut [0; 4096])? {
        Some(path) => {
            let links = links.checked_sub(1).ok_or(Error::of(libc::SYS_openat2, libc::ELOOP))?;
            file_by(root, path, links)
        }
        None => file::openat(parent.fd(), last, libc::O_PATH | libc::O_NOFOLLOW, 0),
    }
}

/// Where something is mounted: a directory or a file, made if it is missing.
///
/// In a procfs, no symbolic link may be on the way: an image could lead any mount over files there that are written to
/// later, such as those for security labels (CVE-2019-19921). What the config names itself, the compiler has checked.
pub fn place(root: Fd, path: &[u8], is_directory: bool) -> Result<OwnedFd> {
    const PROC_MAGIC: i64 = 0x9fa0;
    let found = if is_directory { directory(root, path, MOUNT_POINT)? } else { file_or_new(root, path)? };
    if file::fstatfs_type(found.fd())? != PROC_MAGIC {
        return Ok(found);
    }
    let resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_SYMLINKS;
    file::openat2(root, Name::new().set(path)?, How { flags: libc::O_PATH, mode: 0, resolve })
}

/// A path's directory part and its last name.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (path.get(..at).unwrap_or(b""), path.get(at + 1..).unwrap_or(b"")),
        None => (b"", path),
    }
}

/// openat2(2) does not take an empty path; here it means the root.
fn or_dot(path: &CStr) -> &CStr {
    if path.is_empty() { c"." } else { path }
}
