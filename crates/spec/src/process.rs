//! The process of a container: who runs, where, with which rights and limits (`config.md#process`).

use serde::{Deserialize, Serialize};

use crate::names::{absent, names};

/// The container process (`config.md#process`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Process {
    /// Whether standard input, output and error are a pseudo-terminal.
    #[serde(skip_serializing_if = "absent")]
    pub terminal: bool,
    /// The size of that terminal; without `terminal` it is ignored.
    #[serde(skip_serializing_if = "absent")]
    pub console_size: Option<ConsoleSize>,
    /// The user and groups to run as.
    pub user: User,
    /// The program and its arguments, as for `execvp(3)` (at least one on Linux).
    #[serde(skip_serializing_if = "absent")]
    pub args: Vec<String>,
    /// The environment, each `NAME=value`.
    #[serde(skip_serializing_if = "absent")]
    pub env: Vec<String>,
    /// The working directory, absolute in the container (required).
    pub cwd: String,
    /// The capability sets; absent means none at all.
    #[serde(skip_serializing_if = "absent")]
    pub capabilities: Option<Capabilities>,
    /// The resource limits, each kind at most once.
    #[serde(skip_serializing_if = "absent")]
    pub rlimits: Vec<Rlimit>,
    /// Whether `execve(2)` may no longer grant privileges (`PR_SET_NO_NEW_PRIVS`).
    #[serde(skip_serializing_if = "absent")]
    pub no_new_privileges: bool,
    /// The `AppArmor` profile, or empty.
    #[serde(skip_serializing_if = "absent")]
    pub apparmor_profile: String,
    /// What to write to `/proc/self/oom_score_adj`, -1000 to 1000; absent leaves it as it is.
    #[serde(skip_serializing_if = "absent")]
    pub oom_score_adj: Option<i64>,
    /// The scheduling attributes, as for `sched_setattr(2)`.
    #[serde(skip_serializing_if = "absent")]
    pub scheduler: Option<Scheduler>,
    /// The `SELinux` label of the process, or empty.
    #[serde(skip_serializing_if = "absent")]
    pub selinux_label: String,
    /// The I/O priority, as for `ioprio_set(2)`.
    #[serde(skip_serializing_if = "absent")]
    pub io_priority: Option<IoPriority>,
    /// The CPUs that a process added by `exec` runs on.
    #[serde(rename = "execCPUAffinity", skip_serializing_if = "absent")]
    pub exec_cpu_affinity: Option<CpuAffinity>,
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsoleSize {
    /// Rows.
    pub height: u64,
    /// Columns.
    pub width: u64,
}

/// A user and its groups, as numbers inside the container (`config.md#posix-platform-user`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct User {
    /// The user id.
    pub uid: u32,
    /// The primary group id.
    pub gid: u32,
    /// The file mode creation mask; absent leaves the runtime's own.
    #[serde(skip_serializing_if = "absent")]
    pub umask: Option<u32>,
    /// Supplementary group ids, as for `setgroups(2)`.
    #[serde(skip_serializing_if = "absent")]
    pub additional_gids: Vec<u32>,
}

/// The five capability sets of a thread, by name such as `CAP_KILL` (`capabilities(7)`). Names stay strings: one that
/// is unknown here or to the kernel is a warning, not an error.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Capabilities {
    /// What an `execve(2)` can ever gain.
    #[serde(skip_serializing_if = "absent")]
    pub bounding: Vec<String>,
    /// What the kernel checks.
    #[serde(skip_serializing_if = "absent")]
    pub effective: Vec<String>,
    /// What files with inheritable capabilities keep across `execve(2)`.
    #[serde(skip_serializing_if = "absent")]
    pub inheritable: Vec<String>,
    /// What the effective set may be raised to.
    #[serde(skip_serializing_if = "absent")]
    pub permitted: Vec<String>,
    /// What an unprivileged program keeps across `execve(2)`.
    #[serde(skip_serializing_if = "absent")]
    pub ambient: Vec<String>,
}

/// One resource limit (`getrlimit(2)`); `u64::MAX` is unlimited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rlimit {
    /// Which resource (required).
    #[serde(rename = "type")]
    pub kind: RlimitKind,
    /// The ceiling of the soft limit (required).
    pub hard: u64,
    /// The limit that the kernel enforces (required).
    pub soft: u64,
}

