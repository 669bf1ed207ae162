//! Events as JSON, in the form that runc gives them and that engines read: names, nesting, and what is left out.

use std::collections::BTreeMap;
use std::time::Duration;

use orlop_cgroups::{Counter, CpusetStats, IoStats, Pressure, Stall, Stats, Usage};
use serde::Serialize;

use super::interfaces::Interface;
use crate::id::ContainerId;

/// One line of `events`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// What it is about: `stats` or `oom`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The container.
    pub id: String,
    /// What it uses, with `stats`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<Report>>,
}

impl Event {
    pub(super) fn stats(id: &str, report: Report) -> Self {
        Self { kind: "stats", id: id.to_owned(), data: Some(Box::new(report)) }
    }

    pub(super) fn oom(id: &ContainerId) -> Self {
        Self { kind: "oom", id: id.to_string(), data: None }
    }
}

/// What a container uses: bytes, nanoseconds, and counts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    cpu: Cpu,
    cpuset: Cpuset,
    memory: Memory,
    pids: Pids,
    blkio: Blkio,
    hugetlb: BTreeMap<String, Hugetlb>,
    intel_rdt: IntelRdt,
    network_interfaces: Option<Vec<Interface>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Cpu {
    usage: CpuUsage,
    #[serde(skip_serializing_if = "is_default")]
    throttling: Throttling,
    #[serde(skip_serializing_if = "is_default")]
    psi: Option<Psi>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct CpuUsage {
    total: u64,
    #[serde(skip_serializing_if = "is_default")]
    percpu: Vec<u64>,
    kernel: u64,
    user: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Throttling {
    periods: u64,
    throttled_periods: u64,
    throttled_time: u64,
}

/// Pressure stall information; the totals are microseconds, as in the kernel's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
struct Psi {
    some: PsiLine,
    full: PsiLine,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
struct PsiLine {
    avg10: f64,
    avg60: f64,
    avg300: f64,
    total: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Cpuset {
    #[serde(skip_serializing_if = "is_default")]
    cpus: Vec<u16>,
    cpu_exclusive: i64,
    #[serde(skip_serializing_if = "is_default")]
    mems: Vec<u16>,
    mem_hardwall: i64,
    mem_exclusive: i64,
    memory_migrate: i64,
    memory_spread_page: i64,
    memory_spread_slab: i64,
    memory_pressure: i64,
    sched_load_balance: i64,
    sched_relax_domain_level: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Memory {
    #[serde(skip_serializing_if = "is_default")]
    cache: u64,
    #[serde(skip_serializing_if = "is_default")]
    usage: Entry,
    /// Memory and swap together, as version 1 counts them.
    #[serde(skip_serializing_if = "is_default")]
    swap: Entry,
    #[serde(skip_serializing_if = "is_default")]
    kernel: Option<Entry>,
    #[serde(rename = "kernelTCP", skip_serializing_if = "is_default")]
    tcp: Option<Entry>,
    #[serde(skip_serializing_if = "is_default")]
    raw: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "is_default")]
    psi: Option<Psi>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Entry {
    /// [`MemoryStats::no_limit`](orlop_cgroups::MemoryStats::no_limit) is none.
    limit: u64,
    usage: u64,
    #[serde(skip_serializing_if = "is_default")]
    max: u64,
    failcnt: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Pids {
    current: u64,
    /// Absent is no limit.
    #[serde(skip_serializing_if = "is_default")]
    limit: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Blkio {
    #[serde(skip_serializing_if = "is_default")]
    io_service_bytes_recursive: Vec<Operation>,
    #[serde(skip_serializing_if = "is_default")]
    io_serviced_recursive: Vec<Operation>,
    #[serde(skip_serializing_if = "is_default")]
    psi: Option<Psi>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Operation {
    major: u32,
    minor: u32,
    op: &'static str,
    value: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Hugetlb {
    usage: u64,
    #[serde(skip_serializing_if = "is_default")]
    max: u64,
    failcnt: u64,
}

/// Nothing yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct IntelRdt {}

impl Report {
    pub(super) fn new(stats: Stats, interfaces: Option<Vec<Interface>>) -> Self {
        let pressure = stats.pressure;
        let cpu = stats.cpu;
        let hugetlb = stats.hugetlb.into_iter().map(|(size, stats)| {
            let Usage { current, peak, .. } = stats.pages;
            (size, Hugetlb { usage: current, max: peak.unwrap_or_default(), failcnt: stats.refused })
        });
        Self {
            cpu: Cpu {
                usage: CpuUsage {
                    total: nanoseconds(cpu.usage),
                    percpu: cpu.per_cpu.into_iter().map(nanoseconds).collect(),
                    kernel: nanoseconds(cpu.system),
                    user: nanoseconds(cpu.user),
                },
                throttling: Throttling {
                    periods: cpu.periods,
                    throttled_periods: cpu.throttled_periods,
                    throttled_time: nanoseconds(cpu.throttled),
                },
                psi: pressure.cpu.map(Psi::from),
            },
            cpuset: cpuset(stats.cpuset),
            memory: Memory { psi: pressure.memory.map(Psi::from), ..memory(stats.memory) },
            pids: Pids {
                current: stats.pids.tasks.current,
                limit: stats.pids.tasks.limit.unwrap_or_default(),
            },
            blkio: Blkio { psi: pressure.io.map(Psi::from), ..blkio(&stats.io) },
            hugetlb: hugetlb.collect(),
            intel_rdt: IntelRdt {},
            network_interfaces: interfaces,
        }
    }
}

fn cpuset(stats: CpusetStats) -> Cpuset {
    let other = |name: &str| stats.others.get(name).copied().unwrap_or_default();
    Cpuset {
        cpu_exclusive: other("cpu_exclusive"),
        mem_hardwall: other("mem_hardwall"),
        mem_exclusive: other("mem_exclusive"),
        memory_migrate: other("memory_migrate"),
        memory_spread_page: other("memory_spread_page"),
        memory_spread_slab: other("memory_spread_slab"),
        memory_pressure: other("memory_pressure"),
        sched_load_balance: other("sched_load_balance"),
        sched_relax_domain_level: other("sched_relax_domain_level"),
        cpus: stats.cpus,
        mems: stats.mems,
    }
}

fn memory(stats: Option<orlop_cgroups::MemoryStats>) -> Memory {
    let Some(stats) = stats else { return Memory::default() };
    let memory = stats.memory;
    let no_limit = stats.no_limit();
    let entry = |usage: Usage, failcnt| Entry {
        limit: usage.limit.unwrap_or(no_limit),
        usage: usage.current,
        max: usage.peak.unwrap_or_default(),
        failcnt,
    };
    let counter = |counter: Counter| entry(counter.usage, counter.refused);
    let both = |swap: Usage| Usage {
        limit: memory.limit.zip(swap.limit).map(|(memory, swap)| memory.saturating_add(swap)),
        current: memory.current + swap.current,
        peak: None,
    };
    let swap = match &stats.v1 {
        Some(v1) => Some(counter(v1.both)),
        None => stats.swap.map(|swap| entry(both(swap), 0)),
    };
    // Version 2 calls the page cache `file`, version 1 `cache`.
    let cache = stats.stat.get("file").or_else(|| stats.stat.get("cache"));
    Memory {
        cache: cache.copied().unwrap_or_default(),
        usage: entry(memory, stats.events.max),
        swap: swap.unwrap_or_default(),
        kernel: stats.v1.map(|v1| counter(v1.kernel)),
        tcp: stats.v1.map(|v1| counter(v1.tcp)),
        raw: stats.stat,
        psi: None,
    }
}

fn blkio(devices: &[IoStats]) -> Blkio {
    let table = |read: fn(&IoStats) -> u64, write: fn(&IoStats) -> u64| {
        let two = |io: &IoStats| {
            [("Read", read(io)), ("Write", write(io))].map(|(op, value)| Operation {
                major: io.major,
                minor: io.minor,
                op,
                value,
            })
        };
        devices.iter().flat_map(two).collect()
    };
    Blkio {
        io_service_bytes_recursive: table(|io| io.read_bytes, |io| io.written_bytes),
        io_serviced_recursive: table(|io| io.reads, |io| io.writes),
        psi: None,
    }
}

impl From<Pressure> for Psi {
    fn from(pressure: Pressure) -> Self {
        let line = |stall: Stall| PsiLine {
            avg10: stall.avg10,
            avg60: stall.avg60,
            avg300: stall.avg300,
            total: stall.total.as_micros() as u64,
        };
        Self { some: line(pressure.some), full: line(pressure.full) }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_cgroups::{HugetlbStats, MemoryStats, MemoryV1};
    use serde_json::{Value, json};

    fn told(stats: Stats) -> Value {
        serde_json::to_value(Report::new(stats, None)).unwrap()
    }

    #[test]
    fn lines_begin_as_engines_and_tests_expect() {
        let stats = Event::stats("web", Report::new(Stats::default(), None));
        let text = serde_json::to_string(&stats).unwrap();
        assert!(
            text.starts_with(r#"{"type":"stats","id":"web","data":{"cpu":{"usage":{"total":0,"#),
            "{text}"
        );
        assert!(text.ends_with(r#""hugetlb":{},"intel_rdt":{},"network_interfaces":null}}"#), "{text}");
        let oom = Event::oom(&ContainerId::new("web").unwrap());
        assert_eq!(serde_json::to_string(&oom).unwrap(), r#"{"type":"oom","id":"web"}"#);
    }

    #[test]
    fn swap_is_told_together_with_memory() {
        let usage = |current, limit| Usage { current, limit, peak: None };
        let memory = MemoryStats {
            memory: usage(10, Some(100)),
            swap: Some(usage(5, Some(50))),
            stat: [("file".to_owned(), 7)].into(),
            ..MemoryStats::default()
        };
        let told_of = |memory| told(Stats { memory: Some(memory), ..Stats::default() })["memory"].take();
        assert_eq!(
            told_of(memory.clone()),
            json!({
                "cache": 7, "raw": { "file": 7 },
                "usage": { "limit": 100, "usage": 10, "failcnt": 0 },
                "swap": { "limit": 150, "usage": 15, "failcnt": 0 },
            })
        );
        let unlimited = MemoryStats { swap: Some(usage(5, None)), ..memory };
        assert_eq!(told_of(unlimited)["swap"]["limit"], u64::MAX);
    }

    #[test]
    fn version_1_counts_the_kernels_memory_and_has_a_number_for_no_limit() {
        let usage = |current, limit| Usage { current, limit, peak: Some(current + 1) };
        let v1 = MemoryV1 {
            both: Counter { usage: usage(15, Some(150)), refused: 2 },
            kernel: Counter { usage: usage(3, None), refused: 0 },
            ..MemoryV1::default()
        };
        let memory = MemoryStats { memory: usage(10, Some(100)), v1: Some(v1), ..MemoryStats::default() };
        let told = told(Stats { memory: Some(memory), ..Stats::default() });
        assert_eq!(told["memory"]["swap"], json!({ "limit": 150, "usage": 15, "max": 16, "failcnt": 2 }));
        let kernel = json!({ "limit": 9_223_372_036_854_771_712_u64, "usage": 3, "max": 4, "failcnt": 0 });
        assert_eq!(told["memory"]["kernel"], kernel);
        assert_eq!(told["memory"]["kernelTCP"]["usage"], 0);
    }

    #[test]
    fn devices_pressure_and_huge_pages() {
        let stall = Stall { avg10: 1.5, total: Duration::from_micros(7), ..Stall::default() };
        let mut stats = Stats {
            io: vec![IoStats { major: 8, minor: 16, read_bytes: 3, writes: 4, ..IoStats::default() }],
            ..Stats::default()
        };
        stats.pressure.io = Some(Pressure { some: stall, full: Stall::default() });
        stats.hugetlb.insert("2MB".to_owned(), HugetlbStats { refused: 1, ..HugetlbStats::default() });
        let told = told(stats);
        assert_eq!(
            told["blkio"]["ioServiceBytesRecursive"][0],
            json!({ "major": 8, "minor": 16, "op": "Read", "value": 3 })
        );
        assert_eq!(told["blkio"]["ioServicedRecursive"][1]["value"], 4);
        assert_eq!(
            told["blkio"]["psi"]["some"],
            json!({ "avg10": 1.5, "avg60": 0.0, "avg300": 0.0, "total": 7 })
        );
        assert_eq!(told["hugetlb"], json!({ "2MB": { "usage": 0, "failcnt": 1 } }));
        assert_eq!(told["cpu"].get("psi"), None);
    }
}
