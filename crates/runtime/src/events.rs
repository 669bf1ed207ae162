//! `events`: what a container uses, and what happens to it.

use std::time::{Duration, Instant};

use orlop_cgroups::{Cgroup, Occasion};
use orlop_spec::Status;

use crate::error::{Action, Error, Result};
use crate::id::ContainerId;
use crate::runtime::{Container, Runtime};

mod interfaces;
mod report;

pub(crate) use interfaces::traffic;
pub use report::{Event, Report};

/// Who listens to events: whether it wants to hear more.
pub type Listener<'a> = &'a mut dyn FnMut(&Event) -> Result<bool>;

impl Runtime {
    /// What a container uses now.
    ///
    /// # Errors
    ///
    /// [`Error::WrongState`]: it has ended.
    pub fn stats(&self, id: &ContainerId) -> Result<Event> {
        let (container, cgroup) = self.accounted(id)?;
        container.stats(&cgroup)
    }

    /// Tells what a container uses once in each interval, and at once when a process of it is killed for want of memory,
    /// until the container ends or the listener has heard enough.
    ///
    /// # Errors
    ///
    /// As [`Runtime::stats`], and those of the listener.
    pub fn events(&self, id: &ContainerId, interval: Duration, tell: Listener<'_>) -> Result<()> {
        let (container, cgroup) = self.accounted(id)?;
        let mut watch = cgroup.watch()?;
        let mut next = Instant::now() + interval;
        loop {
            let event = match watch.wait(next)? {
                Some(Occasion::Empty) => return Ok(()),
                Some(Occasion::OutOfMemory) => Event::oom(id),
                None => {
                    next += interval;
                    match container.stats(&cgroup) {
                        // It was deleted meanwhile.
                        Err(_) if container.cgroup()?.is_none() => return Ok(()),
                        stats => stats?,
                    }
                }
            };
            if !tell(&event)? {
                return Ok(());
            }
        }
    }

    fn accounted(&self, id: &ContainerId) -> Result<(Container, Cgroup)> {
        let container = self.load(id)?;
        let status = container.status()?;
        if !matches!(status, Status::Created | Status::Running | Status::Paused) {
            return Err(Error::WrongState { id: id.to_string(), action: Action::Events, status });
        }
        let cgroup = container.own_cgroup()?;
        Ok((container, cgroup))
    }
}

impl Container {
    fn stats(&self, cgroup: &Cgroup) -> Result<Event> {
        let interfaces = interfaces::of(self)?;
        Ok(Event::stats(&self.saved.id, Report::new(cgroup.stats()?, interfaces)))
    }
}
