//! Standard input, output and error: where they led outside the container, they lead to those of whoever restores it.
//!
//! `descriptors.json` in the directory of the images has one entry for each, as with runc and crun: the key under which
//! CRIU knows what is outside.

use std::path::Path;

use super::{CriuError, Message, numbered, opt};
use crate::error::{Doing, Error, Result};

const FILE: &str = "descriptors.json";

/// Standard input, output and error.
const STANDARD: std::ops::Range<u32> = 0..3;

/// What our own are, for a container that gets them.
pub(crate) fn ours() -> Vec<String> {
    let link = |number| std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap_or_default();
    STANDARD.map(|number| link(number).to_string_lossy().into_owned()).collect()
}

/// For a dump. Pipes CRIU finds by itself; of files outside, which a pipe may have been replaced by in a shell that
/// started the container, it has to be told.
///
/// # Errors
///
/// [`Error::Kernel`].
pub(crate) fn save(opts: &mut Message, images: &Path, descriptors: &[String], pid: i32) -> Result<()> {
    let mut keys = descriptors.to_vec();
    let mounts = mounts_of(pid)?;
    for (number, key) in STANDARD.zip(&mut keys).filter(|(_, key)| key.starts_with('/')) {
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

/// CRIU's key for a regular file on a mount that the container does not have.
fn outside(pid: i32, number: u32, mounts: &[u64]) -> Option<String> {
    let regular = std::fs::metadata(format!("/proc/{pid}/fd/{number}")).is_ok_and(|file| file.is_file());
    let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).ok()?;
    let field = |name| info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    let (mount, inode) = (field("mnt_id:")?, field("ino:")?);
    (regular && !mounts.contains(&mount)).then(|| format!("file[{mount:x}:{inode:x}]"))
}

/// For restoring: what was outside is replaced by what we have under the same number. CRIU itself deals with the rest.
///
/// # Errors
///
/// [`CriuError::Images`]: this is no checkpoint of a container.
pub(crate) fn supply(opts: &mut Message, images: &Path) -> Result<()> {
    let path = images.join(FILE);
    let bad = |why: String| CriuError::Images { path: path.clone(), why };
    let text = std::fs::read(&path).map_err(|e| bad(format!("this is no checkpoint of a container: {e}")))?;
    let keys: Vec<String> = serde_json::from_slice(&text).map_err(|e| bad(e.to_string()))?;
    for (number, key) in STANDARD.zip(&keys) {
        if key.starts_with("pipe:") || key.starts_with("file[") {
            opts.message(opt::INHERIT_FD, &numbered(key, number));
        }
    }
    Ok(())
}
