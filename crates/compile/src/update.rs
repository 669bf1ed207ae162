//! New limits for a container that runs: what to write, and what its config says from then on.

use crate::compiler::Compiler;
use crate::{Diagnostic, Diagnostics, Host};
use orlop_cgroups::{DeviceProgram, Setting};
use orlop_spec::{Linux, Resources, Spec};
use std::path::Path;

mod merge;

/// Where limits stand in a config; those of an update stand in a document of their own.
const IN_CONFIG: &str = "/linux/resources";

/// A change of limits, ready to be made. Places are those in the document with the new limits, such as `/memory/limit`.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// What to write.
    pub settings: Vec<Setting>,
    /// The device program to put in the place of the old one, if the change has device rules.
    pub devices: Option<DeviceProgram>,
    /// All limits as they are afterwards.
    pub resources: Resources,
    /// What has no effect.
    pub warnings: Vec<Diagnostic>,
}

/// Compiles `change`, which says something about some limits, for a container with the config `spec`.
///
/// Only what the change names is written, and what the kernel takes together with it: quota and period, memory and swap.
///
/// # Errors
///
/// Everything that is wrong with the change.
pub fn compile_update(spec: &Spec, change: &Resources, host: &Host) -> Result<Update, Diagnostics> {
    let (no_linux, no_limits) = (Linux::default(), Resources::default());
    let linux = spec.linux.as_ref().unwrap_or(&no_linux);
    let old = linux.resources.as_ref().unwrap_or(&no_limits);
    let mut compiler = Compiler::new(spec, linux, host, "", Path::new("/"));
    let planned = compiler.planned(&merge::completed(change, old));
    let warnings = compiler.found().map_err(|found| in_document(&found))?;
    let (settings, devices) = planned.map_or((Vec::new(), None), |plan| (plan.settings, Some(plan.devices)));
    Ok(Update {
        settings: settings
            .into_iter()
            .map(|setting| Setting { origin: setting.origin.within(IN_CONFIG), ..setting })
            .collect(),
        devices: devices.filter(|_| host.privileged && !change.devices.is_empty()),
        resources: merge::merged(old, change),
        warnings: warnings.into_iter().map(moved).collect(),
    })
}

fn in_document(found: &Diagnostics) -> Diagnostics {
    Diagnostics::all_of(found.all().iter().cloned().map(moved).collect())
}

fn moved(found: Diagnostic) -> Diagnostic {
    Diagnostic { pointer: found.pointer.map(|pointer| pointer.within(IN_CONFIG)), ..found }
}

#[cfg(test)]
mod tests;
