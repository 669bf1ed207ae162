//! Bind mounts.

use super::options::MOUNT_ATTR_NOSYMFOLLOW;
use super::place::is_bind;
use super::{Compiler, Entry, NOSYMFOLLOW_SINCE};
use crate::Code;
use crate::compiler::on_host;
use crate::paths::clean;
use orlop_program::{Slot, Step};
use std::path::Path;

impl Compiler<'_> {
    /// Mounts what the config names as source; where the mount is kept, if there is one.
    pub(super) fn bind(&mut self, entry: &Entry<'_>, recursive: bool) -> Option<Slot> {
        if entry.mount.source.is_empty() {
            let message = "the bind mount has no source";
            self.error(Code::MountSource, entry.field("/mounts/{}/source"), message)
                .hint("the bundle's own directory is \".\"");
            return None;
        }
        for (key, _, option) in &entry.options.data {
            let message = format!("{key:?} is an option of file systems; a bind mount has none of its own");
            self.error(Code::MountOption, entry.option(*option), message);
        }
        let source = on_host(self.bundle, &entry.mount.source);
        self.bind_path(entry, &source, recursive);
        Some(Slot::MOUNT)
    }

    /// Mounts what is at a path of the host.
    pub(super) fn bind_path(&mut self, entry: &Entry<'_>, path: &Path, recursive: bool) {
        let source = self.source(path, recursive, &entry.field("/mounts/{}/source"));
        // The kernel locks attributes of mounts that come from a more privileged mount namespace.
        let may_be_locked = self.in_user_namespace() || !self.host.privileged;
        let (set, mut clear) = entry.options.bind_attributes(may_be_locked);
        if self.host.kernel < NOSYMFOLLOW_SINCE {
            clear &= !MOUNT_ATTR_NOSYMFOLLOW;
        }
        let (set_all, clear_all) = (entry.options.set_all, entry.options.clear_all);
        let target = entry.target.as_ref().into();
        let step = Step::Bind { source, recursive, set, clear, set_all, clear_all, target };
        self.step(
            step,
            entry.pointer(),
            "Mounted with its attributes in one move: it is never seen without them.",
        );
    }

    /// Whether the container's `/dev` is somebody else's, and to be left as it is.
    pub(crate) fn dev_is_bound(&self) -> bool {
        self.spec.mounts.iter().any(|mount| clean(&mount.destination) == "/dev" && is_bind(mount))
    }
}
