//! What `features` prints: which parts of the spec this runtime knows (`features.md`).
//!
//! An absent list or flag means "not told", an empty list "none": hence the many options.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::absent;

/// The features document (`features.md`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Features {
    /// The least version of the spec that configs may follow (required).
    pub oci_version_min: String,
    /// The greatest version of the spec that configs may follow (required).
    pub oci_version_max: String,
    /// The names of the hooks that are known.
    #[serde(skip_serializing_if = "absent")]
    pub hooks: Option<Vec<String>>,
    /// The names of the mount options that are known.
    #[serde(skip_serializing_if = "absent")]
    pub mount_options: Option<Vec<String>>,
    /// What only Linux has.
    #[serde(skip_serializing_if = "absent")]
    pub linux: Option<LinuxFeatures>,
    /// Free metadata about the runtime.
    #[serde(skip_serializing_if = "absent")]
    pub annotations: BTreeMap<String, String>,
    /// Annotations of a config that may change the runtime's behaviour; a trailing dot is a prefix.
    #[serde(skip_serializing_if = "absent")]
    pub potentially_unsafe_config_annotations: Option<Vec<String>>,
}

/// What only Linux has (`features-linux.md`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LinuxFeatures {
    /// The kinds of namespace that are known.
    #[serde(skip_serializing_if = "absent")]
    pub namespaces: Option<Vec<String>>,
    /// The capabilities that are known.
    #[serde(skip_serializing_if = "absent")]
    pub capabilities: Option<Vec<String>>,
    /// Cgroups.
    #[serde(skip_serializing_if = "absent")]
    pub cgroup: Option<CgroupFeatures>,
    /// Seccomp.
    #[serde(skip_serializing_if = "absent")]
    pub seccomp: Option<SeccompFeatures>,
    /// `AppArmor`.
    #[serde(skip_serializing_if = "absent")]
    pub apparmor: Option<Enabled>,
    /// `SELinux`.
    #[serde(skip_serializing_if = "absent")]
    pub selinux: Option<Enabled>,
    /// Intel RDT.
    #[serde(skip_serializing_if = "absent")]
    pub intel_rdt: Option<IntelRdtFeatures>,
    /// NUMA memory policies.
    #[serde(skip_serializing_if = "absent")]
    pub memory_policy: Option<MemoryPolicyFeatures>,
    /// What mounts can do besides `mount(2)`.
    #[serde(skip_serializing_if = "absent")]
    pub mount_extensions: Option<MountExtensions>,
    /// Moving network devices.
    #[serde(skip_serializing_if = "absent")]
    pub net_devices: Option<Enabled>,
}

/// Whether something is supported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Enabled {
    /// Whether it is; absent is "not told".
    #[serde(skip_serializing_if = "absent")]
    pub enabled: Option<bool>,
}

/// Cgroups (`features-linux.md#cgroup`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CgroupFeatures {
    /// Cgroup v1.
    #[serde(skip_serializing_if = "absent")]
    pub v1: Option<bool>,
    /// Cgroup v2.
    #[serde(skip_serializing_if = "absent")]
    pub v2: Option<bool>,
    /// The system's systemd as cgroup manager.
    #[serde(skip_serializing_if = "absent")]
    pub systemd: Option<bool>,
    /// A user's systemd as cgroup manager.
    #[serde(skip_serializing_if = "absent")]
    pub systemd_user: Option<bool>,
    /// The RDMA controller.
    #[serde(skip_serializing_if = "absent")]
    pub rdma: Option<bool>,
}

/// Seccomp (`features-linux.md#seccomp`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SeccompFeatures {
    /// Whether filters are supported.
    #[serde(skip_serializing_if = "absent")]
    pub enabled: Option<bool>,
    /// The actions that are known.
    #[serde(skip_serializing_if = "absent")]
    pub actions: Option<Vec<String>>,
    /// The comparisons that are known.
    #[serde(skip_serializing_if = "absent")]
    pub operators: Option<Vec<String>>,
    /// The architectures that are known.
    #[serde(skip_serializing_if = "absent")]
    pub archs: Option<Vec<String>>,
    /// The flags that are known.
    #[serde(skip_serializing_if = "absent")]
    pub known_flags: Option<Vec<String>>,
    /// The flags that are known and that this kernel takes.
    #[serde(skip_serializing_if = "absent")]
    pub supported_flags: Option<Vec<String>>,
}

/// Intel RDT (`features-linux.md#intel-rdt`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IntelRdtFeatures {
    /// Whether it is supported at all.
    #[serde(skip_serializing_if = "absent")]
    pub enabled: Option<bool>,
    /// Whether `schemata` is.
    #[serde(skip_serializing_if = "absent")]
    pub schemata: Option<bool>,
    /// Whether `enableMonitoring` is.
    #[serde(skip_serializing_if = "absent")]
    pub monitoring: Option<bool>,
}

/// NUMA memory policies (`features-linux.md#memorypolicy`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MemoryPolicyFeatures {
    /// The modes that are known.
    #[serde(skip_serializing_if = "absent")]
    pub modes: Option<Vec<String>>,
    /// The flags that are known.
    #[serde(skip_serializing_if = "absent")]
    pub flags: Option<Vec<String>>,
}

/// What mounts can do besides `mount(2)` (`features-linux.md#mountextensions`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MountExtensions {
    /// Id-mapped mounts.
    #[serde(skip_serializing_if = "absent")]
    pub idmap: Option<Enabled>,
}
