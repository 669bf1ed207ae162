//! `stats`: what containers use now, in few numbers and for people. (`events` tells everything there is, to programs.)
//!
//! What no controller counts is absent: on hosts with both versions of cgroups a container need not have all of them.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use orlop_cgroups::{Controller, Stats};
use orlop_spec::Status;
use serde::Serialize;

use crate::error::{Action, Doing, Error, Result};
use crate::events::traffic;
use crate::id::ContainerId;
use crate::runtime::{Container, Runtime};

/// What a container uses. Absent is what is not counted, or not limited.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// The container.
    pub id: String,
    /// CPU time per time in percent: 200 is two CPUs. Absent in the first look at a container.
    pub cpu_percent: Option<f64>,
    /// Bytes of memory, without what is only kept because it may be read again.
    pub memory: Option<u64>,
    /// At most so many bytes.
    pub memory_limit: Option<u64>,
    /// Tasks.
    pub pids: Option<u64>,
    /// At most so many tasks.
    pub pids_limit: Option<u64>,
    /// Bytes read from block devices.
    pub read_bytes: Option<u64>,
    /// Bytes written to block devices.
    pub written_bytes: Option<u64>,
    /// Bytes received by network interfaces of its own.
    pub received_bytes: Option<u64>,
    /// Bytes sent by them.
    pub sent_bytes: Option<u64>,
}

/// Who listens: whether it wants to hear more.
type Listener<'a> = &'a mut dyn FnMut(&[Usage]) -> Result<bool>;

/// A container that is looked at.
struct Seen {
    id: ContainerId,
    process: OwnedFd,
    usage: Usage,
    /// The CPU time it has had, and when that was.
    cpu: Option<(Duration, Instant)>,
}

impl Runtime {
    /// Tells what these containers use, or all that run if there are none, once in each interval until all of these have
    /// ended; or once, after one interval, in which their use of CPUs is measured.
    ///
    /// # Errors
    ///
    /// [`Error::NotExist`], [`Error::WrongState`]: one of them does not run; and those of the listener.
    pub fn usage(
        &self,
        ids: &[ContainerId],
        interval: Duration,
        once: bool,
        tell: Listener<'_>,
    ) -> Result<()> {
        let mut seen = self.look(ids, &[])?;
        if let Some(id) = ids.iter().find(|id| !seen.iter().any(|one| one.id == **id)) {
            let (id, status) = (id.to_string(), self.load(id)?.status()?);
            return Err(Error::WrongState { id, action: Action::Events, status });
        }
        let mut next = Instant::now();
        loop {
            let usages: Vec<Usage> = seen.iter().map(|one| one.usage.clone()).collect();
            if !once && !tell(&usages)? {
                return Ok(());
            }
            next += interval;
            wait_until(next, &seen)?;
            seen = self.look(ids, &seen)?;
            if once {
                let usages: Vec<Usage> = seen.into_iter().map(|one| one.usage).collect();
                return tell(&usages).map(drop);
            }
            if seen.is_empty() && !ids.is_empty() {
                return Ok(());
            }
        }
    }

    /// Looks at those that run.
    fn look(&self, ids: &[ContainerId], before: &[Seen]) -> Result<Vec<Seen>> {
        let all = if ids.is_empty() { self.store.list()? } else { ids.to_vec() };
        let mut seen = Vec::new();
        for id in all {
            let container = match self.load(&id) {
                Err(Error::NotExist { .. }) if ids.is_empty() || !before.is_empty() => continue,
                loaded => loaded?,
            };
            let process = container.saved.process.map(|process| process.open()).transpose()?.flatten();
            if let Some(process) = process
                && container.status()? != Status::Stopped
            {
                let earlier = before.iter().find(|one| one.id == id).and_then(|one| one.cpu);
                let (usage, cpu) = container.usage(earlier)?;
                seen.push(Seen { id, process, usage, cpu });
            }
        }
        Ok(seen)
    }
}

/// Waits for the next look, or until one of them has ended.
fn wait_until(next: Instant, seen: &[Seen]) -> Result<()> {
    let mut fds: Vec<PollFd<'_>> =
        seen.iter().map(|one| PollFd::new(one.process.as_fd(), PollFlags::POLLIN)).collect();
    loop {
        let left = next.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Ok(0) if Instant::now() >= next => return Ok(()),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(e) => return Err(e).doing(|| "wait for the next look".to_owned()),
        }
    }
}

impl Container {
    fn usage(&self, earlier: Option<(Duration, Instant)>) -> Result<(Usage, Option<(Duration, Instant)>)> {
        let network = traffic(self)?;
        let mut usage = Usage {
            id: self.saved.id.clone(),
            received_bytes: network.map(|(received, _)| received),
            sent_bytes: network.map(|(_, sent)| sent),
            ..Usage::default()
        };
        let Some(cgroup) = self.cgroup()? else { return Ok((usage, None)) };
        let now = Instant::now();
        let stats = match cgroup.stats() {
            // It was removed just now.
            Err(e) if e.errno() == Some(Errno::ENODEV) || e.errno() == Some(Errno::ENOENT) => {
                Stats::default()
            }
            stats => stats?,
        };
        let cpu = (stats.cpu.usage > Duration::ZERO).then_some((stats.cpu.usage, now));
        usage.cpu_percent = earlier.zip(cpu).map(|(before, after)| percent(before, after));
        usage.memory = stats.memory.as_ref().map(working_set);
        usage.memory_limit = stats.memory.as_ref().and_then(|memory| memory.memory.limit);
        usage.pids = Some(stats.pids.tasks.current);
        usage.pids_limit = stats.pids.tasks.limit;
        let counts_io = cgroup.location().v1.iter().any(|(used, _)| used.contains(Controller::Io))
            || cgroup.location().v2.path().join("io.stat").exists();
        if counts_io {
            usage.read_bytes = Some(stats.io.iter().map(|device| device.read_bytes).sum());
            usage.written_bytes = Some(stats.io.iter().map(|device| device.written_bytes).sum());
        }
        Ok((usage, cpu))
    }
}

fn percent(before: (Duration, Instant), after: (Duration, Instant)) -> f64 {
    let time = after.1.saturating_duration_since(before.1).as_secs_f64();
    let used = after.0.saturating_sub(before.0).as_secs_f64();
    if time > 0.0 { used / time * 100.0 } else { 0.0 }
}

/// Without files that nobody uses any more, which are given up where memory is wanted. The name differs between the versions.
fn working_set(memory: &orlop_cgroups::MemoryStats) -> u64 {
    let idle = ["total_inactive_file", "inactive_file"].iter().find_map(|name| memory.stat.get(*name));
    memory.memory.current.saturating_sub(idle.copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_cpu_is_fifty_percent() {
        let then = Instant::now();
        let later = then + Duration::from_secs(2);
        assert!((percent((Duration::ZERO, then), (Duration::from_secs(1), later)) - 50.0).abs() < 1e-9);
        assert!(percent((Duration::from_secs(1), then), (Duration::ZERO, then)).abs() < 1e-9);
    }
}
