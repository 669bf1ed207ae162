//! The document itself: `config.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::names::absent;
use crate::{Hooks, Linux, Mount, Process};

/// A container's configuration (`config.md`).
///
/// There is no `PartialEq`: the seccomp block is raw text, and texts that differ may mean the same.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    /// The version of the spec that the bundle follows, in `SemVer` (required).
    pub oci_version: String,
    /// The process to run; absent if the container is only created, never started.
    #[serde(skip_serializing_if = "absent")]
    pub process: Option<Process>,
    /// The root file system (required on Linux).
    #[serde(skip_serializing_if = "absent")]
    pub root: Option<Root>,
    /// The hostname in the container's UTS namespace; empty leaves it as it is.
    #[serde(skip_serializing_if = "absent")]
    pub hostname: String,
    /// The NIS domain name in the container's UTS namespace; empty leaves it as it is.
    #[serde(skip_serializing_if = "absent")]
    pub domainname: String,
    /// What is mounted over the root file system, in this order.
    #[serde(skip_serializing_if = "absent")]
    pub mounts: Vec<Mount>,
    /// Commands run at points of the container's life.
    #[serde(skip_serializing_if = "absent")]
    pub hooks: Hooks,
    /// Free metadata; keys that runtimes give a meaning to are in reverse domain notation.
    #[serde(skip_serializing_if = "absent")]
    pub annotations: BTreeMap<String, String>,
    /// What only Linux has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linux: Option<Linux>,
    /// The virtual machine to run the container in (`config-vm.md`), kept as text: we run none, but can say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vm: Option<Box<RawValue>>,
}

/// The container's root file system (`config.md#root`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Root {
    /// The directory, absolute or relative to the bundle (required).
    pub path: String,
    /// Whether the root file system is read-only inside the container.
    #[serde(skip_serializing_if = "absent")]
    pub readonly: bool,
}
