//! `pause` and `resume`: the cgroup freezer.

use orlop_cgroups::{Cgroup, FREEZE_DEADLINE};
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
        let cgroup = self.cgroup_of(id, Action::Pause, |s| matches!(s, Status::Running | Status::Created))?;
        Ok(cgroup.freeze(FREEZE_DEADLINE)?)
    }

    /// Lets a paused container go on.
    ///
    /// # Errors
    ///
    /// [`Error::WrongState`]: it is not paused.
    pub fn resume(&self, id: &ContainerId) -> Result<()> {
        let cgroup = self.cgroup_of(id, Action::Resume, |s| *s == Status::Paused)?;
        Ok(cgroup.thaw()?)
    }

    fn cgroup_of(&self, id: &ContainerId, action: Action, fits: fn(&Status) -> bool) -> Result<Cgroup> {
        let container = self.load(id)?;
        let status = container.status()?;
        if !fits(&status) {
            return Err(Error::WrongState { id: id.to_string(), action, status });
        }
        container.own_cgroup()
    }
}
