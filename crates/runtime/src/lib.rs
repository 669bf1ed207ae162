//! The runtime library: load, prepare, launch, exec, kill, delete.
#![forbid(unsafe_code)]

mod bundle;
mod cgroup;
pub mod console;
mod create;
mod delete;
mod draft;
pub mod error;
mod exec;
mod facts;
mod features;
mod files;
mod freeze;
mod held;
pub mod hooks;
pub mod id;
mod idmap;
mod image;
mod inspect;
mod join;
mod kill;
mod launch;
pub mod liveness;
pub mod log;
pub mod options;
mod runtime;
mod start;
pub mod state;
pub mod store;
mod try_it;
pub mod wait;

pub use error::{Error, Result};
pub use features::features;
pub use held::{Held, Stdio};
pub use id::ContainerId;
pub use options::{
    CgroupManager, CreateOptions, ExecArgs, ExecOptions, NetMode, ProcessSource, RunOptions, Settings,
    TryOptions,
};
pub use runtime::Runtime;
pub use state::{ContainerState, StateFile};
