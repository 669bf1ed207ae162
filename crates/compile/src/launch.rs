//! What a compilation yields: the program, and what the host side has to do around it.

use crate::{Diagnostic, Filter, Origin};
use orlop_cgroups::{CgroupPath, Plan};
use orlop_program::{Built, Slot};
use orlop_spec::{IdMapping, NamespaceKind, Pointer};
use orlop_systemd::{Property, ScopeName, Which};
use std::path::PathBuf;

/// A container or process that can be launched.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What init does.
    pub program: Built<Origin>,
    /// What the host side does before and around it.
    pub launch: Launch,
    /// What has no effect, and what is deprecated.
    pub warnings: Vec<Diagnostic>,
}

/// The host side's part of a launch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Launch {
    /// New namespaces for clone3(2), `CLONE_NEW…`. Two kinds are not among them, and are left to init: the root of a cgroup
    /// namespace is the cgroup of whoever makes it, so that has to be the container's already; and the clocks of a time
    /// namespace are set before anybody is in it. The mount namespace is not either where the kernel makes one of the
    /// container's root alone, once that is put together.
    pub namespaces: u64,
    /// Namespaces to join: the user namespace first, as it gives the right to join those that belong to it (others are
    /// joined before it with the caller's rights); the mount namespace last, as paths mean something else afterwards.
    pub joins: Vec<Join>,
    /// The container has no mount namespace of its own: what it mounts is the host side's to unmount.
    pub mounts_on_host: bool,
    /// Init runs in another user namespace than the caller, as its user 0.
    pub become_root: bool,
    /// What to write for a new user namespace.
    pub id_maps: Option<IdMaps>,
    /// What a joined user namespace must already have: the config gives both a path and mappings.
    pub joined_id_maps: Option<IdMaps>,
    /// Slots to fill before the launch.
    pub fills: Vec<Fill>,
    /// What the host side makes while init is at work.
    pub beside: Beside,
    /// Mappings of ids for mounts that init makes and the host side maps, in the order in which init asks for them.
    pub maps_by_host: Vec<MountIdMap>,
    /// The control group; none for a process that is added to its container's.
    pub cgroup: Option<CgroupPlan>,
    /// There is a console: init sends its master.
    pub terminal: bool,
    /// A cgroup below the container's, where its process goes while init waits before it switches the root, and who asks
    /// for it. The limits stay where they are.
    pub delegate: Option<(String, Pointer)>,
    /// There is something to do while init waits before it switches the root: hooks, or the move to that cgroup.
    pub sync_hooks: bool,
    /// Hard resource limits (`RLIMIT_…`, value) to set on the new process, because in another user namespace init may
    /// not raise them.
    pub raise_limits: Vec<(u32, u64)>,
    /// What to write to the new process's `oom_score_adj` once it runs init, which then waits for a word, because in another
    /// user namespace init may not lower it.
    pub oom_score_adj: Option<i32>,
    /// Devices of the host's network that become the container's.
    pub net_devices: Vec<NetDevice>,
    /// The group of processes that share caches and memory bandwidth.
    pub rdt: Option<RdtPlan>,
    /// The CPUs, one bit for each, that whoever launches the process runs on meanwhile.
    pub initial_cpus: Option<Vec<u8>>,
    /// The scheduling policy to set on the new process, because in another user namespace init may not raise it.
    pub scheduler: Option<SchedulerAttributes>,
    /// The I/O priority to set on it, for the same reason.
    pub io_priority: Option<u32>,
    /// The system call filter that the program loads, to be kept for processes that are added later.
    pub filter: Option<Filter>,
    /// Who decides about system calls that the filter leaves to an agent. Init then tells the number of the notification
    /// descriptor.
    pub seccomp_agent: Option<SeccompAgent>,
}

impl Launch {
    /// Whether init waits for the host side before the root is switched.
    #[must_use]
    pub fn waits_for_host(&self) -> bool {
        self.sync_hooks || !self.maps_by_host.is_empty()
    }
}

/// File systems that belong to none of the container's namespaces: the host side makes them meanwhile, and sends them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// Init tells when the container's root is a mount.
    pub told: bool,
    /// How many steps are the host side's.
    pub steps: usize,
    /// The index of the one that mounts what others make devices and links in, if they do.
    pub dev: Option<usize>,
}

/// A network device that moves into the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetDevice {
    /// Its name on the host.
    pub name: String,
    /// Its name in the container, in which `%d` stands for a number of the kernel's choice.
    pub new_name: String,
    /// Who asks for it.
    pub origin: Origin,
}

