//! Usage as version 2 has it (cgroup-v2.rst, "Controllers").

use std::collections::BTreeMap;
use std::time::Duration;

use super::parse::{device, keyed, limit, limit_of, list, nested, number, odd, pressure};
use super::{
    CpuStats, CpusetStats, HugetlbStats, IoStats, MemoryEvents, MemoryStats, PidsStats, Pressure, Pressures,
    RdmaStats, Usage,
};
use crate::dir::Dir;
use crate::error::Result;

/// CPU time. `cpu.stat` is there without the controller too, then without the quota's part.
pub(super) fn cpu(dir: &Dir) -> Result<CpuStats> {
    let stat = keyed(dir, "cpu.stat")?.unwrap_or_default();
    let number = |name| stat.get(name).copied().unwrap_or_default();
    let time = |name| Duration::from_micros(number(name));
    Ok(CpuStats {
        usage: time("usage_usec"),
        user: time("user_usec"),
        system: time("system_usec"),
        per_cpu: Vec::new(),
        periods: number("nr_periods"),
        throttled_periods: number("nr_throttled"),
        throttled: time("throttled_usec"),
        bursts: number("nr_bursts"),
        burst: time("burst_usec"),
    })
}

pub(super) fn cpuset(dir: &Dir) -> Result<CpusetStats> {
    Ok(CpusetStats {
        cpus: list(dir, "cpuset.cpus.effective")?,
        mems: list(dir, "cpuset.mems.effective")?,
        others: BTreeMap::new(),
    })
}

pub(super) fn memory(dir: &Dir) -> Result<Option<MemoryStats>> {
    let Some(memory) = usage(dir, "memory.current", "memory.max", "memory.peak")? else {
        return Ok(None);
    };
    let events = keyed(dir, "memory.events")?.unwrap_or_default();
    let event = |name| events.get(name).copied().unwrap_or_default();
    Ok(Some(MemoryStats {
        memory,
        swap: usage(dir, "memory.swap.current", "memory.swap.max", "memory.swap.peak")?,
        stat: keyed(dir, "memory.stat")?.unwrap_or_default(),
        events: MemoryEvents {
            low: event("low"),
            high: event("high"),
            max: event("max"),
            oom: event("oom"),
            oom_kill: event("oom_kill"),
            oom_group_kill: event("oom_group_kill"),
        },
        v1: None,
    }))
}

/// Tasks; version 1 has the same files.
pub(super) fn pids(dir: &Dir) -> Result<Option<PidsStats>> {
    let Some(tasks) = usage(dir, "pids.current", "pids.max", "pids.peak")? else {
        return Ok(None);
    };
    Ok(Some(PidsStats { tasks, refused: event_max(dir, "pids.events")? }))
}

pub(super) fn io(dir: &Dir) -> Result<Vec<IoStats>> {
    let text = dir.read_if_there("io.stat")?.unwrap_or_default();
    let mut devices = Vec::new();
    for (name, pairs) in nested(&text) {
        let (major, minor) = device(name).ok_or_else(|| odd(dir, "io.stat", name))?;
        let mut stats = IoStats { major, minor, ..IoStats::default() };
        for (key, value) in pairs {
            let field = match key {
                "rbytes" => &mut stats.read_bytes,
                "wbytes" => &mut stats.written_bytes,
                "dbytes" => &mut stats.discarded_bytes,
                "rios" => &mut stats.reads,
                "wios" => &mut stats.writes,
                "dios" => &mut stats.discards,
                _ => continue, // io.cost adds keys of its own.
            };
            *field = value.parse().map_err(|_| odd(dir, "io.stat", value))?;
        }
        devices.push(stats);
    }
    Ok(devices)
}

pub(super) fn hugetlb(dir: &Dir) -> Result<BTreeMap<String, HugetlbStats>> {
    let mut sizes = BTreeMap::new();
    for file in dir.files("hugetlb.")? {
        let size = file.strip_prefix("hugetlb.").and_then(|f| f.strip_suffix(".current"));
        let Some(size) = size.filter(|s| s.strip_suffix(".rsvd").is_none()) else { continue };
        let Some(pages) = usage(dir, &file, &format!("hugetlb.{size}.max"), "")? else { continue };
        let refused = event_max(dir, &format!("hugetlb.{size}.events"))?;
        sizes.insert(size.into(), HugetlbStats { pages, refused });
    }
    Ok(sizes)
}

/// RDMA; version 1 has the same files.
pub(super) fn rdma(dir: &Dir) -> Result<BTreeMap<String, RdmaStats>> {
    let mut devices: BTreeMap<String, RdmaStats> = BTreeMap::new();
    for file in ["rdma.current", "rdma.max"] {
        let text = dir.read_if_there(file)?.unwrap_or_default();
        for (name, pairs) in nested(&text) {
            let stats = devices.entry(name.into()).or_default();
            for (key, value) in pairs {
                let usage = match key {
                    "hca_handle" => &mut stats.handles,
                    "hca_object" => &mut stats.objects,
                    _ => continue,
                };
                let value = limit(value).ok_or_else(|| odd(dir, file, value))?;
                if file == "rdma.max" {
                    usage.limit = value.bytes();
                } else {
                    usage.current = value.bytes().unwrap_or_default();
                }
            }
        }
    }
    Ok(devices)
}

pub(super) fn pressures(dir: &Dir) -> Result<Pressures> {
    let read = |file| -> Result<Option<Pressure>> { Ok(dir.read_if_there(file)?.as_deref().map(pressure)) };
    Ok(Pressures {
        cpu: read("cpu.pressure")?,
        memory: read("memory.pressure")?,
        io: read("io.pressure")?,
        irq: read("irq.pressure")?,
    })
}

/// A usage with its limit and peak; `None` where there is no file with the usage.
fn usage(dir: &Dir, current: &str, max: &str, peak: &str) -> Result<Option<Usage>> {
    let Some(current) = number(dir, current)? else { return Ok(None) };
    let limit = limit_of(dir, max)?;
    let peak = if peak.is_empty() { None } else { number(dir, peak)? };
    Ok(Some(Usage { current, limit, peak }))
}

fn event_max(dir: &Dir, file: &str) -> Result<u64> {
    Ok(keyed(dir, file)?.and_then(|events| events.get("max").copied()).unwrap_or_default())
}
