//! `pause` and `resume`: the cgroup freezer.

use orlop_cgroups::FREEZE_DEADLINE;
use orlop_spec::Status;

use crate::error::{Action, Error, Result};
use crate::id::ContainerId;
use crate::runtime::Runtime;

impl Runtime {
    /// Freezes every process of a container. When this returns, none of them runs.
    ///
    /// # Errors
    ///
    /// [`Error::WrongState`]: it does not run. [`Error::Cgroup`]: a process would not freeze in time; then none stays
    /// frozen.
    pub fn pause(&self, id: &ContainerId) -> Result<()> {
        let container = self.load(id)?;
        match container.status()? {
            Status::Running | Status::Created => Ok(container.own_cgroup()?.freeze(FREEZE_DEADLINE)?),
            status => Err(Error::WrongState { id: id.to_string(), action: Action::Pause, status }),
        }
    }

    /// Lets a paused container go on.
    ///
    /// # Errors
    ///
    /// [`Error::WrongState`]: it is not paused.
    pub fn resume(&self, id: &ContainerId) -> Result<()> {
        let container = self.load(id)?;
        let status = container.status()?;
        let cgroup = container.own_cgroup();
        // A process that is just being added is not frozen yet, and so not all are.
        let is_paused = match (&status, &cgroup) {
            (Status::Paused, _) => true,
            (Status::Running | Status::Created, Ok(cgroup)) => cgroup.is_told_to_freeze()?,
            _ => false,
        };
        if !is_paused {
            return Err(Error::WrongState { id: id.to_string(), action: Action::Resume, status });
        }
        Ok(cgroup?.thaw()?)
    }
}
