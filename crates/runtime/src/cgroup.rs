//! The container's cgroup: made before the container, or by systemd around its first process; removed after it.

use std::borrow::Cow;

use orlop_cgroups::{Cgroup, Claim, Layout, Location, Setting};
use orlop_compile::{CgroupPlan, CgroupRights, Host};

use crate::error::{Error, Result};
use crate::scope::Scope;
use crate::state::CgroupPaths;

/// Who makes the cgroup.
pub(crate) enum Maker<'a> {
    /// We do, before the launch.
    Us(Cow<'a, CgroupPlan>),
    /// systemd does, while the process waits.
    Systemd(Scope<'a>),
}

impl<'a> Maker<'a> {
    /// Finds out, and asks nobody for anything yet: if systemd is to make it but does not answer, a plain cgroup is made if
    /// the config declares where.
    ///
    /// # Errors
    ///
    /// [`Error::Systemd`]: it does not answer.
    pub(crate) fn choose(plan: &'a CgroupPlan) -> Result<Self> {
        let Some(scope) = &plan.scope else { return Ok(Self::Us(Cow::Borrowed(plan))) };
        match (Scope::new(plan, scope), &scope.fallback) {
            (Err(Error::Systemd(e)), Some(path)) if e.is_absence() => {
                tracing::warn!(
                    "systemd: {e}; a plain cgroup is made instead, /{}, as an annotation of the config allows",
                    path.inner().display()
                );
                Ok(Self::Us(Cow::Owned(CgroupPlan { path: path.clone(), scope: None, ..plan.clone() })))
            }
            (scope, _) => scope.map(Self::Systemd),
        }
    }

    /// What to save of the cgroup before it exists.
    ///
    /// # Errors
    ///
    /// [`Error::Cgroup`]: no cgroup2 file system is mounted.
    pub(crate) fn paths(&self, layout: &Layout) -> Result<CgroupPaths> {
        let (plan, unit) = match self {
            Self::Us(plan) => (&**plan, None),
            // Where it will be in the end, systemd decides; this is where it usually is.
            Self::Systemd(scope) => (scope.plan(), Some(scope.unit())),
        };
        let paths = locate(plan, layout)?.as_ref().map(CgroupPaths::of).unwrap_or_default();
        Ok(CgroupPaths { unit, ..paths })
    }
}

/// Where the cgroup will be, to be saved before it exists: a command that is killed leaves nothing that `delete` does not
/// find.
///
/// # Errors
///
/// [`Error::Cgroup`]: no cgroup2 file system is mounted.
fn locate(plan: &CgroupPlan, layout: &Layout) -> Result<Option<Location>> {
    match plan.path.locate(layout) {
        Ok(location) => Ok(Some(location)),
        Err(_) if plan.best_effort => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Makes the cgroup, of a caller who is not `rootless` without its device program; `None` if the caller has no right to and the
/// config does not insist.
///
/// # Errors
///
/// [`Error::Cgroup`], with what in the config insists where a `rootless` caller has no right.
pub(crate) fn create(
    plan: &CgroupPlan,
    layout: &Layout,
    rootless: bool,
    claim: Claim<'_>,
) -> Result<Option<Cgroup>> {
    let create = if rootless { Cgroup::create } else { Cgroup::create_unconfined };
    match create(layout, &plan.path, &plan.plan, claim) {
        Ok(cgroup) => {
            if let Some(Err(e)) = plan.owner.map(|owner| cgroup.delegate(owner)) {
                // Nobody knows of it yet who could take it back; the first failure is what the caller hears.
                cgroup.remove().ok();
                return Err(e.into());
            }
            Ok(Some(cgroup))
        }
        Err(e) if is_denied(&e) && plan.best_effort => {
            tracing::debug!("no cgroup of its own: {e}");
            Ok(None)
        }
        Err(e) if is_denied(&e) && rootless => Err(denied(plan, &e)),
        Err(e) => Err(of_setting(plan, e)),
    }
}

/// Attaches the device program to a cgroup that was made without.
///
/// # Errors
///
/// [`Error::Cgroup`].
pub(crate) fn confine(plan: &CgroupPlan, cgroup: &Cgroup) -> Result<()> {
    cgroup.confine(&plan.plan).map_err(|e| of_setting(plan, e))
}

/// Whether a container has all the cgroups that the caller was thought to have a right to. If not, what is known of the host
/// is corrected: without a cgroup of its own in a hierarchy, the container sees nothing of that either.
pub(crate) fn as_expected(host: &mut Host, cgroup: Option<&Cgroup>) -> bool {
    let Some(cgroup) = cgroup else {
        host.cgroup_rights = CgroupRights::None;
        return false;
    };
    let made = &cgroup.location().v1;
    let expected = host.cgroups.v1.len();
    host.cgroups.v1.retain(|mount| made.iter().any(|(_, place)| place.mount == mount.mount));
    host.cgroups.v1.len() == expected
}

/// Whether this is a lack of rights, or of a cgroup file system.
fn is_denied(e: &orlop_cgroups::Error) -> bool {
    matches!(e, orlop_cgroups::Error::NoUnified { .. }) || e.is_denial()
}

/// Who may not make cgroups, and what in the config asks for one. The words are runc's.
fn denied(plan: &CgroupPlan, e: &orlop_cgroups::Error) -> Error {
    let asked =
        if plan.plan.settings.is_empty() { "/linux/cgroupsPath".to_owned() } else { origins(plan, e) };
    Error::Cgroup {
        what: format!(
            "unable to apply cgroup configuration, permission denied: rootless needs no limits + no cgrouppath when no \
             permission is granted for cgroups, but there is {asked}: {e}"
        ),
        hint: Some(
            "leave that out, or have a cgroup delegated to you: systemd-run --user --scope -p Delegate=yes"
                .into(),
        ),
    }
}

/// What could not be done, with the settings that asked for it.
fn of_setting(plan: &CgroupPlan, e: orlop_cgroups::Error) -> Error {
    match &e {
        orlop_cgroups::Error::NoController { .. } | orlop_cgroups::Error::NotDelegated { .. } => {
            Error::Cgroup { what: format!("{} cannot be set: {e}", origins(plan, &e)), hint: None }
        }
        _ => e.into(),
    }
}

/// The places in the config that ask for settings: those of the controllers that an error is about, or all.
fn origins(plan: &CgroupPlan, e: &orlop_cgroups::Error) -> String {
    let concerned = |setting: &&Setting| match e {
        orlop_cgroups::Error::NoController { missing, .. }
        | orlop_cgroups::Error::NotDelegated { missing, .. } => missing.contains(setting.controller),
        _ => true,
    };
    let settings = plan.plan.settings.iter().filter(concerned);
    let mut places: Vec<String> = settings.map(|setting| setting.origin.to_string()).collect();
    places.dedup();
    places.join(", ")
}

impl From<orlop_cgroups::Error> for Error {
    fn from(e: orlop_cgroups::Error) -> Self {
        Self::Cgroup { what: e.to_string(), hint: None }
    }
}
