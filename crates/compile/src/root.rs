//! The root file system, and what propagates between its mounts and the host's.

use crate::capabilities::CAP_SYS_CHROOT;
use crate::compiler::{Compiler, bytes, on_host};
use crate::{Code, Options, Origin};
use orlop_program::Step;
use orlop_program::wire::{List, Str};
use orlop_spec::{NamespaceKind, Pointer};
use std::path::{Path, PathBuf};

/// The first kernel that makes a mount namespace of a tree of mounts, and lets a tree be put together that is attached nowhere.
const TREE_NAMESPACE_SINCE: (u16, u16) = (7, 0);

const CUT_OFF: &str = "Mounts made here must not travel to the host.";

impl<'a> Compiler<'a> {
    /// Whether the root can be put together where nobody sees it, and become a mount namespace as a whole. The other way
    /// copies every mount of the host, only to unmount it again.
    ///
    /// Hooks are promised a process that still reaches the host's files. In a user namespace only its own mount namespace may
    /// be changed. What is shared with the host stays at its place among the host's mounts.
    pub(crate) fn can_detach_root(&self, options: &Options<'_>) -> bool {
        let hooks = &self.spec.hooks;
        let hooked = [&hooks.prestart, &hooks.create_runtime, &hooks.create_container];
        let shared = matches!(propagation(&self.linux.rootfs_propagation), Some((libc::MS_SHARED, _)));
        self.host.kernel >= TREE_NAMESPACE_SINCE
            && self.namespaces.is_new(&NamespaceKind::Mount)
            && self.host.privileged
            && self.host.bounding & CAP_SYS_CHROOT != 0
            && !self.in_user_namespace()
            && !self.has_overlay()
            && !options.no_pivot
            && !shared
            && hooked.iter().all(|hooks| hooks.is_empty())
            && self.spec.mounts.iter().all(|mount| self.can_be_detached(mount))
    }

    /// Cuts the mount namespace off from the host, and makes the root a mount.
    pub(crate) fn root(&mut self, options: &Options<'_>) {
        let mut copies = libc::MS_SLAVE;
        if self.launch.mounts_on_host {
            let step = Step::HostPropagation { propagation: 0, recursive: false };
            let why = "The mounts around it are the host's, and stay as they are.";
            self.step(step, Origin::Rule("nothing of the host's is changed"), why);
        } else if let Some((propagation, recursive, origin)) = self.host_propagation(options.no_pivot) {
            copies = propagation;
            if !self.detached {
                self.step(Step::HostPropagation { propagation, recursive }, origin, CUT_OFF);
            }
        }
        if self.overlay_root(options) {
            return;
        }
        let pointer = Pointer::new("/root/path");
        let Some(root) = self.spec.root.as_ref() else {
            let message = "there is no root file system";
            self.error(Code::Root, Pointer::new("/root"), message)
                .hint("add \"root\": {\"path\": \"rootfs\"}");
            return;
        };
        if root.path.is_empty() {
            self.error(Code::Root, pointer, "the path of the root file system is empty");
            return;
        }
        let path = on_host(self.bundle, &root.path);
        if path.parent().is_none() {
            self.error(Code::Root, pointer, "the host's own root cannot be the container's")
                .hint("name a directory below it");
            return;
        }
        let source = self.source(&path, true, &pointer);
        if self.detached {
            let why = "Put together where nobody sees it, without a copy of every mount of the host.";
            self.step(Step::DetachedRoot { source, propagation: copies }, pointer, why);
            return;
        }
        let step = Step::BindRoot { source, at: bytes(&path).into() };
        self.step(
            step,
            pointer,
            "Only a mount can become the root, and its attributes are the container's own.",
        );
        if self.launch.mounts_on_host {
            let step =
                Step::Propagation { target: "/".into(), propagation: libc::MS_PRIVATE, recursive: true };
            self.step(step, Origin::Rule("nothing travels to the host unless asked for"), CUT_OFF);
        }
    }

    /// What the host's mounts become, seen from here, and who says so. Without a wish they turn into slaves: what the host
    /// mounts later arrives, what is mounted here stays.
    fn host_propagation(&mut self, no_pivot: bool) -> Option<(u64, bool, Origin)> {
        let wish = self.linux.rootfs_propagation.as_str();
        let pointer = Pointer::new("/linux/rootfsPropagation");
        if wish.is_empty() {
            return Some((
                libc::MS_SLAVE,
                true,
                Origin::Rule("nothing travels to the host unless asked for"),
            ));
        }
        let Some((propagation, recursive)) = propagation(wish) else {
            let message = format!("{wish:?} is no propagation of the root");
            self.error(Code::RootPropagation, pointer, message)
                .hint("use private, shared, slave or unbindable, or one of these with an r before it");
            return None;
        };
        if no_pivot && propagation == libc::MS_PRIVATE {
            let message =
                format!("{wish:?} without pivot_root would leave the host's mounts reachable and stale");
            self.error(Code::RootPropagation, pointer.clone(), message)
                .hint("use rslave, or drop --no-pivot");
        }
        // Binding the root would fail if the host's tree were unbindable; it is private now, and the new root becomes
        // unbindable later. Private and slave reach all mounts: one left shared could be the parent of the new root,
        // which pivot_root(2) refuses, or carry the unmounting of the old root to the host.
        Some(match propagation {
            libc::MS_SHARED => (propagation, recursive, pointer.into()),
            libc::MS_SLAVE => (propagation, true, pointer.into()),
            _ => (libc::MS_PRIVATE, true, pointer.into()),
        })
    }

