//! Health checks: a command that the supervisor executes in the container now and then, as Docker does.

use std::fmt;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, read};
use orlop_spec::Status;
use orlop_sys::Fd;
use orlop_sys::process::pidfd_send_signal;
use orlop_sys::wait::{How, wait};
use serde::{Deserialize, Serialize};

use crate::clock::now;
use crate::error::{Error, Result};
use crate::held::Stdio;
use crate::id::ContainerId;
use crate::options::{ExecArgs, ExecOptions, ProcessSource};
use crate::runtime::Runtime;
use crate::streams::{not_blocking, null, pipe};

/// How much of a check's output is kept, in bytes.
const OUTPUT: usize = 4096;
/// How many results are kept.
const RESULTS: usize = 5;
/// The exit status of a check that has none: it could not be executed, or took too long.
const NONE: i32 = -1;

/// What to check, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// The program and its arguments: 0 is good.
    pub command: Vec<String>,
    /// From the end of one to the next one.
    pub interval: Duration,
    /// What takes longer has failed.
    pub timeout: Duration,
    /// So many failures in a row make a container unhealthy.
    pub retries: u32,
    /// Failures in the first time after a start do not count.
    pub start_period: Duration,
}

/// How a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// Not known yet.
    Starting,
    /// The last check was good, or not enough have failed since.
    Healthy,
    /// Too many checks have failed.
    Unhealthy,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        })
    }
}

/// What is known of a container's health.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// How it is.
    pub status: Condition,
    /// How many checks have failed since the last good one.
    pub failing_streak: u32,
    /// The last results, the latest last.
    pub log: Vec<Checked>,
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// When it began.
    pub start: String,
    /// When it had ended.
    pub end: String,
    /// Its exit status; -1 if it has none.
    pub exit_code: i32,
    /// What it wrote, to either stream; or why it has no exit status.
    pub output: String,
}

impl Health {
    /// That of a container which was just started.
    pub(super) const fn new() -> Self {
        Self { status: Condition::Starting, failing_streak: 0, log: Vec::new() }
    }

    /// One more result. `early`: within the time in which failures do not count.
    pub(super) fn add(&mut self, checked: Checked, retries: u32, early: bool) {
        if checked.exit_code == 0 {
            (self.status, self.failing_streak) = (Condition::Healthy, 0);
        } else if !(early && self.status == Condition::Starting) {
            self.failing_streak += 1;
            if self.failing_streak >= retries {
                self.status = Condition::Unhealthy;
            }
        }
        self.log.push(checked);
        let old = self.log.len().saturating_sub(RESULTS);
        self.log.drain(..old);
    }
}

/// A check under way.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) pidfd: OwnedFd,
    /// Its output; not blocking.
    pub(super) output: OwnedFd,
    pid: i32,
    start: String,
    began: Instant,
    said: Vec<u8>,
    too_late: bool,
}

/// What has become of the attempt to check.
pub(super) enum Begun {
    Check(Check),
    /// It could not be executed.
    Failed(Checked),
    /// The container is not in a state to be checked.
    Skipped,
}

impl Check {
    /// Executes the command in the container.
    pub(super) fn begin(runtime: &Runtime, id: &ContainerId, check: &HealthCheck) -> Begun {
        let start = now();
        match Self::execute(runtime, id, check, start.clone()) {
            Ok(check) => Begun::Check(check),
            Err(Error::WrongState { status: Status::Paused | Status::Stopped, .. }) => Begun::Skipped,
            Err(e) => Begun::Failed(Checked { start, end: now(), exit_code: NONE, output: e.to_string() }),
        }
    }

    fn execute(runtime: &Runtime, id: &ContainerId, check: &HealthCheck, start: String) -> Result<Self> {
        let (output, theirs) = pipe()?;
        not_blocking(&output)?;
        let errors = theirs.try_clone().map_err(|e| Error::usage(format!("copy a descriptor: {e}")))?;
        let stdio = Stdio { stdin: null()?, stdout: theirs, stderr: errors };
        let args = ExecArgs { args: check.command.clone(), ..ExecArgs::default() };
        let options = ExecOptions {
            trace: None,
            process: ProcessSource::Args(Box::new(args)),
            pid_file: None,
            console_socket: None,
            pidfd_socket: None,
            detach: true,
            preserve_fds: 0,
            ignore_paused: false,
            cgroup: Vec::new(),
        };
        let held = runtime.exec_held(id, &options, &stdio)?;
        let (pid, pidfd) = (held.pid, held.pidfd);
        let (began, said) = (Instant::now(), Vec::new());
        Ok(Self { pidfd, output, pid, start, began, said, too_late: false })
    }

    /// Takes what it has written; whether more may come.
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> bool {
        match self.take(scratch) {
            Ok(n) => n > 0,
            Err(e) => matches!(e, Errno::EAGAIN | Errno::EINTR),
        }
    }

    fn take(&mut self, scratch: &mut [u8]) -> nix::Result<usize> {
        let n = read(&self.output, scratch)?;
        let room = OUTPUT.saturating_sub(self.said.len()).min(n);
        self.said.extend(&scratch[..room]);
        Ok(n)
    }

    /// It has taken too long: it is killed, with what it has started in its group.
    pub(super) fn give_up(&mut self) {
        self.too_late = true;
        // By number, as it has not been waited for; and itself, as it may have left the group that it led.
        killpg(Pid::from_raw(self.pid), Signal::SIGKILL).ok();
        pidfd_send_signal(Fd::of(&self.pidfd), libc::SIGKILL).ok();
    }

    /// It has ended: its result.
    pub(super) fn end(mut self, scratch: &mut [u8], timeout: Duration) -> Checked {
        let how = wait(Fd::of(&self.pidfd));
        while self.said.len() < OUTPUT && self.take(scratch).is_ok_and(|n| n > 0) {}
        let mut output = String::from_utf8_lossy(&self.said).into_owned();
        if self.too_late {
            output = format!("the check has taken longer than {timeout:?}: {output}");
        }
        let exit_code = match how {
            Ok(how) if !self.too_late => How::status(how),
            _ => NONE,
        };
        Checked { start: self.start, end: now(), exit_code, output }
    }

    pub(super) const fn began(&self) -> Instant {
        self.began
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(exit_code: i32) -> Checked {
        Checked { start: String::new(), end: String::new(), exit_code, output: String::new() }
    }

    #[test]
    fn one_good_check_makes_healthy_and_several_bad_ones_unhealthy() {
        let mut health = Health::new();
        health.add(result(1), 2, false);
        assert_eq!((health.status, health.failing_streak), (Condition::Starting, 1));
        health.add(result(0), 2, false);
        assert_eq!((health.status, health.failing_streak), (Condition::Healthy, 0));
        health.add(result(1), 2, false);
        assert_eq!(health.status, Condition::Healthy);
        health.add(result(NONE), 2, false);
        assert_eq!((health.status, health.failing_streak), (Condition::Unhealthy, 2));
        (0..9).for_each(|_| health.add(result(0), 2, false));
        assert_eq!(health.log.len(), RESULTS);
    }

    #[test]
    fn failures_in_the_beginning_do_not_count_until_it_was_healthy_once() {
        let mut health = Health::new();
        (0..3).for_each(|_| health.add(result(1), 1, true));
        assert_eq!((health.status, health.failing_streak), (Condition::Starting, 0));
        health.add(result(0), 1, true);
        health.add(result(1), 1, true);
        assert_eq!(health.status, Condition::Unhealthy);
    }
}
