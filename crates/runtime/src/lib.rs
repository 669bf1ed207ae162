//! The runtime library: load, prepare, launch, exec, kill, delete.
#![forbid(unsafe_code)]

pub mod console;
pub mod error;
pub mod hooks;
pub mod id;
pub mod image;
pub mod liveness;
pub mod log;
pub mod options;
pub mod state;
pub mod store;
pub mod wait;

pub use error::{Error, Result};
pub use id::ContainerId;
pub use options::{
    CgroupManager, CreateOptions, ExecArgs, ExecOptions, NetMode, ProcessSource, RunOptions, Settings,
    TryOptions,
};
pub use state::{ContainerState, StateFile};
