//! The control group: where it is and what it limits. The host side makes it before the launch.

use crate::compiler::Compiler;
use crate::devices::default_rules;
use crate::mounts::options::MountOptions;
use crate::paths::clean;
use crate::{CgroupPlan, CgroupRights, Code, Options};
use orlop_cgroups::{CgroupPath, PathProblem, Plan, plan};
use orlop_spec::{DeviceRule, NamespaceKind, Pointer, Resources};
use std::path::PathBuf;

impl Compiler<'_> {
    /// Plans the container's control group.
    pub(crate) fn cgroup(&mut self, options: &Options<'_>) {
        if options.no_cgroup {
            return self.without_cgroup();
        }
        let scope = if options.systemd_cgroup { self.scope() } else { None };
        let path = match &scope {
            Some(scope) => self.scope_path(scope),
            None if options.systemd_cgroup => None,
            None => {
                self.without_systemd();
                self.cgroup_path()
            }
        };
        let plan = self.cgroup_plan();
        if let (Some(path), Some(plan)) = (path, plan) {
            let asked =
                options.systemd_cgroup || !self.linux.cgroups_path.is_empty() || !plan.settings.is_empty();
            let rights = self.host.cgroup_rights;
            let best_effort = rights == CgroupRights::Forgiven && !asked;
            if rights == CgroupRights::None && !asked {
                return;
            }
            if self.host.cgroups.unified.is_none() && !best_effort {
                let message = "no cgroup2 file system is mounted, and every container is born in a cgroup";
                self.error(Code::Cgroup, Pointer::new("/linux/cgroupsPath"), message)
                    .hint("mount -t cgroup2 none /sys/fs/cgroup/unified");
            }
            let owner = self.cgroup_owner();
            self.launch.cgroup = Some(CgroupPlan { path, plan, owner, best_effort, scope });
        }
    }

    /// There is no cgroup to limit anything in.
    fn without_cgroup(&mut self) {
        let Some(resources) = &self.linux.resources else { return };
        let limits = Resources { devices: Vec::new(), ..resources.clone() };
        let settings = self.planned(&limits).map_or_else(Vec::new, |plan| plan.settings);
        let mut origins: Vec<Pointer> = settings.into_iter().map(|setting| setting.origin).collect();
        origins.dedup();
        for origin in origins {
            let message = "a limit needs a cgroup, and cgroups are disabled (--cgroup-manager)";
            self.error(Code::Cgroup, origin, message);
        }
        if !resources.devices.is_empty() {
            let message = "device rules need a cgroup, and cgroups are disabled (--cgroup-manager)";
            self.note(Code::CgroupIgnored, Pointer::new("/linux/resources/devices"), message);
        }
    }

    fn cgroup_path(&mut self) -> Option<CgroupPath> {
        match CgroupPath::new(Some(&self.linux.cgroups_path), self.id) {
            Ok(path) => Some(path),
            // The id has been refused already.
            Err(_) if self.linux.cgroups_path.is_empty() => None,
            Err(problem) => {
                let code = match problem {
                    PathProblem::Systemd { .. } => Code::SystemdPath,
                    _ => Code::Cgroup,
                };
                let diagnostic = self.error(code, Pointer::new("/linux/cgroupsPath"), problem.to_string());
                if let PathProblem::Systemd { prefix, name, .. } = problem {
                    diagnostic.hint(format!("add --systemd-cgroup, or use a path such as /{prefix}/{name}"));
                }
                None
            }
        }
    }

    fn cgroup_plan(&mut self) -> Option<Plan> {
        let none = Resources::default();
        self.planned(self.linux.resources.as_ref().unwrap_or(&none))
    }

    /// What these limits are in files and values.
    pub(crate) fn planned(&mut self, resources: &Resources) -> Option<Plan> {
        let planned = if self.host.privileged {
            plan(resources, &self.host.cgroups, &default_rules(&self.linux.devices))
        } else {
            self.plan_without_devices(resources)
        };
        match planned {
            Ok(mut plan) => {
                for warning in plan.warnings.drain(..) {
                    self.warn(Code::CgroupIgnored, warning.origin, warning.what);
                }
                Some(plan)
            }
            Err(problems) => {
                for problem in problems {
                    let diagnostic = self.error(Code::Cgroup, problem.origin, problem.what);
                    if !problem.hint.is_empty() {
                        diagnostic.hint(problem.hint);
                    }
                }
                None
            }
        }
    }

    /// A device filter takes privileges to load. Without them no device can be made either, so the host's own
    /// permissions are what protects its devices.
    fn plan_without_devices(&mut self, resources: &Resources) -> Result<Plan, Vec<orlop_cgroups::Problem>> {
        let all = DeviceRule { allow: true, access: "rwm".to_owned(), ..DeviceRule::default() };
        let without = Resources { devices: vec![all], ..resources.clone() };
        let planned = plan(&without, &self.host.cgroups, &[]);
        if !resources.devices.is_empty() {
            let message =
                "device rules need privileges to enforce; the permissions of device nodes still hold";
            self.warn(Code::CgroupIgnored, Pointer::new("/linux/resources/devices"), message);
        }
        planned
    }

    /// A writable cgroup tree is of no use to a container that does not own it. That holds for version 2, as with runc; what
    /// is shown of version 1 stays the host's.
    fn cgroup_owner(&mut self) -> Option<u32> {
        let tree =
            if self.host.cgroups.has_v1_controllers() { &["cgroup2"][..] } else { &["cgroup", "cgroup2"] };
        let writable = self.spec.mounts.iter().any(|mount| {
            tree.contains(&mount.kind.as_str())
                && clean(&mount.destination) == "/sys/fs/cgroup"
                && MountOptions::parse(&mount.options).flags & libc::MS_RDONLY == 0
        });
        let own = self.namespaces.is_new(&NamespaceKind::Cgroup);
        let process = self.spec.process.as_ref().filter(|_| own && writable)?;
        let owner = self.host_uid(process.user.uid)?;
        if self.host.euid != 0 && owner != self.host.euid {
            let message = "the cgroup cannot be given to this user: only root gives files away";
            self.warn(Code::CgroupIgnored, Pointer::new("/process/user/uid"), message);
            return None;
        }
        Some(owner)
    }

    /// The directory of the container's control group in the tree of version 2; the caller's, if it has none of its own.
    pub(crate) fn cgroup_directory(&self) -> Option<PathBuf> {
        let Some(cgroup) = &self.launch.cgroup else {
            return self.host.cgroups.unified.as_ref().map(|unified| unified.mount.join(&unified.own));
        };
        cgroup.path.locate(&self.host.cgroups).ok().map(|location| location.v2.path())
    }
}
