//! Which CRIU is saving a container, so that `delete --force` can end it.
//!
//! CRIU traces the processes that it saves. If they are killed meanwhile, the first one of their PID namespace waits until the
//! others have been waited for, which is up to who traces them; and CRIU waits for the first one. Neither ever ends.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use orlop_sys::Fd;
use orlop_sys::process::pidfd_send_signal_to_group;

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

/// Kills the one that is at work, if there is one, with what it has started; its pidfd.
///
/// # Errors
///
/// [`Error::State`]: what is remembered is not ours. [`Error::Kernel`].
pub(crate) fn kill(dir: &StateDir) -> Result<Option<OwnedFd>> {
    let Some(text) = dir.read(FILE)? else { return Ok(None) };
    let process: Process = serde_json::from_slice(&text).map_err(|e| unreadable(dir, &e))?;
    let Some(pidfd) = process.open()? else { return Ok(None) };
    let sent = match pidfd_send_signal_to_group(Fd::of(&pidfd), libc::SIGKILL) {
        // Its number is its group's as long as it is there, which it was a moment ago.
        Err(e) if e.is(libc::EINVAL) => killpg(Pid::from_raw(process.pid), Signal::SIGKILL),
        sent => sent.map_err(|e| Errno::from_raw(e.errno())),
    };
    match sent {
        Ok(()) | Err(Errno::ESRCH) => Ok(Some(pidfd)),
        Err(e) => Err(e).doing(|| format!("kill CRIU, process {}", process.pid)),
    }
}

fn unreadable(dir: &StateDir, e: &serde_json::Error) -> Error {
    Error::State { path: dir.path().join(FILE), why: e.to_string() }
}
