//! The system call filter (`config-linux.md#seccomp`).
//!
//! It is half of a usual config and most launches find its compiled form in a cache, so the config keeps it as text
//! and [`parse`] reads it on demand.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::names::absent;
use crate::parse::{ParseErrors, Parsed};

/// A filter: a default action and rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Seccomp {
    /// What happens to a system call without a rule, such as `SCMP_ACT_ERRNO` (required).
    pub default_action: String,
    /// The errno (or trace data) of the default action; absent is `EPERM`.
    #[serde(skip_serializing_if = "absent")]
    pub default_errno_ret: Option<u32>,
    /// The architectures besides the native one, such as `SCMP_ARCH_X86`.
    #[serde(skip_serializing_if = "absent")]
    pub architectures: Vec<String>,
    /// Flags of `seccomp(2)`, such as `SECCOMP_FILTER_FLAG_LOG`. Absent is the runtime's choice, an empty list none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<Vec<String>>,
    /// The UNIX socket of the agent that gets the notification file descriptor, or empty.
    #[serde(skip_serializing_if = "absent")]
    pub listener_path: String,
    /// What the agent is told, as it stands.
    #[serde(skip_serializing_if = "absent")]
    pub listener_metadata: String,
    /// The rules.
    #[serde(skip_serializing_if = "absent")]
    pub syscalls: Vec<Syscall>,
}

/// A rule: for these system calls with these arguments, this action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Syscall {
    /// The system calls, by name (at least one).
    pub names: Vec<String>,
    /// What happens (required).
    pub action: String,
    /// The errno (or trace data) of the action; absent is `EPERM`.
    #[serde(skip_serializing_if = "absent")]
    pub errno_ret: Option<u32>,
    /// Conditions that must all hold.
    #[serde(skip_serializing_if = "absent")]
    pub args: Vec<Arg>,
}

/// A condition on one argument of a system call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Arg {
    /// Which argument, 0 to 5 (required).
    pub index: u32,
    /// What it is compared with; the mask of `SCMP_CMP_MASKED_EQ` (required).
    pub value: u64,
    /// What the masked argument is compared with.
    #[serde(skip_serializing_if = "absent")]
    pub value_two: u64,
    /// The comparison, such as `SCMP_CMP_EQ` (required).
    pub op: String,
}

/// Reads the filter that a config holds as text. [`Document::seccomp`](crate::Document::seccomp) does the same and
/// places errors in the config.
///
/// # Errors
/// Everything that has the wrong type; pointers and lines count from the start of the filter.
pub fn parse(raw: &RawValue) -> Result<Seccomp, ParseErrors<Seccomp>> {
    Parsed::parse(raw.get()).map(|parsed| parsed.spec)
}
