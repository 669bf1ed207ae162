//! Limits of the container's cgroup (`config-linux.md#control-groups`). The names are those of cgroup v1.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::{absent, names};

/// All limits; also the document that `update --resources` reads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// Which devices may be used: rules in order, the last that matches decides.
    #[serde(skip_serializing_if = "absent")]
    pub devices: Vec<DeviceRule>,
    /// Memory.
    #[serde(skip_serializing_if = "absent")]
    pub memory: Option<Memory>,
    /// CPU time and placement.
    #[serde(skip_serializing_if = "absent")]
    pub cpu: Option<Cpu>,
    /// Processes.
    #[serde(skip_serializing_if = "absent")]
    pub pids: Option<Pids>,
    /// Block devices.
    #[serde(rename = "blockIO", skip_serializing_if = "absent")]
    pub block_io: Option<BlockIo>,
    /// Huge pages, one limit for each page size.
    #[serde(skip_serializing_if = "absent")]
    pub hugepage_limits: Vec<HugepageLimit>,
    /// Network tags (cgroup v1 only).
    #[serde(skip_serializing_if = "absent")]
    pub network: Option<Network>,
    /// RDMA, by device name such as `mlx5_1`.
    #[serde(skip_serializing_if = "absent")]
    pub rdma: BTreeMap<String, Rdma>,
    /// Files of cgroup v2 and what to write to them, such as `memory.high`.
    #[serde(skip_serializing_if = "absent")]
    pub unified: BTreeMap<String, String>,
}

/// One rule of the device allow list (`config-linux.md#allowed-device-list`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeviceRule {
    /// Whether the rule allows or denies (required).
    pub allow: bool,
    /// Which devices; absent is all.
    #[serde(rename = "type", skip_serializing_if = "absent")]
    pub kind: DeviceRuleKind,
    /// The major number; absent or -1 is any.
    #[serde(skip_serializing_if = "absent")]
    pub major: Option<i64>,
    /// The minor number; absent or -1 is any.
    #[serde(skip_serializing_if = "absent")]
    pub minor: Option<i64>,
    /// Letters of `rwm`: read, write, mknod; empty is all three.
    #[serde(skip_serializing_if = "absent")]
    pub access: String,
}

names! {
    /// Which devices a rule is about. Absent or empty is all, as for runc.
    pub enum DeviceRuleKind default Self::All;
    {
        /// All of them.
        All = "a" | "",
        /// Character devices.
        Char = "c",
        /// Block devices.
        Block = "b",
    }
}

/// Memory limits, in bytes; -1 is unlimited (`config-linux.md#memory`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// Memory.
    #[serde(skip_serializing_if = "absent")]
    pub limit: Option<i64>,
    /// The soft limit.
    #[serde(skip_serializing_if = "absent")]
    pub reservation: Option<i64>,
    /// Memory **and** swap together.
    #[serde(skip_serializing_if = "absent")]
    pub swap: Option<i64>,
    /// Kernel memory (deprecated).
    #[serde(skip_serializing_if = "absent")]
    pub kernel: Option<i64>,
    /// Kernel memory of TCP (deprecated).
    #[serde(rename = "kernelTCP", skip_serializing_if = "absent")]
    pub kernel_tcp: Option<i64>,
    /// How readily to swap, 0 to 100 (cgroup v1 only).
    #[serde(skip_serializing_if = "absent")]
    pub swappiness: Option<u64>,
    /// Whether tasks wait instead of being killed when memory is out (cgroup v1 only).
    #[serde(rename = "disableOOMKiller", skip_serializing_if = "absent")]
    pub disable_oom_killer: Option<bool>,
    /// Whether descendants are accounted too (cgroup v1 only).
    #[serde(skip_serializing_if = "absent")]
    pub use_hierarchy: Option<bool>,
    /// Whether an update is refused that would set the limit below the usage.
    #[serde(skip_serializing_if = "absent")]
    pub check_before_update: Option<bool>,
}

