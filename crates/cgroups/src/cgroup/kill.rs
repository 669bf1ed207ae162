//! Killing everything in a cgroup (cgroup-v2.rst, "Core Interface Files", `cgroup.kill`; since Linux 5.14).

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::events::Events;
use super::freeze::tasks;
use super::{Cgroup, procs};
use crate::error::{Error, Result};

/// How often the fallback looks for processes that were forked behind its back.
const ROUNDS: u32 = 100;
/// How long one round of the fallback waits for the dead to leave.
const ROUND: Duration = Duration::from_millis(20);

impl Cgroup {
    /// Sends `SIGKILL` to every process in the cgroup and below it, frozen ones too, with no race against fork(2).
    ///
    /// It returns at once; [`Cgroup::wait_empty`] waits for the effect. A cgroup that somebody has removed meanwhile has no
    /// processes left.
    ///
    /// # Errors
    /// When `cgroup.kill` or `freezer.state` cannot be written, or, before Linux 5.14, a process cannot be signalled.
    pub fn kill(&self) -> Result<()> {
        self.kill_v2()?;
        // Other than those that version 2 has frozen, these die when they run again.
        self.thaw_all_v1()
    }

    /// The same, and [`Cgroup::thaw_killed`]: for a cgroup that stays.
    ///
    /// # Errors
    /// As there.
    pub fn kill_and_thaw(&self) -> Result<()> {
        self.kill_v2()?;
        self.thaw_killed()
    }

    fn kill_v2(&self) -> Result<()> {
        match self.v2.write("cgroup.kill", "1") {
            Ok(()) | Err(Errno::ENODEV) => Ok(()),
            Err(Errno::ENOENT) if self.v2.is_removed() => Ok(()),
            // No such file before 5.14; not supported in a threaded cgroup.
            Err(Errno::ENOENT | Errno::EOPNOTSUPP) => self.kill_one_by_one(),
            Err(errno) => Err(Error::Write {
                path: self.v2.join("cgroup.kill"),
                value: "1".into(),
                errno,
                origin: String::new(),
                hint: "",
            }),
        }
    }

    /// The old way: freeze so that nobody forks, signal each process, and look again for those that were just being born.
    pub(super) fn kill_one_by_one(&self) -> Result<()> {
        let events = Events::open(&self.v2)?;
        // Not waited for, and not needed: a frozen process dies from SIGKILL, a fork in progress shows in the next round.
        let freezing = self.v2.write("cgroup.freeze", "1");
        let killed = self.kill_in_rounds(&events);
        if freezing.is_ok() {
            self.thaw()?;
        }
        killed
    }

    fn kill_in_rounds(&self, events: &Events<'_>) -> Result<()> {
        for _ in 0..ROUNDS {
            for pid in procs(&self.v2)? {
                match kill(Pid::from_raw(pid), Signal::SIGKILL) {
                    Ok(()) | Err(Errno::ESRCH) => {}
                    Err(errno) => {
                        return Err(crate::dir::call("kill a process of", self.v2.path().into(), errno));
                    }
                }
            }
            if events.wait(Instant::now() + ROUND, |state| !state.populated)? {
                break;
            }
        }
        Ok(())
    }

    /// Waits until no live process is left in the cgroup and below it. Zombies do not count, and in a cgroup that somebody has
    /// removed meanwhile, as systemd does with an empty one, there is nobody.
    ///
    /// # Errors
    /// [`Error::EmptyTimeout`] names those that are left, and what they wait for.
    pub fn wait_empty(&self, deadline: Duration) -> Result<()> {
        let Some(events) = self.events_if_there()? else { return Ok(()) };
        if events.wait(Instant::now() + deadline, |state| !state.populated)? {
            return Ok(());
        }
        Err(Error::EmptyTimeout { path: self.v2.path().into(), deadline, left: tasks(&self.v2)? })
    }

    /// Whether there is nobody to kill and nothing to wait for: no live process in version 2, and no version 1 in which one may
    /// have been left alone, or frozen.
    ///
    /// # Errors
    /// When `cgroup.events` cannot be read.
    pub fn is_empty(&self) -> Result<bool> {
        if !self.v1.is_empty() {
            return Ok(false);
        }
        self.events_if_there()?.map_or(Ok(true), |events| Ok(!events.state()?.populated))
    }

    /// `None` if somebody has removed the cgroup.
    fn events_if_there(&self) -> Result<Option<Events<'_>>> {
        match Events::open(&self.v2) {
            Err(_) if self.v2.is_removed() => Ok(None),
            opened => opened.map(Some),
        }
    }
}
