//! Bind mounts.

use super::options::MOUNT_ATTR_NOSYMFOLLOW;
use super::place::is_bind;
use super::{Compiler, Entry, NOSYMFOLLOW_SINCE};
use crate::compiler::{bytes, on_host};
use crate::paths::{clean, is_below};
use crate::{Code, FillWith};
use libc::{
    MOUNT_ATTR__ATIME, MOUNT_ATTR_NODEV, MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
};
use orlop_program::source::Source;
use orlop_program::{Slot, Step};
use std::path::Path;

/// What the kernel keeps in mounts that come to a user namespace from outside (mount_namespaces(7)).
const LOCKABLE: u64 = MOUNT_ATTR_RDONLY
    | MOUNT_ATTR_NOSUID
    | MOUNT_ATTR_NODEV
    | MOUNT_ATTR_NOEXEC
    | MOUNT_ATTR_NODIRATIME
    | MOUNT_ATTR__ATIME;

impl Compiler<'_> {
    /// Mounts what the config names as source.
    pub(super) fn bind(&mut self, entry: &Entry<'_>, recursive: bool) {
        if entry.mount.source.is_empty() {
            let message = "the bind mount has no source";
            self.error(Code::MountSource, entry.field("/mounts/{}/source"), message)
                .hint("the bundle's own directory is \".\"");
            return;
        }
        self.refuse_data(entry);
        self.warn_of_shared(entry);
        let source = on_host(self.bundle, &entry.mount.source);
        self.bind_path(entry, &source, &entry.target, recursive);
    }

    /// Changes what is mounted already. The mount only: its file system may be the host's too.
    pub(super) fn remount(&mut self, entry: &Entry<'_>) {
        self.refuse_data(entry);
        self.warn_of_shared(entry);
        let options = &entry.options;
        if self.id_map(entry).is_some() {
            let message = "the ids of a mount that is there already cannot be mapped any more";
            self.error(Code::MountIdMap, entry.pointer(), message)
                .hint("give the mapping to the mount itself");
        }
        let (mut set, mut clear) = options.bind_attributes(true);
        set = set & !options.clear_all | options.set_all;
        clear |= options.clear_all;
        if set & MOUNT_ATTR_RDONLY != 0 {
            // Devices and mount points are still to be made in it.
            set &= !MOUNT_ATTR_RDONLY;
            self.read_only_later.push((entry.index, entry.target.to_string()));
        }
        if set | clear != 0 {
            let step = Step::MountAttributes { target: entry.target.as_ref().into(), set, clear };
            self.step(step, entry.pointer(), "The mount is there already, and only it is changed.");
        }
    }

    fn refuse_data(&mut self, entry: &Entry<'_>) {
        for (key, _, option) in &entry.options.data {
            let why = "it would change the file system, and so every mount of it";
            let message = format!("{key:?} is an option of file systems, not of a mount: {why}");
            self.error(Code::MountOption, entry.option(*option), message);
        }
    }

    /// Mounts what is at a path of the host.
    pub(super) fn bind_path(&mut self, entry: &Entry<'_>, path: &Path, target: &str, recursive: bool) {
        let asks = entry.field("/mounts/{}/source");
        let is_mounted_on = self.is_mounted_on(entry.index, path);
        let source = match self.id_map(entry) {
            // By init, when its turn comes: the host side would not see what was mounted there.
            Some(id_map) if is_mounted_on && !self.in_user_namespace() && !self.joined => {
                let recursive = id_map.recursive;
                Source::Mapped(bytes(path).into(), self.user_namespace(id_map, &asks), recursive)
            }
            // By init as well, which in a user namespace lacks the right to map ids.
            Some(id_map) if is_mounted_on && self.host.privileged && !self.joined => {
                self.mapped_by_host(path, id_map, &asks)
            }
            // By the host side: it takes rights over the file system, and a process to make a user namespace.
            Some(id_map) => self.tree(path, recursive, Some(id_map), &asks),
            // The same.
            None if is_mounted_on => Source::Path(bytes(path).into()),
            None => self.source(path, recursive, &asks),
        };
        self.bind_source(entry, source, target, recursive);
    }

    /// Mounts a source, with the entry's attributes.
    pub(super) fn bind_source(
        &mut self,
        entry: &Entry<'_>,
        source: Source<'_>,
        target: &str,
        recursive: bool,
    ) {
        // The kernel locks attributes of mounts that come from a more privileged mount namespace.
        let may_be_locked = self.in_user_namespace() || !self.host.privileged;
        let (set, mut clear) = entry.options.bind_attributes(may_be_locked);
        if self.host.kernel < NOSYMFOLLOW_SINCE {
            clear &= !MOUNT_ATTR_NOSYMFOLLOW;
        }
        let (set_all, clear_all) = (entry.options.set_all, entry.options.clear_all);
        if let Source::Tree(slot) = source
            && self.in_user_namespace()
        {
            self.lock(slot, set & !clear_all | set_all, clear | clear_all);
        }
        let (propagation, propagation_all) = match entry.options.propagations[..] {
            [(propagation, false, _)] if self.detached => (propagation, 0),
            [(propagation, true, _)] if self.detached => (0, propagation),
            _ => (0, 0),
        };
        let target = target.into();
        let step = Step::Bind {
            source,
            recursive,
            set,
            clear,
            set_all,
            clear_all,
            propagation,
            propagation_all,
            target,
        };
        self.step(
            step,
            entry.pointer(),
            "Mounted with its attributes in one move: it is never seen without them.",
        );
    }

    /// Has the host side refuse what would take attributes from a mount of the host. What init mounts by its path it finds
    /// in its own mount namespace, where the kernel has locked them; the host side's tree comes without the locks.
    fn lock(&mut self, slot: Slot, set: u64, clear: u64) {
        if clear & !set & LOCKABLE == 0 && set & MOUNT_ATTR_NODIRATIME == 0 {
            return;
        }
        let fill = self.launch.fills.iter_mut().find(|fill| fill.slot == slot);
        if let Some(FillWith::DetachedTree { locked, .. }) = fill.map(|fill| &mut fill.what) {
            *locked = Some((set, clear));
        }
    }

    /// Whether a path of the host lies in the root, where mounts before this one are at, above or below it.
    fn is_mounted_on(&self, index: usize, path: &Path) -> bool {
        let Some(inside) = self.inside_root(path) else { return false };
        let inside = clean(&inside);
        self.spec.mounts.iter().take(index).any(|mount| {
            let target = self.inside_root(Path::new(&mount.destination));
            let target = clean(target.as_deref().unwrap_or(&mount.destination)).into_owned();
            is_below(&inside, &target) || is_below(&target, &inside)
        })
    }

    /// Whether the container's `/dev` is somebody else's, and to be left as it is.
    pub(crate) fn dev_is_bound(&self) -> bool {
        self.spec.mounts.iter().any(|mount| clean(&mount.destination) == "/dev" && is_bind(mount))
    }
}
