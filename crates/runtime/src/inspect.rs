//! `state`, `list` and `ps`: what containers are doing.

use orlop_cgroups::Cgroup;

use crate::error::{Error, Result};
use crate::id::ContainerId;
use crate::runtime::Runtime;
use crate::state::{ContainerState, Users};

impl Runtime {
    /// The state of a container (`runtime.md#state`).
    ///
    /// # Errors
    ///
    /// [`Error::NotExist`].
    pub fn state(&self, id: &ContainerId) -> Result<ContainerState> {
        let container = self.load(id)?;
        let status = container.status()?;
        let supervised = container.supervised()?;
        Ok(ContainerState { supervised, ..ContainerState::new(container.saved, status) })
    }

    /// The ids of all containers, sorted.
    ///
    /// # Errors
    ///
    /// As [`Runtime::list`].
    pub fn ids(&self) -> Result<Vec<ContainerId>> {
        self.store.list()
    }

    /// The states of all containers, sorted by id. Those that come or go meanwhile may be missing.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`]: a root directory that was asked for cannot be read.
    pub fn list(&self) -> Result<Vec<ContainerState>> {
        let (mut states, users) = (Vec::new(), Users::read());
        for id in self.store.list()? {
            let container = match self.load(&id) {
                Err(Error::NotExist { .. }) => continue,
                loaded => loaded?,
            };
            let (status, owner) = (container.status()?, container.saved.owner);
            let supervised = container.supervised()?;
            let state = ContainerState { supervised, ..ContainerState::new(container.saved, status) };
            states.push(state.with_owner(owner, &users));
        }
        Ok(states)
    }

    /// A container's cgroup, for what it has used and what happens in it; `None` if it has none.
    ///
    /// # Errors
    ///
    /// [`Error::NotExist`].
    pub fn cgroup(&self, id: &ContainerId) -> Result<Option<Cgroup>> {
        self.load(id)?.cgroup()
    }

    /// The ids of a container's processes, as the caller sees them, in ascending order.
    ///
    /// # Errors
    ///
    /// [`Error::NotExist`].
    pub fn processes(&self, id: &ContainerId) -> Result<Vec<i32>> {
        let container = self.load(id)?;
        if let Some(cgroup) = container.cgroup()? {
            return Ok(cgroup.procs()?);
        }
        // Without a cgroup only the first process is known for sure.
        let first = container.saved.process.filter(|process| process.is_alive().unwrap_or(false));
        Ok(first.map(|process| process.pid).into_iter().collect())
    }
}