/// The container's group in the resctrl tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RdtPlan {
    /// Where the tree is mounted.
    pub tree: PathBuf,
    /// The class of service (`closID`); `/` is the tree itself, and none is one of the container's own.
    pub group: Option<String>,
    /// The container's id.
    pub container: String,
    /// Lines for `schemata` that a class that exists must have already.
    pub compared: Vec<String>,
    /// Further lines, written after them.
    pub schemata: Vec<String>,
    /// With a group of its own that counts.
    pub monitoring: bool,
}

/// The attributes of sched_setattr(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchedulerAttributes {
    /// `SCHED_…`.
    pub policy: u32,
    /// `SCHED_FLAG_…`.
    pub flags: u64,
    /// For time sharing.
    pub nice: i32,
    /// For real time.
    pub priority: u32,
    /// For deadlines: nanoseconds.
    pub runtime: u64,
    /// For deadlines: nanoseconds.
    pub deadline: u64,
    /// For deadlines: nanoseconds.
    pub period: u64,
}

/// The agent that a system call filter asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeccompAgent {
    /// The socket on which it takes notification descriptors, absolute.
    pub path: PathBuf,
    /// What it is told besides, as the config has it.
    pub metadata: String,
}

/// A namespace to join.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// Its file, absolute.
    pub path: PathBuf,
    /// Its kind.
    pub kind: NamespaceKind,
    /// `CLONE_NEW…` of its kind.
    pub flag: i32,
    /// Who asks for it.
    pub origin: Origin,
    /// It must not be the caller's own: this asks for something that would change the host.
    pub must_differ: Option<Origin>,
}

/// The id mappings of a user namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct IdMaps {
    /// User ids.
    pub uid: Vec<IdMapping>,
    /// Group ids.
    pub gid: Vec<IdMapping>,
    /// Write `deny` to `setgroups` first: the kernel demands it of a caller that maps its own group without privileges.
    pub deny_setgroups: bool,
    /// Who asks for the user ids.
    pub uid_origin: Origin,
    /// Who asks for the group ids.
    pub gid_origin: Origin,
}

/// A slot to fill.
#[derive(Clone, Debug, PartialEq)]
pub struct Fill {
    /// Which.
    pub slot: Slot,
    /// With what.
    pub what: FillWith,
    /// Who asks for it.
    pub origin: Origin,
}

/// What a slot is filled with.
#[derive(Clone, Debug, PartialEq)]
pub enum FillWith {
    /// A detached copy of what is mounted at a path: open_tree(2), `OPEN_TREE_CLONE`, all of it turned into slaves
    /// (mount_setattr(2)). Made in the host's mount namespace, the copy would else be a peer of the host's mounts, and
    /// what the container mounts in it would appear there.
    DetachedTree {
        /// The path on the host.
        path: PathBuf,
        /// With the mounts below it.
        recursive: bool,
        /// Whose ids are mapped.
        id_map: Option<MountIdMap>,
        /// The attributes that init is to set and to clear on its top, where that must not take away what the host's
        /// mount has.
        locked: Option<(u64, u64)>,
    },
    /// A user namespace, for a new file system whose ids are mapped.
    UserNamespace(MountIdMap),
    /// The host's procfs, as a directory.
    Procfs,
}

/// The mapping of a mount's ids.
#[derive(Clone, Debug, PartialEq)]
pub struct MountIdMap {
    /// Whose mappings they are.
    pub namespace: UserNamespace,
    /// Of every mount of the tree.
    pub recursive: bool,
    /// Who asks for it.
    pub origin: Origin,
}

/// A user namespace, for its mappings.
#[derive(Clone, Debug, PartialEq)]
pub enum UserNamespace {
    /// A new one, with these.
    With(IdMaps),
    /// The one with this file.
    Of(PathBuf),
}

/// The container's control group.
#[derive(Clone, Debug, PartialEq)]
pub struct CgroupPlan {
    /// Where it is; with a scope, where it will most likely be.
    pub path: CgroupPath,
    /// What to write to it, and which devices may be used in it.
    pub plan: Plan,
    /// Host user id that shall own it, because it is writable in a cgroup namespace of its own.
    pub owner: Option<u32>,
    /// Nothing in the config asks for it, and the caller may have no right to make one: then the container stays in the
    /// caller's.
    pub best_effort: bool,
    /// systemd makes it, as that of a scope unit.
    pub scope: Option<ScopePlan>,
}

/// A scope unit to ask systemd for.
#[derive(Clone, Debug, PartialEq)]
pub struct ScopePlan {
    /// Which systemd.
    pub which: Which,
    /// The unit and its slice.
    pub name: ScopeName,
    /// Properties that annotations ask for, besides those that limits become.
    pub properties: Vec<Property>,
    /// The path of the container's cgroup below the scope's; empty for the scope's own.
    pub below: PathBuf,
    /// The plain cgroup to make instead if systemd does not answer. Without it, that is an error.
    pub fallback: Option<CgroupPath>,
}
