//! What callers of this library can ask for.

use std::path::PathBuf;

use orlop_spec::Resources;
use serde::{Deserialize, Serialize};

mod checkpoint;

pub use checkpoint::{CgroupsMode, CheckpointOptions, CriuOptions, NetworkLock, RestoreOptions};

/// How this runtime works, for all containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where the state directories are; absent is [`Store::open`](crate::store::Store::open)'s default.
    pub root: Option<PathBuf>,
    /// Who makes cgroups.
    pub cgroup_manager: CgroupManager,
    /// Whether a lack of rights over cgroups is forgiven; absent finds out (forgiven unless the caller is the host's root).
    pub rootless: Option<bool>,
}

/// Who makes the cgroup of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CgroupManager {
    /// We do, by making directories.
    #[default]
    Cgroupfs,
    /// systemd does, asked over D-Bus.
    Systemd,
    /// Nobody: the container stays in the cgroup of its creator, and limits are errors.
    Disabled,
}

/// What `create` and `run` take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateOptions {
    /// The bundle directory.
    pub bundle: PathBuf,
    /// The config, if it is not the bundle's `config.json`.
    pub config: Option<PathBuf>,
    /// Where to write the container's process id, as the caller sees it.
    pub pid_file: Option<PathBuf>,
    /// A listening Unix socket that is sent the master end of the container's terminal.
    pub console_socket: Option<PathBuf>,
    /// A listening Unix socket that is sent a pidfd of the container's process.
    pub pidfd_socket: Option<PathBuf>,
    /// Where to write when each step began and ended, as JSON.
    pub trace: Option<PathBuf>,
    /// The root is an overlay over the config's: changes go to a `tmpfs`, or to a directory (the annotation
    /// `run.orlop.overlay`).
    pub overlay: Option<String>,
    /// Do not use `pivot_root(2)`: needed where the root file system is the initial ramfs.
    pub no_pivot: bool,
    /// Keep the caller's session keyring.
    pub no_new_keyring: bool,
    /// How many descriptors from 3 on the container inherits, besides those of `LISTEN_FDS`.
    pub preserve_fds: u32,
    /// orlop-init stays as the container's first process, and the config's program is its child.
    pub init: bool,
}

/// What `run` takes besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// Return once the container runs.
    pub detach: bool,
    /// Do not delete the container when it has ended.
    pub keep: bool,
    /// Do not become the parent of the container's orphaned processes (`PR_SET_CHILD_SUBREAPER`).
    pub no_subreaper: bool,
}

/// What `exec` takes.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecOptions {
    /// What to execute.
    pub process: ProcessSource,
    /// Where to write its process id, as the caller sees it.
    pub pid_file: Option<PathBuf>,
    /// A listening Unix socket that is sent the master end of its terminal.
    pub console_socket: Option<PathBuf>,
    /// A listening Unix socket that is sent a pidfd of it.
    pub pidfd_socket: Option<PathBuf>,
    /// Return once it runs.
    pub detach: bool,
    /// Where to write when each step began and ended, as JSON.
    pub trace: Option<PathBuf>,
    /// How many descriptors from 3 on it inherits.
    pub preserve_fds: u32,
    /// Do it in a paused container too, where it will freeze until `resume`.
    pub ignore_paused: bool,
    /// A cgroup that the container made below its own, to start it there: `PATH`, or `CONTROLLER:PATH` several times. Empty
    /// is the container's own.
    pub cgroup: Vec<String>,
}

/// Where the description of a process for `exec` comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum ProcessSource {
    /// A file with the JSON of a `process` object of the spec.
    File(PathBuf),
    /// The JSON itself.
    Text(Vec<u8>),
    /// The container's own process, changed by arguments.
    Args(Box<ExecArgs>),
}

/// Where the new limits for `update` come from.
#[derive(Clone, Debug, PartialEq)]
pub enum ResourcesSource {
    /// A file with the JSON of a `linux.resources` object of the spec; `-` is standard input.
    File(PathBuf),
    /// Arguments.
    Args(Box<Resources>),
}

/// New shares of caches and memory bandwidth for `update`; an empty one stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schemas {
    /// The line of the L3 cache, as `l3CacheSchema` of the spec.
    pub l3_cache: String,
    /// The line of the memory bandwidth, as `memBwSchema` of the spec.
    pub mem_bw: String,
}

impl Schemas {
    /// Whether nothing is to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.l3_cache.is_empty() && self.mem_bw.is_empty()
    }
}

/// How an additional process differs from the container's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecArgs {
    /// The program and its arguments; at least one.
    pub args: Vec<String>,
    /// The working directory inside the container.
    pub cwd: Option<String>,
    /// Added to the environment, each `NAME=value`.
    pub env: Vec<String>,
    /// User id and, if given, group id inside the container.
    pub user: Option<(u32, Option<u32>)>,
    /// Added to the supplementary groups.
    pub additional_gids: Vec<u32>,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Added to the capabilities, such as `CAP_KILL`.
    pub caps: Vec<String>,
    /// Its `AppArmor` profile; absent as in the container's config.
    pub apparmor: Option<String>,
    /// Its `SELinux` label; absent as in the container's config.
    pub process_label: Option<String>,
    /// Whether `execve(2)` may no longer grant privileges; absent as in the container's config.
    pub no_new_privs: Option<bool>,
}

/// What `try` takes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TryOptions {
    /// The program and its arguments; empty for an interactive shell.
    pub command: Vec<String>,
    /// The root file system; absent for a throw-away layer over the host's own.
    pub rootfs: Option<PathBuf>,
    /// Memory limit in bytes.
    pub memory: Option<u64>,
    /// CPU time per time: 0.5 is half a CPU.
    pub cpus: Option<f64>,
    /// How many processes there may be.
    pub pids: Option<i64>,
    /// Whether the root file system is read-only.
    pub read_only: bool,
    /// User and group to run as.
    pub user: Option<(u32, u32)>,
    /// The network.
    pub net: NetMode,
    /// The hostname; absent for `orlop`.
    pub hostname: Option<String>,
    /// The environment, each `NAME=value`, added to the default one.
    pub env: Vec<String>,
}

/// The network of a container made by `try`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetMode {
    /// Only a loopback interface.
    #[default]
    None,
    /// The host's.
    Host,
}
