//! The cgroup tree inside the container.

use super::{Compiler, Entry};
use crate::compiler::bytes;
use crate::{CgroupRights, Code};
use orlop_program::source::Source;
use orlop_program::{Slot, Step};
use orlop_spec::NamespaceKind;

impl Compiler<'_> {
    /// Type `cgroup`: what a container sees is its own cgroup.
    ///
    /// In a cgroup namespace of its own it mounts the tree, whose root is that cgroup. Without one, mounting would show
    /// the host's whole tree, so the one directory is bound instead. Where version 1 has controllers, there are several trees.
    pub(super) fn cgroup_mount(&mut self, entry: &Entry<'_>) {
        let (own_root, hierarchies) =
            (self.has(&NamespaceKind::Cgroup), self.host.cgroups.has_v1_controllers());
        if own_root && !hierarchies {
            self.new_file_system(entry, "cgroup2");
            return;
        }
        self.refuse_options_of_tree(entry, hierarchies);
        if own_root {
            return self.cgroup_hierarchies(entry);
        }
        if self.host.cgroup_rights == CgroupRights::None && self.launch.cgroup.is_none() {
            // What may be there already is the host's tree, in which the caller may own something (CVE-2023-25809).
            let why = "The container has no cgroup of its own that could be shown, and the host's are none of its business.";
            let step = Step::MaskPath { path: entry.target.as_ref().into(), within: Slot::ROOT };
            self.step(step, entry.pointer(), why);
            return;
        }
        if hierarchies {
            return self.cgroup_hierarchies(entry);
        }
        let Some(directory) = self.cgroup_directory() else {
            let message = "there is no cgroup file system of version 2 that could be mounted";
            self.error(Code::MountCgroup, entry.field("/mounts/{}/type"), message)
                .hint("mount -t cgroup2 none /sys/fs/cgroup/unified, or remove the mount");
            return;
        };
        let scope = self.launch.cgroup.as_ref().and_then(|cgroup| cgroup.scope.as_ref());
        let (by_systemd, fallback) = (scope.is_some(), scope.is_some_and(|scope| scope.fallback.is_some()));
        if fallback {
            let message = "where the container's cgroup is to bind is not known before systemd answers, and a fallback \
                           is declared";
            self.error(Code::MountCgroup, entry.field("/mounts/{}/type"), message)
                .hint("add {\"type\": \"cgroup\"} to linux.namespaces");
            return;
        }
        // Systemd makes it for a process that is there already: too late for a source that the host side takes hold of.
        if by_systemd {
            let source = Source::Path(bytes(&directory).into());
            return self.bind_source(entry, source, &entry.target, false);
        }
        self.bind_path(entry, &directory, &entry.target, false);
    }

    fn refuse_options_of_tree(&mut self, entry: &Entry<'_>, hierarchies: bool) {
        for (key, _, option) in &entry.options.data {
            let message = if hierarchies {
                format!(
                    "{key:?} is an option of a file system, and here the hierarchies of version 1 are shown"
                )
            } else {
                format!(
                    "{key:?} is an option of file systems; without a cgroup namespace, the container's \
                    cgroup is only bound"
                )
            };
            let hint = if hierarchies {
                "remove it, or mount a \"cgroup2\""
            } else {
                "add {\"type\": \"cgroup\"} to linux.namespaces"
            };
            self.error(Code::MountOption, entry.option(*option), message).hint(hint);
        }
    }
}
