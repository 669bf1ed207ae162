//! Which CRIU is saving a container, so that `delete --force` can end it.
//!
//! CRIU traces the processes that it saves. If they are killed meanwhile, the first one of their PID namespace waits until the
//! others have been waited for, which is up to who traces them; and CRIU waits for the first one. Neither ever ends.

use std::os::fd::OwnedFd;

use orlop_sys::Fd;
use orlop_sys::process::pidfd_send_signal;

use crate::error::{Doing, Error, Result};
use crate::liveness::Process;
use crate::store::StateDir;

const FILE: &str = "criu.json";

/// Remembers it while the function runs, before which it has not been asked for anything.
pub(crate) fn remembered<T>(dir: &StateDir, pid: i32, save: impl FnOnce() -> Result<T>) -> Result<T> {
    let text = serde_json::to_vec(&Process::of(pid)?).map_err(|e| unreadable(dir, &e))?;
    dir.write(FILE, &text)?;
    let saved = save();
    // The next one writes over it, and with the container it goes too.
    dir.remove_file(FILE).ok();
    saved
}

/// Kills the one that is at work, if there is one; its pidfd.
///
/// # Errors
///
/// [`Error::State`]: what is remembered is not ours. [`Error::Kernel`].
pub(crate) fn kill(dir: &StateDir) -> Result<Option<OwnedFd>> {
    let Some(text) = dir.read(FILE)? else { return Ok(None) };
    let process: Process = serde_json::from_slice(&text).map_err(|e| unreadable(dir, &e))?;
    let Some(pidfd) = process.open()? else { return Ok(None) };
    match pidfd_send_signal(Fd::of(&pidfd), libc::SIGKILL) {
        Err(e) if e.is(libc::ESRCH) => {}
        sent => sent.doing(|| format!("kill CRIU, process {}", process.pid))?,
    }
    Ok(Some(pidfd))
}

fn unreadable(dir: &StateDir, e: &serde_json::Error) -> Error {
    Error::State { path: dir.path().join(FILE), why: e.to_string() }
}
