//! New file systems.

use super::options::OF_FILE_SYSTEM;
use super::{Compiler, Entry};
use crate::mappings::Ids;
use crate::paths::{clean, is_below};
use crate::{Code, Origin};
use orlop_program::message::Point;
use orlop_program::wire::{List, Str};
use orlop_program::{Slot, Step};
use orlop_spec::NamespaceKind;
use std::borrow::Cow;

/// File systems that show a namespace; in a new user namespace only one that was made there may be shown.
const OF_NAMESPACE: [(&str, NamespaceKind); 4] = [
    ("proc", NamespaceKind::Pid),
    ("sysfs", NamespaceKind::Network),
    ("mqueue", NamespaceKind::Ipc),
    ("cgroup2", NamespaceKind::Cgroup),
];

impl Compiler<'_> {
    /// Mounts a new file system of any type, with the options of an entry.
    pub(super) fn new_file_system(&mut self, entry: &Entry<'_>, fstype: &str) {
        self.check_namespace(entry, fstype);
        self.check_ids(entry);
        self.warn_of_ignored(entry);
        let cleaned = clean(&entry.target);
        // Devices and mount points are still to be made in it.
        let later = fstype == "tmpfs" || cleaned == "/dev";
        let read_only = entry.options.attributes() & libc::MOUNT_ATTR_RDONLY != 0;
        let mut attributes = entry.options.attributes();
        if later && read_only {
            attributes &= !libc::MOUNT_ATTR_RDONLY;
            self.read_only_later.push((entry.index, entry.target.to_string()));
        }
        let (mut options, mut parts) = configuration(entry, later);
        if let Some((label, origin)) = self.context(fstype)
            && !entry.options.data.iter().any(|(key, _, _)| *key == "context")
        {
            options.push(("context".into(), Some(label.into())));
            parts.push(origin);
        }
        let real = matches!(fstype, "proc" | "sysfs");
        let (like, covered) = self.cover(entry, fstype);
        let id_map = self.id_map_of_new(entry);
        let plain = like.is_none() && covered.is_none() && id_map.is_none();
        let beside = plain && self.is_made_beside(fstype, &cleaned);
        if beside && cleaned == "/dev" {
            self.dev_beside = Some(self.next_index());
        }
        let step = Step::Mount {
            fstype: fstype.into(),
            options: List::from(options.as_slice()),
            attributes,
            // Without symbolic links on the way, `..` has its plain meaning.
            target: if real { Cow::as_ref(&cleaned) } else { entry.target.as_ref() }.into(),
            real,
            keep: self.slot_of_proc(entry, fstype, read_only),
            id_map,
            like,
            beside,
        };
        let why = if beside { why_beside(fstype) } else { why(fstype) };
        self.step_of_parts(step, entry.pointer(), why, parts);
        self.label_mount(fstype, &entry.target);
        if let Some(step) = covered {
            let origin = entry.options.copy_up.map_or_else(|| entry.pointer(), |index| entry.option(index));
            self.step(
                step,
                origin,
                "Like the directory that it covers, as far as the options do not say otherwise.",
            );
        }
    }

    /// Has init tell that the root is made, if the host side is to make file systems meanwhile. They become mounts after it, as
    /// the kernel lists mounts in the order in which they were made, and the root is to be the first.
    pub(crate) fn tell_of_root(&mut self) {
        // In another user namespace they would be another's; and there init asks the host side for other things meanwhile.
        let can = self.host.privileged && !self.in_user_namespace();
        if can && self.spec.mounts.iter().any(|mount| is_anywhere_the_same(&mount.kind)) {
            let origin = Origin::Rule("the root is the first mount");
            let why = "The host side makes some file systems meanwhile, and mounts are listed in the order in which they are made.";
            self.step(Step::Tell { point: Point::Root as u8 }, origin, why);
            self.launch.beside.told = true;
        }
    }

    /// Whether the host side can make this file system while init is at work. Mounts that init makes come before those in them.
    fn is_made_beside(&self, fstype: &str, target: &str) -> bool {
        self.launch.beside.told
            && is_anywhere_the_same(fstype)
            && self.places.iter().all(|(other, beside)| *beside || !is_below(target, other))
    }

    /// What a tmpfs takes over from the directory that it covers, as with runc: its permissions, unless there is an option
    /// for them, and everything with `tmpcopyup`.
    ///
    /// The slot of the directory, if its permissions are wanted, and the step that takes over the rest.
    fn cover<'e>(&mut self, entry: &'e Entry<'_>, fstype: &str) -> (Option<Slot>, Option<Step<'e>>) {
        let given = |key: &str| entry.options.data.iter().any(|(name, _, _)| *name == key);
        let content = entry.options.copy_up.is_some() && fstype == "tmpfs";
        if fstype != "tmpfs" || !content && given("mode") {
            return (None, None);
        }
        let pointer = entry.pointer();
        let from = self.slot(&pointer);
        let target: Str<'_> = entry.target.as_ref().into();
        let why = "What is here is about to be covered, and still needed.";
        self.step(Step::OpenCovered { path: target, slot: from }, pointer, why);
        let owner = content && !given("uid") && !given("gid");
        let rest = content.then_some(Step::TakeOver { from, target, owner });
        ((!given("mode")).then_some(from), rest)
    }

    /// A procfs is kept if it can be written to and shows everything.
    fn slot_of_proc(&mut self, entry: &Entry<'_>, fstype: &str, read_only: bool) -> Option<Slot> {
        let restricted = || entry.options.data.iter().any(|(key, _, _)| *key == "subset");
        if fstype == "proc" { self.keep_proc(!read_only && !restricted()) } else { None }
    }

    fn check_namespace(&mut self, entry: &Entry<'_>, fstype: &str) {
        let Some((_, kind)) = OF_NAMESPACE.iter().find(|(name, _)| *name == fstype) else { return };
        if self.namespaces.is_new(&NamespaceKind::User) && !self.has(kind) {
            let message = format!(
                "{fstype} cannot be mounted: it would show the host's {kind} namespace, which a new \
                user namespace has no rights to"
            );
            self.error(Code::MountNeedsNamespace, entry.field("/mounts/{}/type"), message)
                .hint(format!("add {{\"type\": \"{kind}\"}} to linux.namespaces, or bind the host's mount"));
        }
    }

    /// The kernel would only say "invalid argument".
    fn check_ids(&mut self, entry: &Entry<'_>) {
        for (key, value, option) in &entry.options.data {
            let ids = match *key {
                "uid" => Ids::User,
                "gid" => Ids::Group,
                _ => continue,
            };
            if let Some(id) = value.and_then(|value| value.parse().ok()) {
                self.must_be_mapped(ids, id, &entry.option(*option));
            }
        }
    }

    /// Flags of mount(2) that have no counterpart in the calls that make mounts today.
    fn warn_of_ignored(&mut self, entry: &Entry<'_>) {
        self.no_effect(
            entry,
            &[
                (libc::MS_SILENT, "silent", "what the kernel logs cannot be chosen"),
                (libc::MS_I_VERSION, "iversion", "file systems that count changes of inodes always do"),
            ],
        );
    }

    /// Flags of file systems, on what is a mount only.
    pub(super) fn warn_of_shared(&mut self, entry: &Entry<'_>) {
        const WHY: &str = "it would change the file system, and so every mount of it";
        self.no_effect(
            entry,
            &[
                (libc::MS_SYNCHRONOUS, "sync", WHY),
                (libc::MS_DIRSYNC, "dirsync", WHY),
                (libc::MS_MANDLOCK, "mand", WHY),
                (libc::MS_LAZYTIME, "lazytime", WHY),
            ],
        );
        self.warn_of_ignored(entry);
    }

    fn no_effect(&mut self, entry: &Entry<'_>, flags: &[(u64, &str, &str)]) {
        for (flag, name, why) in flags {
            if entry.options.flags & flag != 0 {
                let message = format!("the mount option {name:?} has no effect: {why}");
                self.warn(Code::MountOptionIgnored, entry.field("/mounts/{}/options"), message);
            }
        }
    }
}

