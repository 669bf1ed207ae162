//! The container's cgroup: made before the container, removed after it.

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::{Uid, fchownat};
use orlop_cgroups::{Cgroup, Hierarchy, Layout, Location, Plan};
use orlop_compile::CgroupPlan;

use crate::error::{Doing, Error, Result};

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
            if let Some(owner) = plan.owner {
                delegate(&cgroup, owner)?;
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

/// Gives the cgroup to the container's user: the directory, and the files that the kernel lists as safe to give
/// (`/sys/kernel/cgroup/delegate`; cgroup-v2.rst, "Delegation").
fn delegate(cgroup: &Cgroup, owner: u32) -> Result<()> {
    let listed = std::fs::read_to_string("/sys/kernel/cgroup/delegate");
    let files =
        listed.unwrap_or_else(|_| "cgroup.procs\ncgroup.threads\ncgroup.subtree_control\n".to_owned());
    let give = |name: &str, flags| fchownat(cgroup.fd(), name, Some(Uid::from_raw(owner)), None, flags);
    give("", AtFlags::AT_EMPTY_PATH).doing(|| format!("give the cgroup to user {owner}"))?;
    for file in files.lines() {
        match give(file, AtFlags::AT_SYMLINK_NOFOLLOW) {
            // Files of controllers that are not enabled do not exist.
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(e) => return Err(e).doing(|| format!("give {file} of the cgroup to user {owner}")),
        }
    }
    Ok(())
}

impl From<orlop_cgroups::Error> for Error {
    fn from(e: orlop_cgroups::Error) -> Self {
        Self::Cgroup { what: e.to_string(), hint: None }
    }
}
