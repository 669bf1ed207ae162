//! Where the host keeps its cgroup hierarchies, as a value.

mod detect;
pub use detect::{MountLine, unescape};
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::controller::{Controller, Controllers};

/// Where the cgroup hierarchies of this host are, and what they control.
///
/// Three shapes exist (systemd calls them *unified*, *hybrid* and *legacy*): only version 2; version 2 next to version 1
/// hierarchies that hold some or all controllers; only version 1. [`Layout::detect`] finds out; tests build values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The hierarchy of version 2, if one is mounted.
    pub unified: Option<Unified>,
    /// The hierarchies of version 1 that containers live in, as with runc: all that have controllers, and that of systemd.
    /// Empty on a host with version 2 only.
    pub v1: Vec<V1Mount>,
}

/// The version 2 hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unified {
    /// Where it is mounted: `/sys/fs/cgroup`, or `/sys/fs/cgroup/unified` on a hybrid host.
    pub mount: PathBuf,
    /// Our own cgroup, relative to the mount point; empty for its root.
    pub own: PathBuf,
    /// What `cgroup.controllers` lists at the mount point.
    pub controllers: Controllers,
}

/// A version 1 hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct V1Mount {
    /// Where it is mounted, for instance `/sys/fs/cgroup/memory`.
    pub mount: PathBuf,
    /// Our own cgroup, relative to the mount point; empty for its root.
    pub own: PathBuf,
    /// Its controllers; two or more where they are mounted together, such as `cpu,cpuacct`.
    pub controllers: Controllers,
}

impl V1Mount {
    /// Whether it has controllers, and not only systemd's services.
    pub fn has_controllers(&self) -> bool {
        has_controllers(self.controllers)
    }
}

fn has_controllers(all: Controllers) -> bool {
    all.iter().any(|controller| controller != Controller::Systemd)
}

/// Where a setting of a controller is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// The unified hierarchy.
    V2,
    /// The version 1 hierarchy that holds the controller.
    V1,
}

/// A directory below a mount point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The mount point of its hierarchy.
    pub mount: PathBuf,
    /// The path below the mount point, without a leading slash.
    pub inner: PathBuf,
}

impl Place {
    /// The whole path.
    pub fn path(&self) -> PathBuf {
        self.mount.join(&self.inner)
    }
}

/// The directories of one container's cgroup: what a runtime has to remember about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The directory in the unified hierarchy.
    pub v2: Place,
    /// The directories in version 1 hierarchies, with the controllers of these.
    pub v1: Vec<(Controllers, Place)>,
}

impl Location {
    /// Whether version 1 has controllers for this cgroup.
    pub fn has_v1_controllers(&self) -> bool {
        self.v1.iter().any(|(controllers, _)| has_controllers(*controllers))
    }
}

impl Layout {
    /// Where `controller` is: version 2 before version 1, `None` where neither has it.
    pub fn hierarchy_of(&self, controller: Controller) -> Option<Hierarchy> {
        let unified = self.unified.as_ref();
        if unified.is_some_and(|u| controller == Controller::Core || u.controllers.contains(controller)) {
            return Some(Hierarchy::V2);
        }
        self.v1_mount_of(controller).map(|_| Hierarchy::V1)
    }

    /// Whether version 1 has controllers here.
    pub fn has_v1_controllers(&self) -> bool {
        self.v1.iter().any(V1Mount::has_controllers)
    }

    /// The version 1 hierarchy that has `controller`.
    pub fn v1_mount_of(&self, controller: Controller) -> Option<&V1Mount> {
        self.v1.iter().find(|m| m.controllers.contains(controller))
    }

    /// In words, where `controller` was looked for, for messages about its absence.
    pub fn looked_for(&self, controller: Controller) -> String {
        let v2 = match &self.unified {
            Some(u) => format!("not in {}/cgroup.controllers", u.mount.display()),
            None => "no cgroup2 file system is mounted".into(),
        };
        format!("{v2}, and no version 1 hierarchy with {} is mounted", controller.v1_name())
    }
}

/// Joins paths as components; `/` and `..` in `own` (a cgroup outside our namespace) count as the root.
fn below(own: &Path, root: &Path) -> PathBuf {
    let own = own.strip_prefix(root).unwrap_or(own);
    if own.components().any(|c| c == std::path::Component::ParentDir) {
        return PathBuf::new();
    }
    own.strip_prefix("/").unwrap_or(own).into()
}
