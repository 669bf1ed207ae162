//! The control group: where it is and what it limits. The host side makes it before the launch.

use crate::Options;
use crate::compiler::{Compiler, on_host};
use std::path::PathBuf;

impl Compiler<'_> {
    /// Plans the container's control group.
    pub(crate) fn cgroup(&mut self, _options: &Options<'_>) {
        let path = self.linux.cgroups_path.as_str();
        self.launch.cgroup.path = if path.is_empty() { self.id.to_owned() } else { path.to_owned() };
    }

    /// The directory of the container's control group in the tree of version 2.
    pub(crate) fn cgroup_directory(&self) -> Option<PathBuf> {
        let mount = self.host.cgroup_mount.as_ref()?;
        Some(on_host(mount, self.launch.cgroup.path.trim_start_matches('/')))
    }
}
