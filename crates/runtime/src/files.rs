//! Files and descriptors that the caller hands over or asks for.

use std::io::{Read as _, Write as _};
use std::os::fd::RawFd;
use std::path::Path;

use orlop_sys::Fd;

use crate::error::{Doing, Error, Result};

/// Writes a process id for an engine that watches the file: it appears whole or not at all.
///
/// # Errors
///
/// [`Error::Kernel`].
pub(crate) fn write_pid(path: &Path, pid: i32) -> Result<()> {
    let doing = || format!("write the pid file {}", path.display());
    let name = path.file_name().ok_or(nix::errno::Errno::EISDIR).doing(doing)?;
    let mut draft = std::ffi::OsString::from(".");
    draft.push(name);
    draft.push(format!(".{}", std::process::id()));
    let draft = path.with_file_name(draft);
    let written = std::fs::File::create_new(&draft)
        .and_then(|mut file| write!(file, "{pid}"))
        .and_then(|()| std::fs::rename(&draft, path));
    if written.is_err() {
        // Whatever of it exists; the reason for the failure is what the caller hears.
        std::fs::remove_file(&draft).ok();
    }
    written.doing(doing)
}

/// Reads a document from a file, or from standard input if it is `-`; its name, for messages, and its text.
///
/// # Errors
///
/// [`Error::Kernel`].
pub(crate) fn read_document(path: &Path) -> Result<(&Path, Vec<u8>)> {
    if path != Path::new("-") {
        return Ok((path, std::fs::read(path).doing(|| format!("read {}", path.display()))?));
    }
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text).doing(|| "read standard input".to_owned())?;
    Ok((Path::new("standard input"), text))
}

/// Checks that the descriptors to preserve are there, before any of ours can take their numbers.
///
/// # Errors
///
/// [`Error::Usage`] names the first that is not open.
pub(crate) fn check_preserved(count: u32) -> Result<()> {
    let all = listen_fds().saturating_add(count);
    for number in 3..3_u32.saturating_add(all) {
        if !is_open(number as RawFd) {
            return Err(Error::usage(format!(
                "please check that file descriptors 3..{} exist: {number} is not open",
                2 + all
            )));
        }
    }
    Ok(())
}

fn is_open(number: RawFd) -> bool {
    orlop_sys::file::fstat(Fd::from_raw(number)).is_ok()
}

/// How many listening sockets from 3 on the caller passes on ([sd_listen_fds(3)](https://man7.org/linux/man-pages/man3/sd_listen_fds.3.html)).
pub(crate) fn listen_fds() -> u32 {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u32>().ok());
    // LISTEN_PID, where it is set, says for whom they are meant.
    match (number("LISTEN_FDS"), number("LISTEN_PID")) {
        (Some(count), None) => count,
        (Some(count), Some(pid)) if pid == std::process::id() => count,
        _ => 0,
    }
}
