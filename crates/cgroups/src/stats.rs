//! What a container has used.
//!
//! | file | what is in it |
//! |---|---|
//! | `stats/v2.rs` | read from version 2 |
//! | `stats/v1.rs` | read from version 1, for controllers that are there |
//! | `stats/parse.rs` | the four formats of the kernel's files |
//!
//! Both versions fill the same types. A part that no controller accounts is `None` or empty; to have memory accounted
//! where nothing is limited, enable the controller ([`Cgroup::enable`]).

mod parse;
mod v1;
mod v2;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cgroup::Cgroup;
use crate::controller::Controller;
use crate::error::Result;

/// The usage of a cgroup with all that is below it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// CPU time.
    pub cpu: CpuStats,
    /// Where it may run.
    pub cpuset: CpusetStats,
    /// Memory; `None` without the controller.
    pub memory: Option<MemoryStats>,
    /// Tasks.
    pub pids: PidsStats,
    /// Block devices, one entry each.
    pub io: Vec<IoStats>,
    /// Huge pages by page size, such as `2MB`.
    pub hugetlb: BTreeMap<String, HugetlbStats>,
    /// RDMA devices by name.
    pub rdma: BTreeMap<String, RdmaStats>,
    /// Time lost by waiting for resources.
    pub pressure: Pressures,
}

/// CPU time (cgroup-v2.rst, `cpu.stat`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuStats {
    /// All of it.
    pub usage: Duration,
    /// In user mode.
    pub user: Duration,
    /// In the kernel.
    pub system: Duration,
    /// Of each CPU; version 1 only.
    pub per_cpu: Vec<Duration>,
    /// Periods of the quota that have passed.
    pub periods: u64,
    /// Periods in which the quota was used up.
    pub throttled_periods: u64,
    /// Time spent throttled, summed over CPUs.
    pub throttled: Duration,
    /// Periods in which saved-up time was used.
    pub bursts: u64,
    /// Saved-up time that was used.
    pub burst: Duration,
}

/// CPUs and memory nodes (cgroup-v2.rst, "Cpuset Interface Files"; cgroup-v1/cpusets.rst).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpusetStats {
    /// The CPUs, in ascending order; empty without the controller.
    pub cpus: Vec<u16>,
    /// The memory nodes, in ascending order.
    pub mems: Vec<u16>,
    /// The other files by name, such as `cpu_exclusive`; version 1 only.
    pub others: BTreeMap<String, i64>,
}

/// Memory, in bytes (cgroup-v2.rst, "Memory Interface Files").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryStats {
    /// Memory, page cache included.
    pub memory: Usage,
    /// Swap alone; `None` where it is not accounted. Version 1 knows no peak of it.
    pub swap: Option<Usage>,
    /// The text of `memory.stat`, by name. The names differ between the versions.
    pub stat: BTreeMap<String, u64>,
    /// What happened at the limits.
    pub events: MemoryEvents,
    /// What only version 1 counts; `None` where version 2 has the controller.
    pub v1: Option<MemoryV1>,
}

impl MemoryStats {
    /// The number that engines take for no limit, as the kernel's files of version 1 have one and runc has another for the
    /// word `max` of version 2.
    pub fn no_limit(&self) -> u64 {
        // The largest whole number of pages in a signed number.
        if self.v1.is_some() { i64::MAX as u64 & !4095 } else { u64::MAX }
    }
}

/// Counters of version 1 (cgroup-v1/memory.rst).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryV1 {
    /// Memory and swap together; 0 where swap is not accounted.
    pub both: Counter,
    /// Memory that the kernel needs for the cgroup, which is a part of all.
    pub kernel: Counter,
    /// Buffers of TCP.
    pub tcp: Counter,
}

/// A usage, and how often its limit was reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// The usage.
    pub usage: Usage,
    /// How often.
    pub refused: u64,
}

/// A usage, with its limit and its peak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Now.
    pub current: u64,
    /// At most; `None` is no limit.
    pub limit: Option<u64>,
    /// The highest so far; `None` where the kernel does not tell (`memory.peak` is since Linux 5.19).
    pub peak: Option<u64>,
}

