//! OCI resources → files and values. Pure: what it needs to know of the host is in the [`Layout`].
//!
//! | file | what is in it |
//! |---|---|
//! | `plan/memory.rs` | memory and swap |
//! | `plan/cpu.rs` | CPU time and placement |
//! | `plan/io.rs` | block devices |
//! | `plan/other.rs` | tasks, huge pages, RDMA, network tags |
//! | `plan/unified.rs` | the `unified` map |
//! | `plan/convert.rs` | formulas from version 1 units to version 2 units |
//!
//! Each file has the mapping for version 2 and for version 1 side by side. Which is taken is decided for each
//! controller: version 2 where it has the controller, else version 1, else it is a [`Problem`].

pub mod convert;
mod cpu;
mod io;
mod memory;
mod other;
#[cfg(test)]
mod tests;
mod unified;

use std::borrow::Cow;

use orlop_spec::{DeviceRule, Pointer, Resources};

use crate::controller::{Controller, Controllers};
use crate::device::DeviceProgram;
use crate::layout::{Hierarchy, Layout};
use crate::setting::{Absent, Problem, Setting, Warning};

/// Everything that shall be done to a container's cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The files to write, in order.
    pub settings: Vec<Setting>,
    /// The device filter; a version 2 cgroup gets it whatever version the controllers have.
    pub devices: DeviceProgram,
    /// What has no effect on this host.
    pub warnings: Vec<Warning>,
}

impl Plan {
    /// The controllers that the settings use in one version.
    pub fn controllers(settings: &[Setting], hierarchy: Hierarchy) -> Controllers {
        settings.iter().filter(|s| s.hierarchy == hierarchy).map(|s| s.controller).collect()
    }
}

/// Plans the cgroup of a container.
///
/// `default_devices` are rules that the runtime adds after those of the config, for the device nodes that every
/// container has.
///
/// # Errors
/// All problems at once, each with its place in the config.
pub fn plan(
    resources: &Resources,
    layout: &Layout,
    default_devices: &[DeviceRule],
) -> Result<Plan, Vec<Problem>> {
    let mut planner = Planner::new(layout);
    if let Some(pids) = &resources.pids {
        planner.pids(pids);
    }
    if let Some(memory) = &resources.memory {
        planner.memory(memory);
    }
    if let Some(block_io) = &resources.block_io {
        planner.block_io(block_io);
    }
    if let Some(cpu) = &resources.cpu {
        planner.cpu(cpu);
        planner.cpuset(cpu);
    }
    planner.hugepages(&resources.hugepage_limits);
    planner.rdma(&resources.rdma);
    if let Some(network) = &resources.network {
        planner.network(network);
    }
    planner.unified(&resources.unified);
    planner.idle_without_weight();
    let devices = planner.devices(&resources.devices, default_devices);
    match devices {
        Some(devices) if planner.problems.is_empty() => {
            Ok(Plan { settings: planner.settings, devices, warnings: planner.warnings })
        }
        _ => Err(planner.problems),
    }
}

/// A plan in the making.
struct Planner<'a> {
    layout: &'a Layout,
    settings: Vec<Setting>,
    warnings: Vec<Warning>,
    problems: Vec<Problem>,
}

/// One value on its way into the plan.
struct Wish {
    controller: Controller,
    file: Cow<'static, str>,
    value: String,
    origin: Pointer,
    why: &'static str,
    absent: Absent,
}

/// The text of a value: of a string, or of anything that is a number or a limit.
struct Value(String);

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self(number.to_string())
    }
}

impl From<convert::Limit> for Value {
    fn from(limit: convert::Limit) -> Self {
        Self(limit.to_string())
    }
}

impl Wish {
    fn new(
        controller: Controller,
        file: impl Into<Cow<'static, str>>,
        value: impl Into<Value>,
        origin: Pointer,
        why: &'static str,
    ) -> Self {
        Self { controller, file: file.into(), value: value.into().0, origin, why, absent: Absent::Fail }
    }

    fn or(self, absent: Absent) -> Self {
        Self { absent, ..self }
    }
}

impl<'a> Planner<'a> {
    fn new(layout: &'a Layout) -> Self {
        Self { layout, settings: Vec::new(), warnings: Vec::new(), problems: Vec::new() }
    }

    /// Which version `controller` has here; a problem at `origin` where it has none.
    fn version(&mut self, controller: Controller, origin: &Pointer) -> Option<Hierarchy> {
        let found = self.layout.hierarchy_of(controller);
        if found.is_none() {
            let what = format!(
                "the {controller} controller is not available: {}",
                self.layout.looked_for(controller)
            );
            let mount = self
                .layout
                .unified
                .as_ref()
                .map_or("/sys/fs/cgroup".into(), |u| u.mount.display().to_string());
            let hint = format!(
                "boot with a kernel that has it, enable {controller} in {mount}/cgroup.subtree_control, or drop the limit"
            );
            self.problem(origin.clone(), what, hint);
        }
        found
    }

    fn put(&mut self, hierarchy: Hierarchy, wish: Wish) {
        let Wish { controller, file, value, origin, why, absent } = wish;
        self.settings.push(Setting { controller, hierarchy, file, value, origin, why, absent, above: None });
    }

    fn warn(&mut self, origin: Pointer, what: impl Into<String>) {
        self.warnings.push(Warning { origin, what: what.into() });
    }

    fn problem(&mut self, origin: Pointer, what: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem { origin, what: what.into(), hint: hint.into() });
    }

    fn devices(&mut self, rules: &[DeviceRule], defaults: &[DeviceRule]) -> Option<DeviceProgram> {
        const RULES: Pointer = Pointer::new("/linux/resources/devices");
        for (index, _) in rules.iter().enumerate().filter(|(_, rule)| rule.access.contains('a')) {
            let what = "the letter \"a\" has no effect: accesses are r, w and m";
            self.warn(Pointer::new("/linux/resources/devices/{}/access").at(index), what);
        }
        let all: Vec<DeviceRule> = rules.iter().chain(defaults).cloned().collect();
        match DeviceProgram::compile(&all) {
            Ok(program) => {
                if self.layout.unified.is_none() && !program.allows_all() {
                    let hint = "mount -t cgroup2 none /sys/fs/cgroup/unified";
                    self.problem(RULES, "device rules need a cgroup2 file system, and none is mounted", hint);
                }
                Some(program)
            }
            Err(refused) => {
                let origin = if refused.index < rules.len() {
                    let pattern = match refused.field {
                        "access" => "/linux/resources/devices/{}/access",
                        "type" => "/linux/resources/devices/{}/type",
                        "major" => "/linux/resources/devices/{}/major",
                        "minor" => "/linux/resources/devices/{}/minor",
                        _ => "/linux/resources/devices/{}",
                    };
                    Pointer::new(pattern).at(refused.index)
                } else {
                    RULES
                };
                self.problem(origin, refused.what, refused.hint);
                None
            }
        }
    }
}
