//! Cgroups that systemd makes: the scope unit, what annotations ask of it, and what to do where systemd is not there.

use crate::compiler::Compiler;
use crate::{Code, ScopePlan};
use orlop_cgroups::CgroupPath;
use orlop_spec::Pointer;
use orlop_systemd::{NameProblem, Property, ScopeName, Which, text};
use std::path::PathBuf;

/// Properties of the unit, in the text format of GVariant. runc introduced them.
const PROPERTY: &str = "org.systemd.property.";
/// A cgroup below the scope's own for the container. crun introduced it.
const SUBGROUP: &str = "run.oci.systemd.subgroup";
/// Below which cgroup to make a plain one if systemd does not answer. Ours.
const FALLBACK: &str = "run.orlop.systemd.fallback";

const PATH: Pointer = Pointer::new("/linux/cgroupsPath");

fn annotation(key: &str) -> Pointer {
    Pointer::new("/annotations/{}").key(key)
}

impl Compiler<'_> {
    /// Plans the scope unit.
    pub(crate) fn scope(&mut self) -> Option<ScopePlan> {
        if self.host.cgroups.has_v1_controllers() {
            let message = "systemd can only be asked for a cgroup where version 2 has all controllers, and here \
                           version 1 has some";
            self.error_of_command(Code::SystemdHost, message)
                .hint("boot with systemd.unified_cgroup_hierarchy=1, or leave out --systemd-cgroup");
        }
        // The caller's own systemd for whoever has no rights over the host's.
        let (which, slice) =
            if self.host.privileged { (Which::System, "system.slice") } else { (Which::User, "user.slice") };
        let name = ScopeName::new(&self.linux.cgroups_path, self.id, slice);
        let (properties, below) = (self.unit_properties(), self.subgroup());
        let name = match name {
            Ok(name) => name,
            // The id has been refused already.
            Err(_) if self.linux.cgroups_path.is_empty() => return None,
            Err(problem) => {
                let is_form = matches!(problem, NameProblem::Form(_));
                let diagnostic = self.error(Code::SystemdPath, PATH, problem.to_string());
                if is_form {
                    diagnostic.hint("write it as system.slice:orlop:NAME, or leave out --systemd-cgroup");
                }
                return None;
            }
        };
        let fallback = self.fallback(&name);
        Some(ScopePlan { which, name, properties, below, fallback })
    }

    /// Where the scope's cgroup will most likely be. Where it is, systemd decides.
    pub(crate) fn scope_path(&self, scope: &ScopePlan) -> Option<CgroupPath> {
        let uid = self.host.euid;
        let manager = match scope.which {
            Which::System => String::new(),
            Which::User => format!("user.slice/user-{uid}.slice/user@{uid}.service/"),
        };
        let path = format!("/{manager}{}", scope.name.directory().join(&scope.below).display());
        CgroupPath::new(Some(&path), self.id).ok()
    }

    fn unit_properties(&mut self) -> Vec<Property> {
        let mut properties = Vec::new();
        for (key, value) in &self.spec.annotations {
            let Some(name) = key.strip_prefix(PROPERTY) else { continue };
            match text::property(name, value) {
                Ok(property) => properties.push(property),
                Err(why) => {
                    let message = format!("annotation {key}: {why}");
                    self.error(Code::SystemdProperty, annotation(key), message)
                        .hint("a value is written as true, 5, uint64 5, 2.5, 'text' or ['a', 'b']");
                }
            }
        }
        properties
    }

    fn subgroup(&mut self) -> PathBuf {
        let Some(value) = self.spec.annotations.get(SUBGROUP).filter(|value| !value.is_empty()) else {
            return PathBuf::new();
        };
        match CgroupPath::new(Some(&format!("/{value}")), self.id) {
            Ok(path) => path.inner().to_owned(),
            Err(problem) => {
                let message =
                    format!("annotation {SUBGROUP}: {}", problem.to_string().replace("cgroupsPath ", ""));
                self.error(Code::SystemdSubgroup, annotation(SUBGROUP), message)
                    .hint("name a cgroup below the scope's, such as container");
                PathBuf::new()
            }
        }
    }

    fn fallback(&mut self, name: &ScopeName) -> Option<CgroupPath> {
        let value = self.spec.annotations.get(FALLBACK)?;
        let path = CgroupPath::new(Some(&format!("{value}/{}", name.unit)), self.id);
        match path {
            Ok(path) if value.starts_with('/') => Some(path),
            _ => {
                let message = format!("annotation {FALLBACK}: {value:?} is not the path of a cgroup");
                self.error(Code::SystemdFallback, annotation(FALLBACK), message).hint(
                    "name a cgroup that is delegated and has no processes, from the root on: /orlop.slice/plain",
                );
                None
            }
        }
    }

    /// What has no effect where systemd is not asked.
    pub(crate) fn without_systemd(&mut self) {
        for (key, value) in &self.spec.annotations {
            let known =
                key.starts_with(PROPERTY) || key == FALLBACK || (key == SUBGROUP && !value.is_empty());
            if known {
                let message = format!("annotation {key} has no effect without --systemd-cgroup");
                self.warn(Code::CgroupIgnored, annotation(key), message);
            }
        }
    }
}
