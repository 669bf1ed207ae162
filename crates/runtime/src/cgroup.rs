//! The container's cgroup: made before the container, removed after it.

use nix::errno::Errno;
use orlop_cgroups::{Cgroup, Hierarchy, Layout, Location, Plan};
use orlop_compile::CgroupPlan;

use crate::error::{Error, Result};

/// Where the cgroup will be, to be saved before it exists: a command that is killed leaves nothing that `delete` does not
/// find.
///
/// # Errors
///
/// [`Error::Cgroup`]: no cgroup2 file system is mounted.
pub(crate) fn locate(plan: &CgroupPlan, layout: &Layout) -> Result<Option<Location>> {
    let controllers = Plan::controllers(&plan.plan.settings, Hierarchy::V1);
    match plan.path.locate(layout, controllers) {
        Ok(location) => Ok(Some(location)),
        Err(_) if plan.best_effort => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Makes the cgroup; `None` if the caller has no right to and the config does not insist.
///
/// # Errors
///
/// [`Error::Cgroup`].
pub(crate) fn create(plan: &CgroupPlan, layout: &Layout) -> Result<Option<Cgroup>> {
    match Cgroup::create(layout, &plan.path, &plan.plan) {
        Ok(cgroup) => {
            if let Some(Err(e)) = plan.owner.map(|owner| cgroup.delegate(owner)) {
                // Nobody knows of it yet who could take it back; the first failure is what the caller hears.
                cgroup.remove().ok();
                return Err(e.into());
            }
            Ok(Some(cgroup))
        }
        Err(e) if plan.best_effort && e.errno().is_some_and(is_denial) => {
            tracing::debug!("no cgroup of its own: {e}");
            Ok(None)
        }
        Err(e) => Err(e.into()),
    }
}

const fn is_denial(errno: Errno) -> bool {
    matches!(errno, Errno::EACCES | Errno::EPERM | Errno::EROFS)
}

impl From<orlop_cgroups::Error> for Error {
    fn from(e: orlop_cgroups::Error) -> Self {
        Self::Cgroup { what: e.to_string(), hint: None }
    }
}
