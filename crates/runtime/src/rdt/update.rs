//! New shares of caches and memory bandwidth for a container that runs.

use std::path::Path;

use orlop_compile::{Host, RdtPlan, compile_rdt};
use orlop_spec::{IntelRdt, Spec};

use super::RdtGroup;
use crate::bundle::refused;
use crate::error::Result;
use crate::facts;
use crate::options::Schemas;
use crate::runtime::Container;

/// Shares that are about to change.
pub(crate) struct NewShares {
    plan: RdtPlan,
    /// What the config says from then on.
    pub(crate) config: IntelRdt,
}

/// What they were.
pub(crate) enum OldShares {
    /// There was no group.
    None,
    /// The schemata of the group.
    Schemata(String),
}

impl NewShares {
    /// What to do about schemas; nothing if there are none.
    ///
    /// # Errors
    ///
    /// [`Error::Config`](crate::Error::Config): they make no sense, or the host has no such shares to give.
    pub(crate) fn of(schemas: &Schemas, spec: &Spec, mut host: Host, id: &str) -> Result<Option<Self>> {
        if schemas.is_empty() {
            return Ok(None);
        }
        host.resctrl = facts::resctrl();
        let mut config = spec.linux.as_ref().and_then(|linux| linux.intel_rdt.clone()).unwrap_or_default();
        for (new, old) in
            [(&schemas.l3_cache, &mut config.l3_cache_schema), (&schemas.mem_bw, &mut config.mem_bw_schema)]
        {
            if !new.is_empty() {
                old.clone_from(new);
            }
        }
        let plan = compile_rdt(spec, &config, &host, id)
            .map_err(|found| refused(Path::new("update"), "", &found))?;
        Ok(plan.map(|plan| Self { plan, config }))
    }

    /// Gives them to a container, which gets a group if it had none.
    ///
    /// # Errors
    ///
    /// The kernel takes no more groups, or not these shares.
    pub(crate) fn give(&self, container: &mut Container) -> Result<OldShares> {
        if let Some(group) = &container.saved.rdt {
            return group.change(&self.plan).map(OldShares::Schemata);
        }
        let group = RdtGroup::locate(&self.plan);
        group.create(&self.plan)?;
        container.saved.rdt = Some(group.clone());
        let pid = container.saved.process.map_or(0, |process| process.pid);
        let given = container.dir.write_state(&container.saved).and_then(|()| group.attach(pid));
        given.map(|()| OldShares::None).inspect_err(|_| self.take_back(container, &OldShares::None))
    }

    /// Undoes it. The failure that is the reason is what the caller hears; one of this is logged.
    pub(crate) fn take_back(&self, container: &mut Container, old: &OldShares) {
        let undone = match (old, &container.saved.rdt) {
            (_, None) => Ok(()),
            (OldShares::Schemata(text), Some(group)) => group.change_back(text, &self.plan),
            (OldShares::None, Some(group)) => {
                let removed = group.remove();
                container.saved.rdt = None;
                removed.and_then(|()| container.dir.write_state(&container.saved))
            }
        };
        if let Err(e) = undone {
            tracing::warn!("the shares of caches could not be taken back: {e}");
        }
    }
}
