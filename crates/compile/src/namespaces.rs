//! Namespaces: which ones are new, which are joined, which stay the host's.

use crate::compiler::Compiler;
use crate::{Code, Join, Options, Origin};
use libc::c_int;
use orlop_program::Step;
use orlop_spec::{NamespaceKind, Pointer};
use std::path::{Path, PathBuf};

/// Every kind that can be made or joined, in the order in which they are joined.
const KINDS: [(NamespaceKind, c_int); 8] = [
    (NamespaceKind::User, libc::CLONE_NEWUSER),
    (NamespaceKind::Ipc, libc::CLONE_NEWIPC),
    (NamespaceKind::Uts, libc::CLONE_NEWUTS),
    (NamespaceKind::Network, libc::CLONE_NEWNET),
    (NamespaceKind::Pid, libc::CLONE_NEWPID),
    (NamespaceKind::Cgroup, libc::CLONE_NEWCGROUP),
    (NamespaceKind::Time, libc::CLONE_NEWTIME),
    (NamespaceKind::Mount, libc::CLONE_NEWNS),
];

/// The kinds that init makes: see [`Launch::namespaces`](crate::Launch::namespaces).
const BY_INIT: [NamespaceKind; 2] = [NamespaceKind::Cgroup, NamespaceKind::Time];

/// Which namespace of a kind the container is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Membership<'a> {
    /// The caller's.
    #[default]
    Inherited,
    /// A new one.
    New,
    /// The one with this file.
    Joined(&'a str),
}

/// The container's namespaces.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Namespaces<'a> {
    /// For each of [`KINDS`], which one and where it is listed.
    entries: [(Membership<'a>, usize); KINDS.len()],
}

impl<'a> Namespaces<'a> {
    fn position(kind: &NamespaceKind) -> Option<usize> {
        KINDS.iter().position(|(known, _)| known == kind)
    }

    pub(crate) fn of(&self, kind: &NamespaceKind) -> Membership<'a> {
        Self::position(kind).map_or(Membership::Inherited, |at| self.entries[at].0)
    }

    pub(crate) fn has(&self, kind: &NamespaceKind) -> bool {
        self.of(kind) != Membership::Inherited
    }

    pub(crate) fn is_new(&self, kind: &NamespaceKind) -> bool {
        self.of(kind) == Membership::New
    }

    /// Where in the config a namespace is listed, or where it is missing.
    pub(crate) fn pointer(&self, kind: &NamespaceKind) -> Pointer {
        match Self::position(kind).map(|at| self.entries[at]) {
            None | Some((Membership::Inherited, _)) => Pointer::new("/linux/namespaces"),
            Some((_, index)) => Pointer::new("/linux/namespaces/{}").at(index),
        }
    }
}

/// Where the path of a namespace stands.
fn path_of(index: usize) -> Pointer {
    Pointer::new("/linux/namespaces/{}/path").at(index)
}

