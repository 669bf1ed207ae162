//! Commands run at points of a container's life.

use serde::{Deserialize, Serialize};

use crate::names::absent;

/// The hooks, each list run in order (`config.md#posix-platform-hooks`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hooks {
    /// Deprecated: as `create_runtime`, and before those.
    #[serde(skip_serializing_if = "absent")]
    pub prestart: Vec<Hook>,
    /// During `create`, in the runtime's namespaces, after the namespaces exist and before `pivot_root(2)`.
    #[serde(skip_serializing_if = "absent")]
    pub create_runtime: Vec<Hook>,
    /// During `create`, in the container's namespaces, after `create_runtime` and before `pivot_root(2)`.
    #[serde(skip_serializing_if = "absent")]
    pub create_container: Vec<Hook>,
    /// During `start`, in the container's namespaces, before the process is executed.
    #[serde(skip_serializing_if = "absent")]
    pub start_container: Vec<Hook>,
    /// After `start`, in the runtime's namespaces; a failure is only a warning.
    #[serde(skip_serializing_if = "absent")]
    pub poststart: Vec<Hook>,
    /// After the container is deleted, in the runtime's namespaces; a failure is only a warning.
    #[serde(skip_serializing_if = "absent")]
    pub poststop: Vec<Hook>,
}

/// One hook: it reads the container's [`State`](crate::State) from its standard input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hook {
    /// The program, absolute (required).
    pub path: String,
    /// The arguments, the program's name first.
    #[serde(skip_serializing_if = "absent")]
    pub args: Vec<String>,
    /// The whole environment, each `NAME=value`.
    #[serde(skip_serializing_if = "absent")]
    pub env: Vec<String>,
    /// Seconds until the hook is killed, more than zero; absent waits for ever.
    #[serde(skip_serializing_if = "absent")]
    pub timeout: Option<i64>,
}