/// CPU limits (`config-linux.md#cpu`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cpu {
    /// The relative share, 2 to 262144.
    #[serde(skip_serializing_if = "absent")]
    pub shares: Option<u64>,
    /// CPU time within each period, in microseconds; -1 is unlimited.
    #[serde(skip_serializing_if = "absent")]
    pub quota: Option<i64>,
    /// What may be saved up from earlier periods, in microseconds.
    #[serde(skip_serializing_if = "absent")]
    pub burst: Option<u64>,
    /// The period, in microseconds.
    #[serde(skip_serializing_if = "absent")]
    pub period: Option<u64>,
    /// Real-time CPU time within each period, in microseconds (cgroup v1 only).
    #[serde(skip_serializing_if = "absent")]
    pub realtime_runtime: Option<i64>,
    /// The real-time period, in microseconds (cgroup v1 only).
    #[serde(skip_serializing_if = "absent")]
    pub realtime_period: Option<u64>,
    /// The CPUs to run on, as a list such as `0-3,7`.
    #[serde(skip_serializing_if = "absent")]
    pub cpus: String,
    /// The memory nodes to use, as a list such as `0-3,7`.
    #[serde(skip_serializing_if = "absent")]
    pub mems: String,
    /// Whether the cgroup runs only when nothing else does: 1, else 0.
    #[serde(skip_serializing_if = "absent")]
    pub idle: Option<i64>,
}

/// The limit of processes (`config-linux.md#pids`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pids {
    /// How many tasks; -1 is unlimited. Required up to v1.2 of the spec, optional since.
    #[serde(skip_serializing_if = "absent")]
    pub limit: Option<i64>,
}

/// Limits of block devices (`config-linux.md#block-io`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockIo {
    /// The relative weight, 10 to 1000.
    #[serde(skip_serializing_if = "absent")]
    pub weight: Option<u16>,
    /// The weight against child cgroups, 10 to 1000 (cgroup v1 only).
    #[serde(skip_serializing_if = "absent")]
    pub leaf_weight: Option<u16>,
    /// Weights for one device.
    #[serde(skip_serializing_if = "absent")]
    pub weight_device: Vec<WeightDevice>,
    /// Bytes read per second.
    #[serde(skip_serializing_if = "absent")]
    pub throttle_read_bps_device: Vec<ThrottleDevice>,
    /// Bytes written per second.
    #[serde(skip_serializing_if = "absent")]
    pub throttle_write_bps_device: Vec<ThrottleDevice>,
    /// Read operations per second.
    #[serde(rename = "throttleReadIOPSDevice", skip_serializing_if = "absent")]
    pub throttle_read_iops_device: Vec<ThrottleDevice>,
    /// Write operations per second.
    #[serde(rename = "throttleWriteIOPSDevice", skip_serializing_if = "absent")]
    pub throttle_write_iops_device: Vec<ThrottleDevice>,
}

/// The weights of one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WeightDevice {
    /// The device's major number (required).
    pub major: i64,
    /// The device's minor number (required).
    pub minor: i64,
    /// The relative weight, 10 to 1000.
    #[serde(skip_serializing_if = "absent")]
    pub weight: Option<u16>,
    /// The weight against child cgroups, 10 to 1000 (cgroup v1 only).
    #[serde(skip_serializing_if = "absent")]
    pub leaf_weight: Option<u16>,
}

/// The rate of one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ThrottleDevice {
    /// The device's major number (required).
    pub major: i64,
    /// The device's minor number (required).
    pub minor: i64,
    /// Bytes or operations per second (required).
    pub rate: u64,
}

/// The limit of huge pages of one size (`config-linux.md#huge-page-limits`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HugepageLimit {
    /// The page size: a number, then `KB`, `MB` or `GB` (required). Programs in Go do not care for the case of names, and
    /// some people neither.
    #[serde(alias = "pagesize")]
    pub page_size: String,
    /// The limit in bytes (required).
    pub limit: u64,
}

/// Tags of the network controllers of cgroup v1 (`config-linux.md#network`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Network {
    /// The class of the packets.
    #[serde(rename = "classID", skip_serializing_if = "absent")]
    pub class_id: Option<u32>,
    /// Priorities of the traffic, for each interface.
    #[serde(skip_serializing_if = "absent")]
    pub priorities: Vec<InterfacePriority>,
}

/// The priority of the traffic on one interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InterfacePriority {
    /// The interface, by its name in the runtime's network namespace (required).
    pub name: String,
    /// The priority (required).
    pub priority: u32,
}

/// Limits of one RDMA device (`config-linux.md#rdma`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rdma {
    /// How many handles.
    #[serde(skip_serializing_if = "absent")]
    pub hca_handles: Option<u32>,
    /// How many objects.
    #[serde(skip_serializing_if = "absent")]
    pub hca_objects: Option<u32>,
}