    /// Makes the root `/`.
    pub(crate) fn switch_root(&mut self, options: &Options<'_>) {
        let wish = propagation(&self.linux.rootfs_propagation);
        if self.launch.mounts_on_host {
            let why = "The host's tree is everybody's, and this is the container's part of it.";
            self.step(Step::Chroot {}, Pointer::new("/linux/namespaces"), why);
        } else if self.detached {
            let step = Step::EnterRoot { proc: self.proc_in_place };
            let why = "A mount namespace of its own, with the root and nothing else.";
            self.step(step, self.namespaces.pointer(&NamespaceKind::Mount), why);
        } else if options.no_pivot {
            let why = "pivot_root(2) cannot leave an initial RAM file system; the host's tree stays below, out of reach.";
            let views: Vec<Str<'_>> = self.views_outside_root().map(|path| bytes(path).into()).collect();
            self.step(
                Step::MoveRoot { views: List::from(views.as_slice()) },
                Origin::Rule("--no-pivot"),
                why,
            );
        } else {
            // A shared tree still hands unmounting on to the host.
            let detach = matches!(wish, Some((libc::MS_SHARED, _)));
            let why = "The host's tree is let go of: no path leads back.";
            self.step(Step::PivotRoot { detach }, Origin::Spec("config.md, root"), why);
        }
        // Only now: before, it would have been the host's tree that became shared.
        if let Some((propagation @ (libc::MS_SHARED | libc::MS_UNBINDABLE), recursive)) = wish {
            let step = Step::Propagation { target: "/".into(), propagation, recursive };
            let why = "The wish is about the container's root, which is only now in place.";
            self.step(step, Pointer::new("/linux/rootfsPropagation"), why);
        }
    }

    /// Where the host's tree has the kernel's own file systems, innermost first. The kernel lets a user namespace mount them
    /// in full where they are to be seen in full, even below another root, and past the masked paths.
    fn views_outside_root(&self) -> impl Iterator<Item = &'a Path> + use<'a> {
        let root = self.spec.root.as_ref().map(|root| on_host(self.bundle, &root.path));
        let inside = move |path: &Path| root.as_ref().is_some_and(|root| path.starts_with(root));
        self.host.kernel_views.iter().rev().map(PathBuf::as_path).filter(move |path| !inside(path))
    }

    /// Makes the root read-only, and mounts that had to be writable until they were filled.
    pub(crate) fn read_only_root(&mut self) {
        self.read_only_mounts();
        if self.spec.root.as_ref().is_some_and(|root| root.readonly) {
            let step = Step::RootAttributes { set: libc::MOUNT_ATTR_RDONLY, propagation: 0 };
            let why = "Last, as mount points and /dev/console may have been made in it.";
            self.step(step, Pointer::new("/root/readonly"), why);
        }
    }

    /// Mounts that had to be filled first.
    pub(crate) fn read_only_mounts(&mut self) {
        for (index, target) in std::mem::take(&mut self.read_only_later) {
            let step = Step::MountAttributes {
                target: target.as_str().into(),
                set: libc::MOUNT_ATTR_RDONLY,
                clear: 0,
            };
            let why = "Read-only as asked, but only after devices and mount points were made in it.";
            self.step(step, Pointer::new("/mounts/{}").at(index), why);
        }
    }
}

/// A propagation type by its name, and whether it reaches the mounts below.
pub(crate) fn propagation(name: &str) -> Option<(u64, bool)> {
    Some(match name {
        "private" => (libc::MS_PRIVATE, false),
        "rprivate" => (libc::MS_PRIVATE, true),
        "shared" => (libc::MS_SHARED, false),
        "rshared" => (libc::MS_SHARED, true),
        "slave" => (libc::MS_SLAVE, false),
        "rslave" => (libc::MS_SLAVE, true),
        "unbindable" => (libc::MS_UNBINDABLE, false),
        "runbindable" => (libc::MS_UNBINDABLE, true),
        _ => return None,
    })
}
