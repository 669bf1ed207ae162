//! Control groups: version 2, and version 1 where a hybrid host needs it.
//!
//! The crate has two halves. The **pure** half turns OCI resources into files and values and touches nothing: [`Layout`] says
//! where the host keeps its hierarchies, [`CgroupPath`] where the container's cgroup shall be, and [`plan()`] what is
//! written there and why. The **doing** half, [`Cgroup`], makes it so.
//!
//! | file | what is in it |
//! |---|---|
//! | `layout.rs` | the hierarchies of the host: unified, hybrid, legacy |
//! | `path.rs` | `linux.cgroupsPath`, validated |
//! | `plan.rs` | OCI resources → settings |
//! | `setting.rs` | one setting; problems and warnings |
//! | `device.rs` | device rules → eBPF |
//! | `cgroup.rs` | create, freeze, kill, remove |
//! | `stats.rs` | what a container has used |
//! | `controller.rs` | controllers and sets of them |
//! | `dir.rs`, `tree.rs` | one open directory; walking a subtree |
//!
//! ```
//! use orlop_cgroups::{Controllers, Layout, Unified, plan};
//!
//! let unified = Unified {
//!     mount: "/sys/fs/cgroup".into(),
//!     own: "".into(),
//!     controllers: Controllers::parse("cpu memory pids"),
//! };
//! let layout = Layout { unified: Some(unified), v1: Vec::new() };
//! let resources = serde_json::from_str(r#"{"cpu": {"shares": 512}, "pids": {"limit": 64}}"#)?;
//! let plan = plan(&resources, &layout, &[]).expect("a plan without problems");
//! let lines: Vec<String> = plan.settings.iter().map(ToString::to_string).collect();
//! assert_eq!(lines, ["pids.max = 64", "cpu.weight = 59"]);
//! assert_eq!(plan.settings[0].origin.to_string(), "/linux/resources/pids/limit");
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! The law is the kernel's `Documentation/admin-guide/cgroup-v2.rst`, called cgroup-v2.rst here, and its siblings in
//! `cgroup-v1/`.
#![forbid(unsafe_code)]

mod cgroup;
mod controller;
mod device;
mod dir;
mod error;
mod layout;
mod path;
mod plan;
mod setting;
mod stats;
mod tree;

pub use cgroup::{Below, Cgroup, Claim, FREEZE_DEADLINE, Mark, Occasion, Watch, mark_of, marked};
pub use controller::{Controller, Controllers};
pub use device::{DeviceProgram, Refused};
pub use error::{Error, Result, Task};
pub use layout::{Hierarchy, Layout, Location, MountLine, Place, Unified, V1Mount, unescape};
pub use path::{CgroupPath, PathProblem};
pub use plan::{Plan, convert, plan};
pub use setting::{Above, Absent, Problem, Setting, Warning};
pub use stats::{
    Counter, CpuStats, CpusetStats, HugetlbStats, IoStats, MemoryEvents, MemoryStats, MemoryV1, PidsStats,
    Pressure, Pressures, RdmaStats, Stall, Stats, Usage,
};
