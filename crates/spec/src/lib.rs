//! The OCI runtime configuration as types: complete for the Linux part of [runtime-spec] v1.3.0.
//!
//! | file | what is in it | section of the spec |
//! |---|---|---|
//! | [`config`](mod@config) | [`Spec`], [`Root`] | `config.md` |
//! | [`process`] | who runs, with which rights and limits | `config.md#process` |
//! | [`mounts`] | mounts, and the id mappings they may carry | `config.md#mounts` |
//! | [`hooks`] | commands at the points of a container's life | `config.md#posix-platform-hooks` |
//! | [`linux`] | namespaces, devices, paths, labels | `config-linux.md` |
//! | [`resources`] | cgroup limits | `config-linux.md#control-groups` |
//! | [`seccomp`] | the system call filter, parsed only when asked | `config-linux.md#seccomp` |
//! | [`state`] | what `state` prints and hooks read | `runtime.md#state` |
//! | [`features`] | what `features` prints | `features.md` |
//! | [`default`] | the config that `spec` writes | |
//!
//! | file | how a text becomes one of these, and how errors name a place in it |
//! |---|---|
//! | [`parse`](mod@parse) | [`Document::parse`]: the way in |
//! | `strict` | what the plain parse must refuse |
//! | `lenient` | the second look at what it refused: all errors, or none |
//! | [`pointer`](mod@pointer) | [`Pointer`]: the name of a place |
//! | [`locate`](mod@locate) | from a pointer to line and column, and back |
//!
//! Rules that hold for every type here:
//!
//! - A field is named as in JSON, in snake case; JSON's `type` is `kind`, as `type` is a keyword of Rust.
//! - What the spec calls optional and where absent differs from zero is an [`Option`]. An absent string is an empty
//!   one, an absent array or map an empty one, as in the Go types that everybody else uses.
//! - Unknown fields are ignored, as the spec demands. Unknown *values* (a capability, a namespace type) never fail
//!   the parse: they are kept, and the compiler reports them.
//! - Numbers have the width of the Go types; a number out of range is a parse error.
//!
//! [runtime-spec]: https://github.com/opencontainers/runtime-spec/blob/v1.3.0/spec.md
#![forbid(unsafe_code)]

pub mod config;
pub mod default;
pub mod features;
pub mod hooks;
mod lenient;
pub mod linux;
pub mod locate;
pub mod mounts;
mod names;
pub mod parse;
pub mod pointer;
pub mod process;
pub mod resources;
pub mod seccomp;
pub mod state;
mod strict;

pub use config::{Root, Spec};
pub use default::default_spec;
pub use features::Features;
pub use hooks::{Hook, Hooks};
pub use linux::{
    Device, DeviceKind, IntelRdt, Linux, MemoryPolicy, MemoryPolicyMode, Namespace, NamespaceKind, NetDevice,
    Personality, PersonalityDomain, TimeOffset,
};
pub use locate::{Location, locate, locate_nearest, pointer_at};
pub use mounts::{IdMapping, Mount};
pub use parse::{
    Document, MountsDocument, ParseError, ParseErrors, Parsed, ProcessDocument, ResourcesDocument,
};
pub use pointer::Pointer;
pub use process::{
    Capabilities, ConsoleSize, CpuAffinity, IoPriority, IoPriorityClass, Process, Rlimit, RlimitKind,
    Scheduler, SchedulerPolicy, User,
};
pub use resources::{
    BlockIo, Cpu, DeviceRule, DeviceRuleKind, HugepageLimit, InterfacePriority, Memory, Network, Pids, Rdma,
    Resources, ThrottleDevice, WeightDevice,
};
pub use seccomp::Seccomp;
pub use state::{ContainerProcessState, State, Status};

/// The version of the runtime specification that these types follow.
pub const VERSION: &str = "1.3.0";
