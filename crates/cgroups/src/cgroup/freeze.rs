//! The freezer (cgroup-v2.rst, "Core Interface Files", `cgroup.freeze`; since Linux 5.2).
//!
//! It is always that of version 2: what it has frozen can still be killed. In a hierarchy of version 1
//! (cgroup-v1/freezer-subsystem.rst) nothing is frozen by us, but others may have done so.

use std::fs;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::Cgroup;
use super::events::Events;
use crate::controller::Controller;
use crate::dir::{Dir, call};
use crate::error::{Error, Result, Task};
use crate::tree;

/// What the freezer of version 1 is doing, and told to do.
const STATE: &str = "freezer.state";
const THAWED: &str = "THAWED";

impl Cgroup {
    /// Stops every task in the cgroup and below it, and waits until the kernel says that all have stopped.
    ///
    /// If that takes longer than `deadline` ([`super::FREEZE_DEADLINE`] is the usual one), the cgroup is thawed again, so that
    /// nothing stays half frozen.
    ///
    /// # Errors
    /// [`Error::FreezeTimeout`] names the tasks that would not stop and what they wait for. [`Error::Thawed`]: somebody else
    /// does not want it frozen.
    pub fn freeze(&self, deadline: Duration) -> Result<()> {
        let frozen = self.freeze_and_wait(deadline);
        // What somebody has thawed may be frozen by another one by now.
        if !matches!(frozen, Ok(()) | Err(Error::Thawed { .. })) {
            // The first error is the one to report; thawing what is not frozen changes nothing.
            self.thaw().ok();
        }
        frozen
    }

    fn freeze_and_wait(&self, deadline: Duration) -> Result<()> {
        let until = Instant::now() + deadline;
        let events = Events::open(&self.v2)?;
        self.write_freeze("1")?;
        let mut told = true;
        let frozen = events.wait(until, |state| {
            told = state.frozen || self.is_told_to_freeze().unwrap_or(true);
            state.frozen || !told
        })?;
        if !told {
            return Err(Error::Thawed { path: self.v2.path().into() });
        }
        if frozen {
            return Ok(());
        }
        if events.state()?.removed {
            return Err(call("freeze", self.v2.path().into(), Errno::ENOENT));
        }
        Err(Error::FreezeTimeout {
            path: self.v2.path().into(),
            deadline,
            unfrozen: unfrozen_tasks(&self.v2)?,
        })
    }

    /// Lets the tasks run again, whoever has frozen them. Succeeds on a cgroup that is not frozen.
    ///
    /// # Errors
    /// When `cgroup.freeze` or `freezer.state` cannot be written.
    pub fn thaw(&self) -> Result<()> {
        self.write_freeze("0")?;
        self.thaw_v1()
    }

    /// Undoes what others have done by the freezer of version 1. Where there is none, this does nothing.
    ///
    /// # Errors
    /// When `freezer.state` cannot be written.
    fn thaw_v1(&self) -> Result<()> {
        self.freezer_v1().map_or(Ok(()), thaw_dir_v1)
    }

    /// The same for all cgroups below, too: what somebody has frozen there does not die from SIGKILL.
    ///
    /// # Errors
    /// When `freezer.state` cannot be written.
    pub fn thaw_all_v1(&self) -> Result<()> {
        self.freezer_v1().map_or(Ok(()), |dir| tree::visit(dir, thaw_dir_v1))
    }

    /// Lets what was killed run again: frozen by version 1 it would not die, and whoever comes after it is not to wait for a
    /// word that nobody has a reason to give. Succeeds on a cgroup that is gone.
    ///
    /// # Errors
    /// When `cgroup.freeze` or `freezer.state` cannot be written.
    pub fn thaw_killed(&self) -> Result<()> {
        match self.write_freeze("0") {
            Err(e) if !matches!(e.errno(), Some(Errno::ENODEV | Errno::ENOENT)) => return Err(e),
            // Before Linux 5.2 it had no freezer.
            _ => {}
        }
        self.thaw_all_v1()
    }

