//! `delete`: ends what is left of a container and removes everything that was made for it.

use std::borrow::Cow;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use orlop_cgroups::{Cgroup, Location};
use orlop_spec::{Hook, Status};
use orlop_sys::Fd;
use orlop_sys::process::pidfd_send_signal;

use crate::criu;
use crate::error::{Action, Doing, Error, Result};
use crate::hooks::{self, Kind};
use crate::id::ContainerId;
use crate::owner::Standing;
use crate::rdt::RdtGroup;
use crate::runtime::{Container, Runtime};
use crate::state::{ContainerState, StateFile, Unit};
use crate::store::{StateDir, Written};

/// How long killed processes may take to be gone. The kernel may have to finish what they were doing.
const DEATH: Duration = Duration::from_secs(10);
/// How many processes may come into the cgroup after its processes were killed, one after the other. Whoever starts them finds
/// the container ended.
const LATECOMERS: u32 = 5;
/// How long the first one usually takes at most, once nobody is in its cgroup any more.
const SOON: Duration = Duration::from_millis(500);

impl Runtime {
    /// Deletes a container: one that has ended or was never started, with `force` any. It can be repeated after it, or
    /// any other command, was interrupted at any point.
    ///
    /// # Errors
    ///
    /// [`Error::WrongState`]: it runs. [`Error::NotExist`], without `force`: there is none.
    pub fn delete(&self, id: &ContainerId, force: bool) -> Result<()> {
        self.delete_knowing(id, force, None)
    }

    /// The same for a container whose first process has ended, for who has made it and knows what was saved of it, and where: one
    /// that has its id since somebody has deleted it stays.
    pub(crate) fn delete_ended(
        &self,
        id: &ContainerId,
        (saved, place): (StateFile, Option<(StateDir, Written)>),
        poststop: &[Hook],
    ) -> Result<()> {
        let Some((dir, written)) = place else { return self.delete_knowing(id, true, Some(poststop)) };
        let saved = if written.is_current() { Ok(saved) } else { dir.read_state() };
        match saved {
            // Who has deleted it may not have come to the end.
            Err(Error::NotExist { .. }) => dir.remove(),
            saved => Container { saved: saved?, dir }.remove(poststop),
        }
    }

    /// The same, for who knows the hooks that are owed, and spares us to read the config again.
    pub(crate) fn delete_knowing(
        &self,
        id: &ContainerId,
        force: bool,
        poststop: Option<&[Hook]>,
    ) -> Result<()> {
        let container = match self.load(id) {
            Err(Error::NotExist { .. }) if force => match self.store.find(id) {
                Err(Error::NotExist { .. }) => return Ok(()),
                found => doomed(found?)?,
            },
            Ok(container) if force && !container.is_made() => doomed(container.dir)?,
            loaded => Some(loaded?),
        };
        let Some(container) = container else { return Ok(()) };
        let status = container.status()?;
        if !force && !matches!(status, Status::Stopped | Status::Created) {
            return Err(Error::WrongState { id: id.to_string(), action: Action::Delete, status });
        }
        container.dismiss_supervisor(force)?;
        if matches!(status, Status::Running | Status::Paused) {
            container.end_checkpoint()?;
        }
        // The config goes with the state directory, and is needed once more.
        let hooks = poststop.map_or_else(|| container.poststop_hooks().into(), Cow::Borrowed);
        container.remove(&hooks)
    }
}

/// A container without a first process: it is being made, and is made no further now, or whoever made it was killed. Without a
/// state (`create` was killed right before writing it, or `delete` right after removing it) the directory goes, and there is none.
fn doomed(dir: StateDir) -> Result<Option<Container>> {
    dir.doom()?;
    match dir.read_state() {
        Err(Error::NotExist { .. }) => dir.remove().map(|()| None),
        saved => Ok(Some(Container { saved: saved?, dir })),
    }
}

impl Container {
    /// Ends the container, for a reason which is the error that the caller hears.
    pub(crate) fn ended_by(&self, reason: Error) -> Error {
        if let Err(e) = self.end_processes() {
            tracing::warn!("{e}");
        }
        reason
    }

    /// Removes everything that was made for it; then it is no more.
    fn remove(&self, poststop: &[Hook]) -> Result<()> {
        self.take_down()?;
        self.dir.remove()?;
        self.run_poststop(poststop)
    }

    /// Ends CRIU, if it is saving it: else both would wait for each other.
    fn end_checkpoint(&self) -> Result<()> {
        let criu = criu::record::kill(&self.dir)?;
        criu.map_or(Ok(()), |pidfd| has_ended_within(&pidfd, DEATH).map(drop))
    }

