//! What only Linux has: namespaces, devices, paths, labels (`config-linux.md`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::names::{absent, names};
use crate::{IdMapping, Resources};

/// The Linux part of a config (`config-linux.md`).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Linux {
    /// User ids of the container's user namespace.
    #[serde(skip_serializing_if = "absent")]
    pub uid_mappings: Vec<IdMapping>,
    /// Group ids of the container's user namespace.
    #[serde(skip_serializing_if = "absent")]
    pub gid_mappings: Vec<IdMapping>,
    /// Kernel parameters by dotted name, such as `net.ipv4.ip_forward`.
    #[serde(skip_serializing_if = "absent")]
    pub sysctl: BTreeMap<String, String>,
    /// Limits of the container's cgroup.
    #[serde(skip_serializing_if = "absent")]
    pub resources: Option<Resources>,
    /// The container's cgroup: a path below the cgroup mount, or `slice:prefix:name` for systemd; empty lets the
    /// runtime choose.
    #[serde(skip_serializing_if = "absent")]
    pub cgroups_path: String,
    /// The namespaces that are created or joined, each kind at most once; a kind not listed is the runtime's.
    #[serde(skip_serializing_if = "absent")]
    pub namespaces: Vec<Namespace>,
    /// Device nodes to create, besides the default ones.
    #[serde(skip_serializing_if = "absent")]
    pub devices: Vec<Device>,
    /// Network devices to move into the container, by their name on the host.
    #[serde(skip_serializing_if = "absent")]
    pub net_devices: BTreeMap<String, NetDevice>,
    /// The system call filter as text, half of a usual config: [`seccomp::parse`](crate::seccomp::parse) reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<Box<RawValue>>,
    /// The mount propagation of the root file system: `private`, `shared`, `slave`, `unbindable`, or one of these
    /// with `r` before it.
    #[serde(skip_serializing_if = "absent")]
    pub rootfs_propagation: String,
    /// Paths in the container that become unreadable.
    #[serde(skip_serializing_if = "absent")]
    pub masked_paths: Vec<String>,
    /// Paths in the container that become read-only.
    #[serde(skip_serializing_if = "absent")]
    pub readonly_paths: Vec<String>,
    /// The `SELinux` label of the container's mounts, or empty.
    #[serde(skip_serializing_if = "absent")]
    pub mount_label: String,
    /// Shares of caches and of memory bandwidth (resctrl).
    #[serde(skip_serializing_if = "absent")]
    pub intel_rdt: Option<IntelRdt>,
    /// The NUMA memory policy.
    #[serde(skip_serializing_if = "absent")]
    pub memory_policy: Option<MemoryPolicy>,
    /// The execution domain (`personality(2)`).
    #[serde(skip_serializing_if = "absent")]
    pub personality: Option<Personality>,
    /// Offsets of the clocks of the time namespace, by name: `monotonic`, `boottime`.
    #[serde(skip_serializing_if = "absent")]
    pub time_offsets: BTreeMap<String, TimeOffset>,
}

/// A namespace to create, or with a path to join (`config-linux.md#namespaces`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Namespace {
    /// Which kind (required).
    #[serde(rename = "type")]
    pub kind: NamespaceKind,
    /// The file of the namespace to join, absolute in the runtime's mount namespace; empty creates a new one.
    #[serde(skip_serializing_if = "absent")]
    pub path: String,
}

names! {
    /// A kind of namespace (`namespaces(7)`).
    pub enum NamespaceKind default Self::Unknown(String::new());
    {
        /// Process ids.
        Pid = "pid",
        /// Network devices, addresses, ports.
        Network = "network",
        /// Mount points.
        Mount = "mount",
        /// System V IPC and POSIX message queues.
        Ipc = "ipc",
        /// Hostname and NIS domain name.
        Uts = "uts",
        /// User and group ids, capabilities.
        User = "user",
        /// The root of the cgroup tree.
        Cgroup = "cgroup",
        /// The monotonic and boot-time clocks.
        Time = "time",
    }
}

/// A device node to create (`config-linux.md#devices`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Device {
    /// Where, absolute in the container (required).
    pub path: String,
    /// Which kind of node (required).
    #[serde(rename = "type")]
    pub kind: DeviceKind,
    /// The major number (required but for a FIFO).
    pub major: i64,
    /// The minor number (required but for a FIFO).
    pub minor: i64,
    /// The permission bits; absent is 0666.
    #[serde(skip_serializing_if = "absent")]
    pub file_mode: Option<u32>,
    /// The owner in the container; absent is 0.
    #[serde(skip_serializing_if = "absent")]
    pub uid: Option<u32>,
    /// The group in the container; absent is 0.
    #[serde(skip_serializing_if = "absent")]
    pub gid: Option<u32>,
}