impl Compiler<'_> {
    /// Reads the list, and says what the host side has to make and join.
    pub(crate) fn namespaces(&mut self, options: &Options<'_>) {
        self.read_namespaces();
        self.detached = self.can_detach_root(options);
        if !self.has(&NamespaceKind::Mount) {
            self.mounts_on_host();
        }
        if self.host.euid != 0 && !self.in_user_namespace() {
            let message = "a user namespace is missing: without it, only root can make a container";
            self.error(Code::Rootless, Pointer::new("/linux/namespaces"), message)
                .hint("add {\"type\": \"user\"} with id mappings, as `orlop spec --rootless` has it");
        }
        self.launch.become_root = self.in_user_namespace();
        for (at, (kind, flag)) in KINDS.into_iter().enumerate() {
            let (membership, index) = self.namespaces.entries[at];
            match membership {
                Membership::New if BY_INIT.contains(&kind) => {}
                Membership::New if kind == NamespaceKind::Mount && self.detached => {}
                Membership::New => self.launch.namespaces |= flag as u64,
                Membership::Inherited => {}
                Membership::Joined(path) => {
                    let origin = path_of(index).into();
                    let path = PathBuf::from(path);
                    self.launch.joins.push(Join { path, kind, flag, origin, must_differ: None });
                }
            }
        }
    }

    /// Without a mount namespace the container is in the caller's, and what it mounts is too.
    fn mounts_on_host(&mut self) {
        let pointer = Pointer::new("/linux/namespaces");
        if self.in_user_namespace() || self.host.euid != 0 {
            let message = "a mount namespace is missing: only root mounts in the caller's";
            self.error(Code::NamespaceMissing, pointer, message).hint("add {\"type\": \"mount\"}");
            return;
        }
        self.launch.mounts_on_host = true;
        let message = "there is no mount namespace: the container's mounts are made among the host's and stay there until it \
            is deleted, and its root is one by chroot(2) only, which a process with CAP_SYS_CHROOT gets out of";
        self.warn(Code::NamespaceMissing, pointer, message).hint("add {\"type\": \"mount\"}");
        if !self.linux.rootfs_propagation.is_empty() {
            let message = "the propagation of mounts belongs to a mount namespace, and the container has none of its own";
            self.error(Code::RootPropagation, Pointer::new("/linux/rootfsPropagation"), message);
        }
    }

    /// Into the root of a container whose namespaces this process has joined. That of a mount namespace comes with it.
    pub(crate) fn enter_root(&mut self) {
        if !self.has(&NamespaceKind::Mount) {
            let origin = Origin::Rule("an added process has the container's root");
            self.step(Step::Chroot {}, origin, "The mount namespace is the caller's, and so is its root.");
        }
    }

    /// Reads the list only: an added process is in the same namespaces as its container.
    pub(crate) fn read_namespaces(&mut self) {
        for (index, namespace) in self.linux.namespaces.iter().enumerate() {
            let pointer = Pointer::new("/linux/namespaces/{}").at(index);
            let Some(at) = Namespaces::position(&namespace.kind) else {
                let message = format!("{:?} is no type of namespace", namespace.kind.as_str());
                self.error(
                    Code::NamespaceUnknown,
                    Pointer::new("/linux/namespaces/{}/type").at(index),
                    message,
                )
                .hint("types are pid, network, mount, ipc, uts, user, cgroup and time");
                continue;
            };
            let path = namespace.path.as_str();
            if !path.is_empty() && !Path::new(path).is_absolute() {
                let message =
                    format!("the path {path:?} of the {} namespace is not absolute", namespace.kind);
                self.error(Code::NamespacePath, path_of(index), message);
            }
            self.no_nul(path.as_bytes(), &path_of(index));
            if self.namespaces.entries[at].0 != Membership::Inherited {
                let message = format!("the {} namespace is listed twice", namespace.kind);
                self.error(Code::NamespaceTwice, pointer, message).hint("list each type at most once");
                continue;
            }
            let membership = if path.is_empty() { Membership::New } else { Membership::Joined(path) };
            self.namespaces.entries[at] = (membership, index);
        }
    }

    /// Steps for new namespaces.
    pub(crate) fn new_namespaces(&mut self) {
        let cgroup = NamespaceKind::Cgroup;
        if self.namespaces.is_new(&cgroup) {
            let step = Step::Unshare { kinds: libc::CLONE_NEWCGROUP as u32 };
            let why = "From within the container's cgroup, which becomes the root of the tree it sees.";
            self.step(step, self.namespaces.pointer(&cgroup), why);
        }
        self.time_namespace();
    }

    /// Into the new network namespace, and perhaps the IPC namespace, unless that is done. They take longer to make than all
    /// others, so this is as late as it may be.
    pub(crate) fn new_network(&mut self) {
        let network = NamespaceKind::Network;
        if self.namespaces.is_new(&network) && !std::mem::replace(&mut self.in_new_network, true) {
            let why = if self.namespaces.is_new(&NamespaceKind::Ipc) {
                "Made meanwhile, as the IPC namespace may be. It has only a loopback interface, and that one is down."
            } else {
                "Made meanwhile. It has only a loopback interface, and that one is down."
            };
            self.step(Step::Network {}, self.namespaces.pointer(&network), why);
        }
    }

    /// Whether there is a namespace of this kind that is not the host's; else it is an error. A joined one is compared
    /// with the host's when it is opened.
    pub(crate) fn needs_own(&mut self, kind: &NamespaceKind, pointer: &Pointer, what: &str) -> bool {
        if !self.has(kind) {
            let message = format!("{what} needs a {kind} namespace: without one, it would change the host's");
            self.error(Code::NamespaceMissing, pointer.clone(), message)
                .hint(format!("add {{\"type\": \"{kind}\"}} to linux.namespaces"));
            return false;
        }
        if let Some(join) = self.launch.joins.iter_mut().find(|join| join.kind == *kind) {
            join.must_differ.get_or_insert_with(|| Origin::Config(pointer.clone()));
        }
        true
    }
}
