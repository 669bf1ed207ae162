//! Mounts, and mappings of user and group ids.

use serde::{Deserialize, Serialize};

use crate::names::absent;

/// One mount (`config.md#mounts`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mount {
    /// Where, absolute in the container (required).
    pub destination: String,
    /// The file system type; empty or `none` with `bind` in the options is a bind mount.
    #[serde(rename = "type", skip_serializing_if = "absent")]
    pub kind: String,
    /// What to mount: for a bind mount a path, absolute or relative to the bundle.
    #[serde(skip_serializing_if = "absent")]
    pub source: String,
    /// Options as in `fstab(5)`; what is no flag of `mount(2)` goes to the file system.
    #[serde(skip_serializing_if = "absent")]
    pub options: Vec<String>,
    /// User ids of an id-mapped mount; present together with `gid_mappings`.
    #[serde(skip_serializing_if = "absent")]
    pub uid_mappings: Vec<IdMapping>,
    /// Group ids of an id-mapped mount.
    #[serde(skip_serializing_if = "absent")]
    pub gid_mappings: Vec<IdMapping>,
}

/// A range of ids inside, and where it lies outside (`config-linux.md#user-namespace-mappings`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IdMapping {
    /// The first id in the container (in an id-mapped mount: in the source file system).
    #[serde(rename = "containerID")]
    pub container_id: u32,
    /// The first id on the host.
    #[serde(rename = "hostID")]
    pub host_id: u32,
    /// How many ids.
    pub size: u32,
}

impl IdMapping {
    /// Three numbers as options and mounts have them, such as `0:100000:65536`: the first id in the container, the first one
    /// on the host, and how many, with `divider` between them. `None`: it is something else.
    pub fn parse(text: &str, divider: char) -> Option<Self> {
        let numbers: Option<Vec<u32>> = text.split(divider).map(|number| number.parse().ok()).collect();
        match numbers?[..] {
            [container_id, host_id, size] => Some(Self { container_id, host_id, size }),
            _ => None,
        }
    }
}
