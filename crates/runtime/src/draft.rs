//! A container in the making: what has to be taken back if making it fails.

use std::cell::{Cell, OnceCell};
use std::time::Duration;

use orlop_cgroups::{Cgroup, Layout};
use orlop_compile::{CgroupPlan, RdtPlan};

use crate::error::Result;
use crate::host_mounts::HostMounts;
use crate::rdt::RdtGroup;
use crate::scope::Scope;
use crate::state::{CgroupPaths, Unit};
use crate::store::StateDir;
use crate::{cgroup, owner};

/// How long the processes of a failed container may take to die. They have been killed; only the kernel can be slow.
const DEATH: Duration = Duration::from_secs(10);

/// Takes the cgroup and the state directory back when it is dropped, unless the container is to be kept.
///
/// The process comes first: the session, which is younger, is dropped before this.
#[derive(Debug)]
pub(crate) struct Draft {
    dir: StateDir,
    cgroup: OnceCell<Cgroup>,
    /// The cgroup has its device program.
    confined: Cell<bool>,
    /// The unit that systemd has made the cgroup for.
    unit: OnceCell<Unit>,
    rdt: OnceCell<RdtGroup>,
    host_mounts: OnceCell<HostMounts>,
    /// The state directory was there before, and stays.
    again: bool,
    kept: bool,
}

impl Draft {
    pub(crate) fn new(dir: StateDir) -> Self {
        let (cgroup, unit, rdt) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self {
            dir,
            cgroup,
            confined: Cell::new(false),
            unit,
            rdt,
            host_mounts: OnceCell::new(),
            again: false,
            kept: false,
        }
    }

    /// In a state directory whose container is made again.
    pub(crate) fn again(dir: StateDir) -> Self {
        let mut draft = Self::new(dir);
        draft.again = true;
        draft
    }

    pub(crate) const fn dir(&self) -> &StateDir {
        &self.dir
    }

    /// Its cgroup, once it is made; there may be none.
    pub(crate) fn cgroup(&self) -> Option<&Cgroup> {
        self.cgroup.get()
    }

    /// Makes the cgroup; there is none afterwards if the caller has no right to and the config does not insist. It has no device
    /// program before [`Draft::confine`].
    ///
    /// # Errors
    ///
    /// [`Error::Cgroup`](crate::Error::Cgroup).
    pub(crate) fn make_cgroup(
        &self,
        plan: &CgroupPlan,
        layout: &Layout,
        rootless: bool,
        mark: &str,
    ) -> Result<()> {
        // What is nobody's by right may be denied, and then there is no cgroup.
        self.confined.set(rootless);
        if let Some(cgroup) = cgroup::create(plan, layout, rootless, owner::claim(mark))? {
            self.cgroup.get_or_init(|| cgroup);
        }
        Ok(())
    }

    /// Attaches the device program to the cgroup that was made.
    ///
    /// # Errors
    ///
    /// [`Error::Cgroup`](crate::Error::Cgroup).
    pub(crate) fn confine(&self, plan: &CgroupPlan) -> Result<()> {
        match self.cgroup() {
            Some(cgroup) if !self.confined.replace(true) => cgroup::confine(plan, cgroup),
            _ => Ok(()),
        }
    }

    /// Has systemd make the cgroup around a process.
    ///
    /// # Errors
    ///
    /// [`Error::Systemd`](crate::Error::Systemd), [`Error::Cgroup`](crate::Error::Cgroup).
    pub(crate) fn start_scope(&self, scope: &Scope<'_>, layout: &Layout, pid: i32, mark: &str) -> Result<()> {
        scope.start(pid, layout)?;
        self.unit.get_or_init(|| scope.unit());
        let cgroup = scope.adopt(pid, layout)?;
        cgroup.claim(owner::claim(mark))?;
        self.cgroup.get_or_init(|| cgroup);
        Ok(())
    }

    /// Its share of caches, once it is made; there may be none.
    pub(crate) fn rdt(&self) -> Option<&RdtGroup> {
        self.rdt.get()
    }

    /// Makes the group of its share of caches.
    ///
    /// # Errors
    ///
    /// As [`RdtGroup::create`].
    pub(crate) fn make_rdt(&self, group: &RdtGroup, plan: &RdtPlan) -> Result<()> {
        group.create(plan)?;
        self.rdt.get_or_init(|| group.clone());
        Ok(())
    }

    /// It is about to mount among the host's mounts.
    pub(crate) fn mounts_on_host(&self, mounts: &HostMounts) {
        self.host_mounts.get_or_init(|| mounts.clone());
    }

    /// What to save of the cgroup.
    pub(crate) fn cgroup_paths(&self) -> CgroupPaths {
        let paths = self.cgroup().map(|cgroup| CgroupPaths::of(cgroup.location())).unwrap_or_default();
        CgroupPaths { unit: self.unit.get().cloned(), ..paths }
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
        if let Some(cgroup) = self.cgroup() {
            let removed =
                cgroup.kill().and_then(|()| cgroup.wait_empty(DEATH)).and_then(|()| cgroup.remove());
            if let Err(e) = removed {
                tracing::warn!("the cgroup of a container that could not be made: {e}");
            }
        }
        if let Some(Err(e)) = self.unit.get().map(Unit::stop) {
            tracing::warn!("the unit of a container that could not be made: {e}");
        }
        if let Some(Err(e)) = self.rdt().map(RdtGroup::remove) {
            tracing::warn!("the resctrl group of a container that could not be made: {e}");
        }
        if let Some(Err(e)) = self.host_mounts.get().map(HostMounts::remove) {
            tracing::warn!("the mounts of a container that could not be made: {e}");
        }
        if self.again {
            return;
        }
        if let Err(e) = self.dir.remove() {
            tracing::warn!("the state of a container that could not be made: {e}");
        }
    }
}