/// How often something happened at a memory limit (cgroup-v2.rst, `memory.events`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryEvents {
    /// Reclaimed below `memory.low`.
    pub low: u64,
    /// Throttled above `memory.high`.
    pub high: u64,
    /// The limit was reached; `memory.failcnt` in version 1.
    pub max: u64,
    /// An allocation was about to fail. Version 2 only.
    pub oom: u64,
    /// Processes killed for want of memory.
    pub oom_kill: u64,
    /// Times when the whole cgroup was killed. Version 2 only.
    pub oom_group_kill: u64,
}

/// Tasks (cgroup-v2.rst, "PID Interface Files").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PidsStats {
    /// Tasks; without the controller, processes.
    pub tasks: Usage,
    /// How often fork(2) failed at the limit.
    pub refused: u64,
}

/// One block device (cgroup-v2.rst, `io.stat`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoStats {
    /// Its major number.
    pub major: u32,
    /// Its minor number.
    pub minor: u32,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Bytes discarded.
    pub discarded_bytes: u64,
    /// Read operations.
    pub reads: u64,
    /// Write operations.
    pub writes: u64,
    /// Discard operations.
    pub discards: u64,
}

/// Huge pages of one size, in bytes (cgroup-v2.rst, "HugeTLB Interface Files").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HugetlbStats {
    /// In use.
    pub pages: Usage,
    /// How often the limit was reached.
    pub refused: u64,
}

/// One RDMA device (cgroup-v2.rst, "RDMA Interface Files").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RdmaStats {
    /// Handles.
    pub handles: Usage,
    /// Objects.
    pub objects: Usage,
}

/// Pressure (Documentation/accounting/psi.rst); `None` where the kernel does not measure it. Version 2 only.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressures {
    /// Waiting for a CPU.
    pub cpu: Option<Pressure>,
    /// Waiting for memory.
    pub memory: Option<Pressure>,
    /// Waiting for block devices.
    pub io: Option<Pressure>,
    /// Time taken away by interrupts; since Linux 6.1.
    pub irq: Option<Pressure>,
}

/// Time lost by waiting for one resource.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    /// At least one task waited.
    pub some: Stall,
    /// All tasks waited.
    pub full: Stall,
}

/// One line of a pressure file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stall {
    /// Percent of the last ten seconds.
    pub avg10: f64,
    /// Percent of the last minute.
    pub avg60: f64,
    /// Percent of the last five minutes.
    pub avg300: f64,
    /// Since the cgroup exists.
    pub total: Duration,
}

impl Cgroup {
    /// Reads what has been used, each controller from the version that has it.
    ///
    /// # Errors
    /// When a file that is there cannot be read or understood.
    pub fn stats(&self) -> Result<Stats> {
        let v2 = self.v2_dir();
        let mut stats = Stats {
            cpu: v2::cpu(v2)?,
            cpuset: v2::cpuset(v2)?,
            memory: v2::memory(v2)?,
            pids: match v2::pids(v2)? {
                Some(pids) => pids,
                None => PidsStats { tasks: self.count_processes()?, refused: 0 },
            },
            io: v2::io(v2)?,
            hugetlb: v2::hugetlb(v2)?,
            rdma: v2::rdma(v2)?,
            pressure: v2::pressures(v2)?,
        };
        for (controller, dir) in self.v1_dirs() {
            match controller {
                Controller::Cpu => v1::throttling(dir, &mut stats.cpu)?,
                Controller::Cpuacct => v1::cpu_time(dir, &mut stats.cpu)?,
                Controller::Cpuset => stats.cpuset = v1::cpuset(dir)?,
                Controller::Memory => stats.memory = Some(v1::memory(dir)?),
                Controller::Pids => stats.pids = v2::pids(dir)?.unwrap_or(stats.pids),
                Controller::Io => stats.io = v1::io(dir)?,
                Controller::Hugetlb => stats.hugetlb = v1::hugetlb(dir)?,
                Controller::Rdma => stats.rdma = v2::rdma(dir)?,
                _ => {}
            }
        }
        Ok(stats)
    }

    fn count_processes(&self) -> Result<Usage> {
        Ok(Usage { current: self.procs()?.len() as u64, ..Usage::default() })
    }
}
