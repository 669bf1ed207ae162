//! Standard input, output and error: where they led outside the container, they lead to those of whoever restores it.
//!
//! `descriptors.json` in the directory of the images has one entry for each, as with runc and crun: the key under which
//! CRIU knows what is outside.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use orlop_sys::{Fd, file};

use super::{CriuError, Message, numbered, opt};
use crate::error::{Doing, Error, Result};
use crate::held::Stdio;
use crate::host_mounts::parse_mount_id;

const FILE: &str = "descriptors.json";

/// Standard input, output and error.
const STANDARD: std::ops::Range<u32> = 0..3;

/// Device numbers of pseudo-terminals, as Linux assigns them (`devices.txt`).
const TERMINALS: std::ops::RangeInclusive<u32> = 136..=143;

/// What a container's are, those that its holder gives it or else our own, as far as that must be known before a dump: the key of
/// a pipe, and nothing for anything else.
pub(crate) fn of(held: Option<&Stdio>) -> Vec<String> {
    with_each(held, |each| each.map(|fd| pipe(fd).unwrap_or_default()).into())
}

/// The key of a pipe without a name, as its link in `/proc/PID/fd` has it. Reading that link takes the kernel thirty times as
/// long.
fn pipe(fd: BorrowedFd<'_>) -> Option<String> {
    const PIPEFS_MAGIC: i64 = 0x5049_5045;
    let status = file::fstat(Fd::of(&fd)).ok()?;
    let is_pipe =
        status.is(libc::S_IFIFO) && file::fstatfs_type(Fd::of(&fd)).is_ok_and(|kind| kind == PIPEFS_MAGIC);
    is_pipe.then(|| format!("pipe:[{}]", status.ino))
}

fn with_each<R>(held: Option<&Stdio>, work: impl FnOnce([BorrowedFd<'_>; 3]) -> R) -> R {
    if let Some(held) = held {
        return work(held.each().map(AsFd::as_fd));
    }
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    work([stdin.as_fd(), stdout.as_fd(), stderr.as_fd()])
}

/// For a dump. Pipes CRIU finds by itself; of files and terminals outside it has to be told.
///
/// # Errors
///
/// [`Error::Kernel`].
pub(crate) fn save(opts: &mut Message, images: &Path, descriptors: &[String], pid: i32) -> Result<()> {
    let mut keys = descriptors.to_vec();
    let mounts = mounts_of(pid)?;
    for (number, key) in STANDARD.zip(&mut keys).filter(|(_, key)| !key.starts_with("pipe:")) {
        if let Some(file) = outside(pid, number, &mounts) {
            opts.text(opt::EXTERNAL, &file);
            *key = file;
        }
    }
    let path = images.join(FILE);
    let text =
        serde_json::to_vec(&keys).map_err(|e| Error::State { path: path.clone(), why: e.to_string() })?;
    std::fs::write(&path, text).doing(|| format!("write {}", path.display()))
}

/// The ids of the mounts that a process sees
/// ([proc_pid_mountinfo(5)](https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html)).
fn mounts_of(pid: i32) -> Result<Vec<u64>> {
    let path = format!("/proc/{pid}/mountinfo");
    let text = std::fs::read_to_string(&path).doing(|| format!("read {path}"))?;
    Ok(text.lines().filter_map(|line| line.split(' ').next()?.parse().ok()).collect())
}

/// CRIU's key for a regular file or a terminal on a mount that the container does not have.
fn outside(pid: i32, number: u32, mounts: &[u64]) -> Option<String> {
    let file = std::fs::metadata(format!("/proc/{pid}/fd/{number}")).ok()?;
    let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).ok()?;
    let mount = parse_mount_id(&info)?;
    if mounts.contains(&mount) {
        return None;
    }
    if file.is_file() {
        return Some(format!("file[{mount:x}:{:x}]", file.ino()));
    }
    let is_terminal = file.file_type().is_char_device() && TERMINALS.contains(&libc::major(file.rdev()));
    is_terminal.then(|| format!("tty[{:x}:{:x}]", file.rdev(), file.dev()))
}

/// For restoring: what was outside is replaced by what the holder, or this process, has in the same place. CRIU inherits
/// copies: it has uses of its own for the standard ones. It deals with the rest itself.
///
/// # Errors
///
/// [`CriuError::Images`]: this is no checkpoint of a container.
pub(crate) fn supply(opts: &mut Message, images: &Path, held: Option<&Stdio>) -> Result<Vec<OwnedFd>> {
    let path = images.join(FILE);
    let bad = |why: String| CriuError::Images { path: path.clone(), why };
    let text = std::fs::read(&path).map_err(|e| bad(format!("this is no checkpoint of a container: {e}")))?;
    let keys: Vec<String> = serde_json::from_slice(&text).map_err(|e| bad(e.to_string()))?;
    with_each(held, |each| inherit(opts, &keys, each))
}

fn inherit(opts: &mut Message, keys: &[String], each: [BorrowedFd<'_>; 3]) -> Result<Vec<OwnedFd>> {
    let mut inherit = Vec::new();
    for (key, own) in keys.iter().zip(each) {
        if ["pipe:", "file[", "tty["].iter().any(|kind| key.starts_with(kind)) {
            let copy = own.try_clone_to_owned().doing(|| format!("copy a descriptor for {key}"))?;
            opts.message(opt::INHERIT_FD, &numbered(key, copy.as_raw_fd() as u32));
            inherit.push(copy);
        }
    }
    Ok(inherit)
}
