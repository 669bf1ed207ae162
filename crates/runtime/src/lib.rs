//! The runtime library: load, prepare, launch, exec, kill, delete.
#![forbid(unsafe_code)]

mod agent;
pub mod ahead;
mod bundle;
mod cgroup;
mod checkpoint;
pub mod clock;
pub mod console;
mod create;
mod criu;
mod delete;
mod draft;
pub mod error;
pub mod events;
mod exec;
mod facts;
mod features;
mod files;
mod freeze;
mod held;
pub mod hooks;
pub mod host_mounts;
pub mod id;
mod idmap;
mod image;
mod inspect;
mod join;
mod kill;
mod launch;
pub mod leftovers;
pub mod liveness;
pub mod log;
mod mounts;
mod netdev;
mod netlink;
mod notify;
pub mod options;
mod order;
mod owner;
mod pidfd_socket;
mod plan;
pub mod rdt;
pub mod reactor;
mod restore;
mod runtime;
mod scope;
mod signals;
mod socket;
mod start;
pub mod state;
pub mod store;
pub mod streams;
pub mod supervise;
mod trace;
mod try_it;
mod update;
mod usage;
mod userns;
pub mod wait;

pub use criu::CriuError;
pub use error::{Error, Result};
pub use facts::{has_apparmor, has_cgroups_of_version_1, has_selinux};
pub use features::features;
pub use held::{Held, Stdio, end_children_of_thread};
pub use id::ContainerId;
pub use idmap::user_namespace;
pub use image::{first_process, with_machine};
pub use options::{
    CgroupManager, CgroupsMode, CheckpointOptions, CreateOptions, CriuOptions, ExecArgs, ExecOptions,
    NetMode, NetworkLock, ProcessSource, ResourcesSource, RestoreOptions, RunOptions, Schemas, Settings,
    TryOptions,
};
pub use plan::Planned;
pub use runtime::Runtime;
pub use signals::{SIGNALS, signal};
pub use state::{ContainerState, StateFile};
pub use usage::Usage;
pub use userns::forbidding_user_namespaces;
