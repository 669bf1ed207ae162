//! The cgroup tree inside a container on a host whose controllers are in version 1: the hierarchies of that, as with runc.

use super::{Compiler, Entry};
use libc::{MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY};
use orlop_cgroups::{Controller, V1Mount};
use orlop_program::Step;
use orlop_program::wire::{List, Str};
use orlop_spec::NamespaceKind;
use std::path::PathBuf;

/// What a tree of cgroups never needs.
const RESTRICTIONS: u64 = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

impl Compiler<'_> {
    /// A tmpfs in which each hierarchy has a directory, named as on the host, that shows the container's own cgroup: mounted
    /// anew in a cgroup namespace, whose root that is, else bound.
    pub(super) fn cgroup_hierarchies(&mut self, entry: &Entry<'_>) {
        self.tmpfs_of_hierarchies(entry);
        let own_root = self.has(&NamespaceKind::Cgroup);
        let (host, at) = (self.host, entry.target.trim_end_matches('/'));
        let mut together = Vec::new();
        for mount in &host.cgroups.v1 {
            let name = mount.mount.file_name().unwrap_or_default().to_string_lossy();
            let target = format!("{at}/{name}");
            if own_root {
                self.new_hierarchy(entry, mount, &target);
            } else {
                let directory = self.own_directory(mount);
                self.bind_path(entry, &directory, &target, false);
            }
            if name.contains(',') {
                together.push(name);
            }
        }
        if together.is_empty() {
            return;
        }
        let (slot, why) =
            (self.slot(&entry.pointer()), "For the links to hierarchies of several controllers.");
        self.step(Step::OpenDir { path: at.into(), slot }, entry.pointer(), why);
        for names in &together {
            for name in names.split(',') {
                let step = Step::Symlink {
                    dir: slot,
                    name: name.into(),
                    target: names.as_ref().into(),
                    replace: false,
                };
                self.step(step, entry.pointer(), "Each of the controllers is found by its own name, too.");
            }
        }
    }

    fn tmpfs_of_hierarchies(&mut self, entry: &Entry<'_>) {
        let mut options: Vec<(Str<'_>, Option<Str<'_>>)> =
            vec![("source".into(), Some("tmpfs".into())), ("mode".into(), Some("755".into()))];
        let mut parts = vec![entry.pointer().into(), entry.pointer().into()];
        if let Some((label, origin)) = self.context("tmpfs") {
            options.push(("context".into(), Some(label.into())));
            parts.push(origin);
        }
        if entry.options.attributes() & MOUNT_ATTR_RDONLY != 0 {
            // The mount points are still to be made in it.
            self.read_only_later.push((entry.index, entry.target.to_string()));
        }
        let step = Step::Mount {
            fstype: "tmpfs".into(),
            options: List::from(options.as_slice()),
            attributes: RESTRICTIONS,
            target: entry.target.as_ref().into(),
            real: false,
            keep: None,
            id_map: None,
            like: None,
            beside: false,
        };
        let why = "The host has controllers in version 1: each hierarchy gets a directory here.";
        self.step_of_parts(step, entry.pointer(), why, parts);
    }

    fn new_hierarchy(&mut self, entry: &Entry<'_>, mount: &V1Mount, target: &str) {
        // Controllers are options without a value; the kernel finds the hierarchy that has exactly these.
        let option = |controller: Controller| match controller.v1_name().split_once('=') {
            Some((key, value)) => (Str::from(key), Some(Str::from(value))),
            None => (Str::from(controller.v1_name()), None),
        };
        let mut options = vec![(Str::from("source"), Some(Str::from("cgroup")))];
        options.extend(mount.controllers.iter().map(option));
        let parts = options.iter().map(|_| entry.pointer().into()).collect();
        let step = Step::Mount {
            fstype: "cgroup".into(),
            options: List::from(options.as_slice()),
            attributes: entry.options.attributes() | RESTRICTIONS,
            target: target.into(),
            real: false,
            keep: None,
            id_map: None,
            like: None,
            beside: false,
        };
        self.step_of_parts(step, entry.pointer(), "The container's own part of this hierarchy.", parts);
    }

    /// The container's directory in a hierarchy; the caller's, if it has none of its own.
    fn own_directory(&self, mount: &V1Mount) -> PathBuf {
        match &self.launch.cgroup {
            Some(cgroup) => cgroup.path.place_v1(mount).path(),
            None => mount.mount.join(&mount.own),
        }
    }
}