/// What fsconfig(2) is told, and where each of it comes from.
fn configuration<'e>(entry: &'e Entry<'_>, later: bool) -> (Vec<(Str<'e>, Option<Str<'e>>)>, Vec<Origin>) {
    let mut options = Vec::with_capacity(entry.options.data.len() + 2);
    let mut parts: Vec<Origin> = Vec::with_capacity(entry.options.data.len() + 2);
    if !entry.mount.source.is_empty() {
        options.push(("source".into(), Some(entry.mount.source.as_str().into())));
        parts.push(entry.field("/mounts/{}/source").into());
    }
    for (flag, name) in OF_FILE_SYSTEM {
        if entry.options.flags & flag != 0 && !(later && name == "ro") {
            let index = entry.mount.options.iter().rposition(|option| option == name);
            options.push((name.into(), None));
            parts.push(entry.option(index.unwrap_or(0)).into());
        }
    }
    for (key, value, index) in &entry.options.data {
        options.push((Str::from(*key), value.map(Str::from)));
        parts.push(entry.option(*index).into());
    }
    (options, parts)
}

/// Whether a file system is the same whoever makes it.
fn is_anywhere_the_same(fstype: &str) -> bool {
    matches!(fstype, "tmpfs" | "devpts")
}

/// What those are good for that the host side makes.
fn why_beside(fstype: &str) -> &'static str {
    if fstype == "devpts" {
        "The container's own terminals, made by the host side meanwhile."
    } else {
        "An empty file system in memory, made by the host side meanwhile."
    }
}

/// What the usual file systems are good for.
fn why(fstype: &str) -> &'static str {
    match fstype {
        "proc" => {
            "Processes of the container's PID namespace; never through a symbolic link, which could lead anywhere."
        }
        "sysfs" => "Devices of the container's network namespace; never through a symbolic link.",
        "tmpfs" => "An empty file system in memory.",
        "devpts" => "The container's own terminals.",
        "mqueue" => "Message queues of the container's IPC namespace.",
        "cgroup2" => "The container's own part of the cgroup tree.",
        _ => "A new file system, as asked.",
    }
}
