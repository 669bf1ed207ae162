//! `stop`: a signal that asks, some time, and a signal that does not ask.

use std::os::fd::OwnedFd;
use std::time::Duration;

use orlop_spec::Status;
use orlop_sys::Fd;
use orlop_sys::process::pidfd_send_signal;

use super::begin;
use super::wait::{DEATH, ends_within};
use crate::error::{Doing, Result};
use crate::id::ContainerId;
use crate::runtime::{Container, Runtime};
use crate::signals;
use crate::store::StateDir;

/// How long a container may take to end by itself, unless it is said otherwise: as with Docker.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(10);

const FILE: &str = "stop";

/// The supervisor looks at the request when it gets this signal.
pub(super) const LOOK: i32 = libc::SIGUSR1;

impl Runtime {
    /// Ends a container: its stop signal, then SIGKILL if it has not ended in time; `None` waits for as long as it takes. A
    /// supervised one is not run again until [`Runtime::start_any`]. One that has ended already is no error.
    ///
    /// # Errors
    ///
    /// [`Error::NotExist`].
    pub fn stop(&self, id: &ContainerId, timeout: Option<Duration>) -> Result<()> {
        let container = self.load(id)?;
        if container.saved.supervised
            && let Some(supervisor) = begin::of(&container.dir)?
        {
            ask(&container.dir, &supervisor, timeout)?;
            if ends_within(&supervisor, timeout.map(|timeout| timeout + DEATH))? {
                return Ok(());
            }
        }
        self.load(id)?.stop(timeout)
    }
}

impl Container {
    /// Without a supervisor.
    fn stop(&self, timeout: Option<Duration>) -> Result<()> {
        let Some(process) = self.saved.process.map(|process| process.open()).transpose()?.flatten() else {
            return self.end_processes();
        };
        let signal = if self.status()? == Status::Created { libc::SIGKILL } else { self.stop_signal() };
        self::signal(&process, signal)?;
        ends_within(&process, timeout)?;
        self.end_processes()
    }

    /// The signal that asks it to end.
    pub(super) fn stop_signal(&self) -> i32 {
        let named = self.saved.annotations.get(begin::STOP_SIGNAL);
        named.and_then(|name| signals::signal(name)).unwrap_or(libc::SIGTERM)
    }
}

/// Has the supervisor stop the container: it is written down, so that it counts whatever the supervisor is doing just now.
pub(super) fn ask(dir: &StateDir, supervisor: &OwnedFd, timeout: Option<Duration>) -> Result<()> {
    let text = timeout.map_or("never".to_owned(), |timeout| timeout.as_millis().to_string());
    dir.write(FILE, text.as_bytes())?;
    signal(supervisor, LOOK)
}

/// Sends a signal to a process that may have ended.
pub(super) fn signal(process: &OwnedFd, signal: i32) -> Result<()> {
    match pidfd_send_signal(Fd::of(process), signal) {
        Err(e) if !e.is(libc::ESRCH) => Err(e).doing(|| format!("send signal {signal}")),
        _ => Ok(()),
    }
}

/// Whether it is to be stopped, and within what time.
#[expect(clippy::option_option, reason = "no request, one without a limit, one with")]
pub(super) fn requested(dir: &StateDir) -> Result<Option<Option<Duration>>> {
    let Some(text) = dir.read(FILE)? else { return Ok(None) };
    let milliseconds = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
    Ok(Some(milliseconds.map(Duration::from_millis)))
}

/// It is not to be stopped any more.
pub(super) fn forget(dir: &StateDir) -> Result<()> {
    dir.remove_file(FILE)
}