names! {
    /// A resource that `setrlimit(2)` limits.
    pub enum RlimitKind default Self::Unknown(String::new());
    {
        /// CPU time, in seconds.
        Cpu = "RLIMIT_CPU",
        /// File size, in bytes.
        Fsize = "RLIMIT_FSIZE",
        /// Data segment, in bytes.
        Data = "RLIMIT_DATA",
        /// Stack, in bytes.
        Stack = "RLIMIT_STACK",
        /// Core dump, in bytes.
        Core = "RLIMIT_CORE",
        /// Resident set, in bytes; Linux ignores it.
        Rss = "RLIMIT_RSS",
        /// Processes of the user.
        Nproc = "RLIMIT_NPROC",
        /// One more than the largest file descriptor.
        Nofile = "RLIMIT_NOFILE",
        /// Locked memory, in bytes.
        Memlock = "RLIMIT_MEMLOCK",
        /// Address space, in bytes.
        As = "RLIMIT_AS",
        /// File locks; Linux ignores it.
        Locks = "RLIMIT_LOCKS",
        /// Queued signals.
        Sigpending = "RLIMIT_SIGPENDING",
        /// POSIX message queues, in bytes.
        Msgqueue = "RLIMIT_MSGQUEUE",
        /// The ceiling of the nice value, as 20 - nice.
        Nice = "RLIMIT_NICE",
        /// The ceiling of the real-time priority.
        Rtprio = "RLIMIT_RTPRIO",
        /// CPU time of a real-time process without a blocking call, in microseconds.
        Rttime = "RLIMIT_RTTIME",
    }
}

/// Scheduling attributes, as for `sched_setattr(2)`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Scheduler {
    /// The policy (required).
    pub policy: SchedulerPolicy,
    /// The nice value, -20 to 19, for the policies other and batch.
    #[serde(skip_serializing_if = "absent")]
    pub nice: i32,
    /// The static priority, 1 to 99, for the policies FIFO and RR.
    #[serde(skip_serializing_if = "absent")]
    pub priority: i32,
    /// Names such as `SCHED_FLAG_RESET_ON_FORK`.
    #[serde(skip_serializing_if = "absent")]
    pub flags: Vec<String>,
    /// Deadline policy: run time within each period, in nanoseconds.
    #[serde(skip_serializing_if = "absent")]
    pub runtime: u64,
    /// Deadline policy: when the run time must be over, in nanoseconds from the start of the period.
    #[serde(skip_serializing_if = "absent")]
    pub deadline: u64,
    /// Deadline policy: the period, in nanoseconds.
    #[serde(skip_serializing_if = "absent")]
    pub period: u64,
}

names! {
    /// A scheduling policy (`sched(7)`).
    pub enum SchedulerPolicy default Self::Unknown(String::new());
    {
        /// The default time sharing.
        Other = "SCHED_OTHER",
        /// Real time, first in, first out.
        Fifo = "SCHED_FIFO",
        /// Real time, round robin.
        Rr = "SCHED_RR",
        /// Time sharing for CPU-bound work.
        Batch = "SCHED_BATCH",
        /// Reserved by Linux, never implemented.
        Iso = "SCHED_ISO",
        /// Only when nothing else runs.
        Idle = "SCHED_IDLE",
        /// Earliest deadline first.
        Deadline = "SCHED_DEADLINE",
    }
}

/// An I/O priority (`ioprio_set(2)`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IoPriority {
    /// The class (required).
    pub class: IoPriorityClass,
    /// The level in the class, 0 (highest) to 7.
    pub priority: i64,
}

names! {
    /// A class of I/O priority.
    pub enum IoPriorityClass default Self::Unknown(String::new());
    {
        /// First access to the disk.
        RealTime = "IOPRIO_CLASS_RT",
        /// The default.
        BestEffort = "IOPRIO_CLASS_BE",
        /// Only when nobody else asks.
        Idle = "IOPRIO_CLASS_IDLE",
    }
}

/// The CPUs of a process added by `exec`, as lists such as `0-3,7`; empty leaves the affinity as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CpuAffinity {
    /// Set before the process joins the container's cgroup.
    #[serde(skip_serializing_if = "absent")]
    pub initial: String,
    /// Set after the process has joined the container's cgroup.
    #[serde(rename = "final", skip_serializing_if = "absent")]
    pub final_: String,
}
