//! What `state` prints and hooks read (`runtime.md#state`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::{absent, names};

/// The state of a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    /// The version of the spec that this document follows (required).
    pub oci_version: String,
    /// The container's id (required).
    pub id: String,
    /// Where it is in its life (required).
    pub status: Status,
    /// The container process as the runtime sees it; 0, and left out, when there is none.
    #[serde(skip_serializing_if = "absent")]
    pub pid: i64,
    /// The bundle directory, absolute (required).
    pub bundle: String,
    /// The annotations of the config.
    #[serde(skip_serializing_if = "absent")]
    pub annotations: BTreeMap<String, String>,
}

names! {
    /// Where a container is in its life.
    pub enum Status default Self::Unknown(String::new());
    {
        /// `create` is at work.
        Creating = "creating",
        /// `create` is done, `start` is not.
        Created = "created",
        /// The process runs.
        Running = "running",
        /// Every process is frozen. Not of the spec, which lets runtimes add to the list: runc prints it.
        Paused = "paused",
        /// The process has ended.
        Stopped = "stopped",
    }
}

/// What the seccomp agent is sent together with its file descriptors (`config-linux.md#the-container-process-state`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerProcessState {
    /// The version of the spec that this document follows (required).
    pub oci_version: String,
    /// What each file descriptor is, in their order: `seccompFd` names the notification one.
    pub fds: Vec<String>,
    /// The process that the filter applies to, as the runtime sees it.
    pub pid: i64,
    /// `listenerMetadata` of the filter.
    #[serde(skip_serializing_if = "absent")]
    pub metadata: String,
    /// The state of the container.
    pub state: State,
}
