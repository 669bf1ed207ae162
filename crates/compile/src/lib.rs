//! A specification and host facts become a [`Program`](orlop_program::Program), or a list of diagnostics.
//!
//! Pure: nothing is opened, asked or changed. Everything that is wrong with a config is found in one go, before
//! anything is touched, and every step of the program knows which place of the config asked for it.
//!
//! | to find | read |
//! |---|---|
//! | the order of a container's steps, and why | `container.rs` |
//! | the order of an added process's steps | `exec.rs` |
//! | mounts for a container that runs | `added_mounts.rs` |
//! | what both have in common: from limits to exec | `process.rs` |
//! | one mechanism: which step it becomes and what is refused | the file of its name |
//! | what is wrong, in words | `diagnostics.rs`, `codes.rs` |
//! | what the host side has to do besides running the program | [`Launch`] in `launch.rs` |
//!
//! | file | mechanism |
//! |---|---|
//! | `document.rs` | version, container id, parts of the spec that are not built yet |
//! | `namespaces.rs`, `mappings.rs` | namespaces, user and group id mappings |
//! | `time.rs` | the time namespace and its clocks |
//! | `root.rs` | the root file system, propagation |
//! | `mounts.rs`, `mounts/` | mounts and their options |
//! | `devices.rs` | `/dev` |
//! | `terminal.rs` | console, standard input and output |
//! | `sysctl.rs`, `paths.rs` | kernel parameters, masked and read-only paths, names |
//! | `limits.rs`, `capabilities.rs`, `identity.rs`, `seccomp.rs` | what the process may use and do, and who it is |
//! | `scheduling.rs`, `memory_policy.rs` | policy, I/O priority, CPUs; NUMA nodes, execution domain |
//! | `labels.rs` | `AppArmor` profiles, `SELinux` labels |
//! | `landlock.rs` | Landlock, by annotations |
//! | `netdevices.rs` | network devices that move into the container |
//! | `environment.rs` | environment, working directory, the file to execute |
//! | `hooks.rs`, `rdt.rs` | hooks, shares of caches |
//! | `cgroup.rs`, `systemd.rs` | control group: a plain one, or a unit's |
//! | `annotations.rs` | annotations with a meaning |
//! | `update.rs`, `update/merge.rs` | new limits for a container that runs |
//! | `words.rs` | steps in words, for errors and explanations |
#![forbid(unsafe_code)]

mod added_mounts;
mod annotations;
mod capabilities;
mod cgroup;
mod codes;
mod compiler;
mod container;
mod devices;
mod diagnostics;
mod document;
mod environment;
mod exec;
mod hooks;
mod host;
mod identity;
mod labels;
mod landlock;
mod launch;
mod limits;
mod mappings;
mod memory_policy;
mod mounts;
mod namespaces;
mod netdevices;
mod numbers;
mod options;
mod overlay;
mod paths;
mod process;
mod rdt;
mod root;
mod scheduling;
mod seccomp;
mod sysctl;
mod systemd;
mod terminal;
mod time;
mod update;
mod words;

pub use added_mounts::{compile_added_mounts, compile_removed_mounts};
pub use annotations::DELEGATE_CGROUP;
pub use capabilities::{KNOWN as KNOWN_CAPABILITIES, capabilities_of_interest};
pub use codes::Code;
pub use container::compile;
pub use diagnostics::{Diagnostic, Diagnostics, Origin, Severity};
pub use exec::compile_exec;
pub use hooks::compile_hook;
pub use host::{CgroupRights, Host};
pub use landlock::asks_for_landlock;
pub use launch::{
    Beside, CgroupPlan, Compiled, Fill, FillWith, IdMaps, Join, Launch, MountIdMap, NetDevice, RdtPlan,
    SchedulerAttributes, ScopePlan, SeccompAgent, UserNamespace,
};
pub use limits::rlimit_name;
pub use memory_policy::flags as memory_policy_flags;
pub use mounts::options::known as known_mount_options;
pub use options::{ExecOptions, HookOptions, HookTime, Mode, Options};
pub use overlay::{OVERLAY, OVERLAY_LOWER, Upper};
pub use rdt::compile_rdt;
pub use seccomp::Filter;
pub use update::{Update, compile_update};
pub use words::in_words;
