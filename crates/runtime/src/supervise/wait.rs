//! `wait`, and the end of supervisors.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::begin;
use super::life::{Life, Phase};
use super::settings::Settings;
use super::stop;
use crate::error::{Doing, Error, Result};
use crate::id::ContainerId;
use crate::runtime::{Container, Runtime};

/// How long a supervisor may take to end, once its container has ended or it was killed. Only the kernel can be slow.
pub(super) const DEATH: Duration = Duration::from_secs(10);
/// How long it may take to see that its container has ended, and to decide what follows.
const DECISION: Duration = Duration::from_secs(1);

impl Runtime {
    /// Waits until a supervised container has ended, and is not run again; its exit status, 128 + n if signal n ended it.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`]: it has no supervisor, so how it ends is not known; or the supervisor was killed.
    pub fn wait_for(&self, id: &ContainerId) -> Result<i32> {
        let container = self.load(id)?;
        container.own_life()?;
        if let Some(supervisor) = begin::of(&container.dir)? {
            ends_within(&supervisor, None)?;
        }
        let life = Life::read(&container.dir)?.ok_or_else(|| container.dir.not_exist())?;
        match (life.exit_code, life.error) {
            (Some(status), None) if life.phase == Phase::Ended => Ok(status),
            (_, Some(error)) => Err(Error::usage(format!("container {id} could not be run: {error}"))),
            _ => {
                // The container has lost its supervisor, and may run still.
                if let Some(process) = self.load(id)?.saved.process.and_then(|p| p.open().transpose()) {
                    ends_within(&process?, None)?;
                }
                Err(Error::usage(format!(
                    "the supervisor of container {id} was killed, so how the container has ended is not known"
                )))
            }
        }
    }
}

impl Container {
    /// Ends the supervisor before the container is deleted: with `force` at once, otherwise if it has nothing more to do.
    pub(crate) fn dismiss_supervisor(&self, force: bool) -> Result<()> {
        let Some(life) = self.life()? else { return Ok(()) };
        let Some(supervisor) = life.supervisor.open()? else { return Ok(()) };
        if force {
            // It ends in order if it can: only its parent can wait for a check that is under way in the container, whose
            // PID namespace does not end before.
            stop::ask(&self.dir, &supervisor, Some(Duration::ZERO))?;
            if !ends_within(&supervisor, Some(DEATH / 2))? {
                stop::signal(&supervisor, libc::SIGKILL)?;
            }
        }
        let restarts = Settings::read(&self.dir)?.supervision.restart != super::RestartPolicy::No;
        let limit = match life.phase {
            Phase::Restarting if !force => Duration::ZERO,
            // It may be about to end, or to begin anew.
            _ if restarts && !force => DECISION,
            _ => DEATH,
        };
        if ends_within(&supervisor, Some(limit))? {
            Ok(())
        } else if restarts && !force {
            let id = &self.saved.id;
            let why = format!("cannot delete container {id} that is not stopped: it is being restarted");
            Err(Error::usage(why))
        } else {
            Err(Errno::ETIMEDOUT).doing(|| "wait for the supervisor to end".to_owned())
        }
    }
}

/// Waits for the end of a process; whether it has come in time.
pub(super) fn ends_within(pidfd: &OwnedFd, limit: Option<Duration>) -> Result<bool> {
    let end = limit.map(|limit| Instant::now() + limit);
    loop {
        let timeout = match end {
            None => PollTimeout::NONE,
            // Rounded up, so as not to ask again and again in the last millisecond.
            Some(end) => {
                let left = end.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
            }
        };
        match poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) if end.is_some_and(|end| Instant::now() >= end) => return Ok(false),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(e) => return Err(e).doing(|| "wait for a process".to_owned()),
        }
    }
}