    /// Whether every task is frozen now, by us or through a parent.
    ///
    /// # Errors
    /// When `cgroup.events` or `freezer.state` cannot be read.
    pub fn is_frozen(&self) -> Result<bool> {
        Ok(Events::open(&self.v2)?.state()?.frozen || self.freezer_v1().map_or(Ok(false), is_frozen_v1)?)
    }

    /// Whether [`Cgroup::freeze`] was called and [`Cgroup::thaw`] was not. Not every task need be frozen: one that is born here
    /// runs for a moment.
    ///
    /// # Errors
    /// When `cgroup.freeze` cannot be read.
    pub fn is_told_to_freeze(&self) -> Result<bool> {
        Ok(self.v2.read_if_there("cgroup.freeze")?.is_some_and(|text| text.trim() == "1"))
    }

    fn freezer_v1(&self) -> Option<&Dir> {
        self.v1.iter().find(|v1| v1.controllers.contains(Controller::Freezer)).map(|v1| &v1.dir)
    }

    fn write_freeze(&self, value: &str) -> Result<()> {
        self.v2.write("cgroup.freeze", value).map_err(|errno| {
            let hint = if errno == Errno::ENOENT { "the freezer needs Linux 5.2" } else { "" };
            let path = self.v2.join("cgroup.freeze");
            Error::Write { path, value: value.into(), errno, origin: String::new(), hint }
        })
    }
}

fn thaw_dir_v1(dir: &Dir) -> Result<()> {
    match dir.write(STATE, THAWED) {
        Ok(()) | Err(Errno::ENODEV) => Ok(()),
        Err(_) if dir.is_removed() => Ok(()),
        Err(errno) => Err(Error::Write {
            path: dir.join(STATE),
            value: THAWED.into(),
            errno,
            origin: String::new(),
            hint: "",
        }),
    }
}

/// Whether a directory of version 1 is frozen or about to be, itself or through a parent.
pub(super) fn is_frozen_v1(dir: &Dir) -> Result<bool> {
    Ok(dir.read_if_there(STATE)?.is_some_and(|state| state.trim() != THAWED))
}

/// The tasks that the freezer has not stopped, found by where they wait. A frozen task sleeps in the trap; one that
/// waits in the kernel without being interruptible (state `D`: NFS, FUSE, a dead disk) never gets there.
pub(super) fn unfrozen_tasks(dir: &Dir) -> Result<Vec<Task>> {
    Ok(tasks(dir)?.into_iter().filter(is_unfrozen).collect())
}

/// Every task in a cgroup and below it, with what it is doing.
pub(super) fn tasks(dir: &Dir) -> Result<Vec<Task>> {
    let mut tids = Vec::new();
    tree::visit(dir, |dir| {
        let text = dir.read_if_there("cgroup.threads")?.unwrap_or_default();
        tids.extend(text.lines().filter_map(|l| l.parse::<i32>().ok()));
        Ok(())
    })?;
    Ok(tids.into_iter().filter_map(task).collect())
}

fn task(tid: i32) -> Option<Task> {
    let stat = fs::read_to_string(format!("/proc/{tid}/stat")).ok()?;
    let (before, after) = stat.rsplit_once(") ")?;
    let name = before.split_once('(').map_or(before, |(_, name)| name).to_owned();
    let state = after.chars().next()?;
    let wchan = fs::read_to_string(format!("/proc/{tid}/wchan")).unwrap_or_default();
    Some(Task { tid, name, state, wchan: if wchan.is_empty() { "0".into() } else { wchan } })
}

fn is_unfrozen(task: &Task) -> bool {
    // The trap is a part of signal delivery, and compilers merge the two. A parent that waits in vfork(2) counts as frozen
    // for the kernel, and so do stopped and traced tasks, and those that are gone.
    let trapped = ["do_freezer_trap", "get_signal", "wait_for_vfork_done", "kernel_clone"]
        .contains(&task.wchan.as_str());
    let frozen = matches!(task.state, 'T' | 't' | 'Z' | 'X') || trapped;
    // Where the kernel hides the function, a sleeping task is taken for a frozen one.
    let hidden = task.state == 'S' && task.wchan == "0";
    !frozen && !hidden
}
