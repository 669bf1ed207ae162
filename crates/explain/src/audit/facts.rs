//! What rules know of a container, wherever it was learned.

use std::path::{Path, PathBuf};

use crate::filter::Filter;
use crate::inspect::NamespaceKind;

/// The facts.
#[derive(Debug, Default)]
pub struct Facts {
    /// The kinds of namespaces that are the host's, each with where the config could say otherwise.
    pub shared: Vec<NamespaceKind>,
    /// Namespaces of others that it joins: kind, path, place.
    pub joined: Vec<(String, String, String)>,
    /// Its user, in its user namespace.
    pub uid: u32,
    /// Its user on the host, if it is mapped.
    pub host_uid: Option<u64>,
    /// It has a user namespace of its own, in which user 0 is not the host's.
    pub unprivileged_root: bool,
    /// Capabilities that its programs may gain, one bit for each.
    pub bounding: u64,
    /// Capabilities that are in force, or may be.
    pub permitted: u64,
    /// Capabilities that programs of other users than root inherit.
    pub ambient: u64,
    /// Capabilities that some programs' files may turn into permitted ones.
    pub inheritable: u64,
    /// Programs may not gain privileges.
    pub no_new_privileges: bool,
    /// The system call filter.
    pub filter: Guard,
    /// The label of a security module, or why there is none.
    pub label: Option<String>,
    /// Its mounts, in their order, the root first.
    pub mounts: Vec<MountFact>,
    /// Device nodes that were asked for: path, kind, numbers, place.
    pub devices: Vec<DeviceFact>,
    /// Every device may be used.
    pub all_devices: Option<String>,
    /// Limits that are set; none where that is not known.
    pub memory_limited: Option<bool>,
    /// The same for processes.
    pub pids_limited: Option<bool>,
    /// The same for CPU time.
    pub cpu_limited: Option<bool>,
    /// How willingly the kernel kills it, if that was set.
    pub oom_score_adj: Option<i64>,
    /// Hooks that run on the host: the programs, and their places.
    pub hooks: Vec<(String, String)>,
    /// It runs on this machine's kernel: what that has not, is in nobody's reach.
    pub running: bool,
    /// What could not be found out.
    pub unknown: Vec<String>,
}

/// What is known of the system call filter.
#[derive(Debug, Default)]
pub enum Guard {
    /// There is none.
    #[default]
    None,
    /// There is one, and it can be asked.
    Filter(Box<Filter>),
    /// There is one that is not known.
    Unknown,
}

/// A mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountFact {
    /// Where it is.
    pub target: PathBuf,
    /// The type of the file system.
    pub fstype: String,
    /// What of the host it shows, if anything.
    pub host: Option<PathBuf>,
    /// Files can be written in it.
    pub writable: bool,
    /// Mounts made in it reach the host.
    pub shared: bool,
    /// Set-user-id programs gain rights in it.
    pub suid: bool,
    /// It hides what is below.
    pub masks: bool,
    /// The place in the config.
    pub pointer: Option<String>,
}

/// A device node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceFact {
    /// Where it is in the container.
    pub path: String,
    /// A block device, with a file system or a disk behind it.
    pub block: bool,
    /// Its numbers.
    pub number: (i64, i64),
    /// The place in the config.
    pub pointer: String,
}

impl Facts {
    /// The mount in which a path is: the one nearest above it, of several at one place the last.
    pub fn mount_of(&self, path: &str) -> Option<&MountFact> {
        let over = self.mounts.iter().filter(|mount| Path::new(path).starts_with(&mount.target));
        over.max_by_key(|mount| mount.target.components().count())
    }

    /// The mount in which a path of the kernel's can be seen, if the kernel has it and nothing hides it.
    pub fn visible(&self, path: &str) -> Option<&MountFact> {
        let there = !self.running || Path::new(path).exists();
        self.mount_of(path).filter(|mount| there && !mount.masks)
    }

    /// Capabilities that it has, or that its programs may gain.
    pub fn capabilities(&self) -> u64 {
        let gained = if self.no_new_privileges && self.uid != 0 { 0 } else { self.bounding };
        self.permitted | self.ambient | gained
    }
}
