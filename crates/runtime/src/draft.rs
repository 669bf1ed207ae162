//! A container in the making: what has to be taken back if making it fails.

use std::time::Duration;

use orlop_cgroups::Cgroup;

use crate::rdt::RdtGroup;
use crate::store::StateDir;

/// How long the processes of a failed container may take to die. They have been killed; only the kernel can be slow.
const DEATH: Duration = Duration::from_secs(10);

/// Takes the cgroup and the state directory back when it is dropped, unless the container is to be kept.
///
/// The process comes first: the session, which is younger, is dropped before this.
#[derive(Debug)]
pub(crate) struct Draft {
    dir: StateDir,
    pub(crate) cgroup: Option<Cgroup>,
    pub(crate) rdt: Option<RdtGroup>,
    kept: bool,
}

impl Draft {
    pub(crate) const fn new(dir: StateDir) -> Self {
        Self { dir, cgroup: None, rdt: None, kept: false }
    }

    pub(crate) const fn dir(&self) -> &StateDir {
        &self.dir
    }

    /// The container is made.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // The first failure is on its way to the caller; one while taking back can only be logged.
        if let Some(cgroup) = &self.cgroup {
            let removed =
                cgroup.kill().and_then(|()| cgroup.wait_empty(DEATH)).and_then(|()| cgroup.remove());
            if let Err(e) = removed {
                tracing::warn!("the cgroup of a container that could not be made: {e}");
            }
        }
        if let Some(Err(e)) = self.rdt.as_ref().map(RdtGroup::remove) {
            tracing::warn!("the resctrl group of a container that could not be made: {e}");
        }
        if let Err(e) = self.dir.remove() {
            tracing::warn!("the state of a container that could not be made: {e}");
        }
    }
}