    /// Ends what is left of it, and removes what was made for it but the state directory. It can be repeated.
    pub(crate) fn take_down(&self) -> Result<()> {
        let found = self.found_cgroup()?;
        let unmade = if self.is_made() { Standing::Own } else { Standing::Unsure };
        let standing = found.as_ref().map_or(Ok(unmade), |found| self.standing(found))?;
        let own = found.filter(|_| standing == Standing::Own);
        self.end_processes_in(own.as_ref())?;
        if let Some(mounts) = &self.saved.host_mounts {
            mounts.remove()?;
        }
        if standing == Standing::Own {
            self.saved.cgroups.unit.as_ref().map_or(Ok(()), Unit::stop)?;
        }
        let mut left = LATECOMERS;
        while let Err(e) = self.remove_cgroup(standing) {
            if left == 0 || !matches!(e, orlop_cgroups::Error::Busy { .. }) {
                return Err(e.into());
            }
            // Who makes the container, or adds a process to it, was a moment later than the kill.
            left -= 1;
            self.end_processes_in(own.as_ref())?;
        }
        self.saved.rdt.as_ref().map_or(Ok(()), RdtGroup::remove)
    }

    /// Removes its cgroup, in which nobody is any more. What is another's stays, and of what may be another's all that is not
    /// empty. The scope of a process that never ran ends by itself.
    fn remove_cgroup(&self, standing: Standing) -> orlop_cgroups::Result<()> {
        let Some(location) = self.saved.cgroups.location() else { return Ok(()) };
        match standing {
            Standing::Own if self.is_made() => Cgroup::remove_at(&location)?,
            Standing::Own => {
                // In version 1 somebody else may have been found, and nobody of ours was there yet.
                Cgroup::remove_at(&Location { v1: Vec::new(), ..location.clone() })?;
                Cgroup::remove_unused(&location)?;
            }
            Standing::Unsure => Cgroup::remove_unused(&location)?,
            Standing::Another => {}
        }
        Ok(())
    }

    /// The hooks that are owed once it is taken down. `create` may have been interrupted before there were any.
    pub(crate) fn poststop_hooks(&self) -> Vec<Hook> {
        self.config().map(|config| config.spec.hooks.poststop).unwrap_or_default()
    }

    /// Runs them.
    pub(crate) fn run_poststop(&self, hooks: &[Hook]) -> Result<()> {
        let told = ContainerState::new(self.saved.clone(), Status::Stopped).to_oci();
        hooks::run(hooks, Kind::Poststop, &told, &mut hooks::on_host(Some(&self.saved.bundle)))
    }

    /// Kills whatever is left, and waits until it is gone.
    pub(crate) fn end_processes(&self) -> Result<()> {
        self.end_processes_in(self.cgroup()?.as_ref())
    }

    fn end_processes_in(&self, cgroup: Option<&Cgroup>) -> Result<()> {
        let process = self.saved.process;
        let first = process.map(|process| process.open()).transpose()?.flatten();
        if let Some(cgroup) = cgroup
            && !cgroup.is_empty()?
        {
            cgroup.kill()?;
            // All others in its PID namespace end before it does. That it ended is told at once, but that a cgroup is empty
            // up to ten milliseconds late: the kernel lets its files tell no more often.
            first.as_ref().map_or(Ok(true), |first| has_ended_within(first, SOON))?;
            cgroup.wait_empty(DEATH)?;
        }
        // Without a cgroup there is the first process, whose PID namespace ends with it.
        let Some((process, pidfd)) = process.zip(first) else { return Ok(()) };
        match pidfd_send_signal(Fd::of(&pidfd), libc::SIGKILL) {
            Err(e) if e.is(libc::ESRCH) => return Ok(()),
            sent => sent.doing(|| "kill the container's process".to_owned())?,
        }
        if has_ended_within(&pidfd, SOON)? {
            return Ok(());
        }
        if cgroup.is_some() && process.is_ending()? {
            tracing::warn!(
                "process {} is dead, but can only go when those that were added to the container have been waited for",
                process.pid
            );
            return Ok(());
        }
        if has_ended_within(&pidfd, DEATH)? {
            return Ok(());
        }
        Err(nix::errno::Errno::ETIMEDOUT).doing(|| "wait for the killed process to end".to_owned())
    }
}

/// Whether the process of a pidfd has ended, or does so in time.
fn has_ended_within(pidfd: &OwnedFd, limit: Duration) -> Result<bool> {
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], timeout) {
            Err(nix::errno::Errno::EINTR) => {}
            polled => return Ok(polled.doing(|| "wait for the container's process".to_owned())? > 0),
        }
    }
}