names! {
    /// A kind of device node (`mknod(1)`).
    pub enum DeviceKind default Self::Unknown(String::new());
    {
        /// A character device.
        Char = "c",
        /// A block device.
        Block = "b",
        /// An unbuffered character device: on Linux a character device.
        Unbuffered = "u",
        /// A FIFO, without device numbers.
        Fifo = "p",
    }
}

/// A network device that moves into the container (`config-linux.md#network-devices`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetDevice {
    /// Its name there; empty keeps the name it has.
    #[serde(skip_serializing_if = "absent")]
    pub name: String,
}

/// A group of Intel's Resource Director Technology (`config-linux.md#intelrdt`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IntelRdt {
    /// The class of service, a directory of resctrl; empty is the container's id, `/` the default class.
    #[serde(rename = "closID", skip_serializing_if = "absent")]
    pub clos_id: String,
    /// Lines for the `schemata` file, written after the two below.
    #[serde(skip_serializing_if = "absent")]
    pub schemata: Vec<String>,
    /// The line of the L3 cache: `L3:<cache id>=<bit mask>;...`.
    #[serde(rename = "l3CacheSchema", skip_serializing_if = "absent")]
    pub l3_cache_schema: String,
    /// The line of the memory bandwidth, in percent or MB/s: `MB:<cache id>=<bandwidth>;...`.
    #[serde(skip_serializing_if = "absent")]
    pub mem_bw_schema: String,
    /// Whether the container gets a monitoring group.
    #[serde(skip_serializing_if = "absent")]
    pub enable_monitoring: bool,
    /// What was half of `enableMonitoring` before version 1.3.
    #[serde(rename = "enableCMT", skip_serializing_if = "absent")]
    pub enable_cmt: bool,
    /// What was the other half.
    #[serde(rename = "enableMBM", skip_serializing_if = "absent")]
    pub enable_mbm: bool,
}

/// A NUMA memory policy, as for `set_mempolicy(2)` (`config-linux.md#memory-policy`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MemoryPolicy {
    /// The mode (required).
    pub mode: MemoryPolicyMode,
    /// The nodes, as a list such as `0-3,7`.
    #[serde(skip_serializing_if = "absent")]
    pub nodes: String,
    /// Names such as `MPOL_F_STATIC_NODES`.
    #[serde(skip_serializing_if = "absent")]
    pub flags: Vec<String>,
}

names! {
    /// A mode of NUMA memory policy (`set_mempolicy(2)`).
    pub enum MemoryPolicyMode default Self::Unknown(String::new());
    {
        /// The system's policy.
        Default = "MPOL_DEFAULT",
        /// Only on the given nodes.
        Bind = "MPOL_BIND",
        /// Page by page around the given nodes.
        Interleave = "MPOL_INTERLEAVE",
        /// The same, by the weights of the nodes.
        WeightedInterleave = "MPOL_WEIGHTED_INTERLEAVE",
        /// On one node, else elsewhere.
        Preferred = "MPOL_PREFERRED",
        /// On some nodes, else elsewhere.
        PreferredMany = "MPOL_PREFERRED_MANY",
        /// On the node of the CPU.
        Local = "MPOL_LOCAL",
    }
}

/// An execution domain, as for `personality(2)` (`config-linux.md#personality`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Personality {
    /// The domain (required).
    pub domain: PersonalityDomain,
    /// Flags: the spec defines none.
    #[serde(skip_serializing_if = "absent")]
    pub flags: Vec<String>,
}

names! {
    /// An execution domain.
    pub enum PersonalityDomain default Self::Unknown(String::new());
    {
        /// The machine as it is.
        Linux = "LINUX",
        /// `uname(2)` tells of a 32-bit machine.
        Linux32 = "LINUX32",
    }
}

/// By how much a clock of the time namespace differs from the host's (`time_namespaces(7)`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TimeOffset {
    /// Seconds.
    #[serde(skip_serializing_if = "absent")]
    pub secs: i64,
    /// Nanoseconds on top.
    #[serde(skip_serializing_if = "absent")]
    pub nanosecs: u32,
}
