//! `pause` and `resume`: the cgroup freezer.

use orlop_cgroups::FREEZE_DEADLINE;
use orlop_spec::Status;

use crate::error::{Action, Error, Result};
use crate::id::ContainerId;
use crate::runtime::{Container, Runtime};

impl Runtime {
    /// Freezes every process of a container. When this returns, none of them runs.
    ///
    /// # Errors
    ///
    /// [`Error::WrongState`]: it does not run, or was killed meanwhile. [`Error::Cgroup`]: a process would not freeze in time, or
    /// somebody has resumed it meanwhile; then none stays frozen.
    pub fn pause(&self, id: &ContainerId) -> Result<()> {
        let container = self.load(id)?;
        match container.status()? {
            Status::Running | Status::Created => container.freeze(),
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

impl Container {
    /// Freezes it. If it was killed meanwhile it is not left frozen: nobody could resume it, and a process that is just being
    /// added would wait there for ever. Who kills it thaws it as well, before this or after it.
    fn freeze(&self) -> Result<()> {
        let cgroup = self.own_cgroup()?;
        cgroup.freeze(FREEZE_DEADLINE)?;
        // Whoever is frozen is not ending.
        if self.saved.process.map_or(Ok(true), |process| process.is_ending())? {
            cgroup.thaw()?;
            let (id, status) = (self.saved.id.clone(), Status::Stopped);
            return Err(Error::WrongState { id, action: Action::Pause, status });
        }
        Ok(())
    }
}
