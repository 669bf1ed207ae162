//! Usage as version 1 has it (Documentation/admin-guide/cgroup-v1/).

use std::collections::BTreeMap;
use std::time::Duration;

use super::parse::{device, keyed, limit_of, list, number, odd};
use super::{
    Counter, CpuStats, CpusetStats, HugetlbStats, IoStats, MemoryEvents, MemoryStats, MemoryV1, Usage,
};
use crate::dir::Dir;
use crate::error::Result;

/// The quota's part of `cpu.stat` (Documentation/scheduler/sched-bwc.rst).
pub(super) fn throttling(dir: &Dir, cpu: &mut CpuStats) -> Result<()> {
    let stat = keyed(dir, "cpu.stat")?.unwrap_or_default();
    let number = |name| stat.get(name).copied().unwrap_or_default();
    cpu.periods = number("nr_periods");
    cpu.throttled_periods = number("nr_throttled");
    cpu.throttled = Duration::from_nanos(number("throttled_time"));
    cpu.bursts = number("nr_bursts");
    cpu.burst = Duration::from_nanos(number("burst_time"));
    Ok(())
}

/// CPU time (cgroup-v1/cpuacct.rst), more exact than that of version 2.
pub(super) fn cpu_time(dir: &Dir, cpu: &mut CpuStats) -> Result<()> {
    let take = |file, field: &mut Duration| -> Result<()> {
        if let Some(nanos) = number(dir, file)? {
            *field = Duration::from_nanos(nanos);
        }
        Ok(())
    };
    take("cpuacct.usage", &mut cpu.usage)?;
    take("cpuacct.usage_user", &mut cpu.user)?;
    take("cpuacct.usage_sys", &mut cpu.system)?;
    let text = dir.read_if_there("cpuacct.usage_percpu")?.unwrap_or_default();
    let nanos = text.split_ascii_whitespace().filter_map(|n| n.parse().ok());
    cpu.per_cpu = nanos.map(Duration::from_nanos).collect();
    Ok(())
}

/// CPUs and memory nodes (cgroup-v1/cpusets.rst), and the files with one number that go with them.
pub(super) fn cpuset(dir: &Dir) -> Result<CpusetStats> {
    let mut others = BTreeMap::new();
    for file in dir.files("cpuset.")? {
        let text = dir.read_if_there(&file)?.unwrap_or_default();
        if let (Some(name), Ok(value)) = (file.strip_prefix("cpuset."), text.trim().parse())
            && !name.ends_with("cpus")
            && !name.ends_with("mems")
        {
            others.insert(name.to_owned(), value);
        }
    }
    Ok(CpusetStats { cpus: list(dir, "cpuset.cpus")?, mems: list(dir, "cpuset.mems")?, others })
}

/// Memory (cgroup-v1/memory.rst). Version 1 counts memory and swap together; the difference is swap.
pub(super) fn memory(dir: &Dir) -> Result<MemoryStats> {
    let memory = usage(dir, "memory")?.unwrap_or_default();
    let both = usage(dir, "memory.memsw")?;
    let swap = both.map(|sum| Usage {
        current: sum.current.saturating_sub(memory.current),
        limit: sum.limit.zip(memory.limit).map(|(sum, memory)| sum.saturating_sub(memory)),
        peak: None,
    });
    let oom = keyed(dir, "memory.oom_control")?.unwrap_or_default();
    let events = MemoryEvents {
        max: number(dir, "memory.failcnt")?.unwrap_or_default(),
        oom_kill: oom.get("oom_kill").copied().unwrap_or_default(),
        ..MemoryEvents::default()
    };
    let refused = |name: &str| -> Result<u64> { Ok(number(dir, name)?.unwrap_or_default()) };
    let counter = |name: &str| -> Result<Counter> {
        Ok(Counter {
            usage: usage(dir, name)?.unwrap_or_default(),
            refused: refused(&format!("{name}.failcnt"))?,
        })
    };
    let v1 = MemoryV1 {
        both: Counter { usage: both.unwrap_or_default(), refused: refused("memory.memsw.failcnt")? },
        kernel: counter("memory.kmem")?,
        tcp: counter("memory.kmem.tcp")?,
    };
    let stat = keyed(dir, "memory.stat")?.unwrap_or_default();
    Ok(MemoryStats { memory, swap, stat, events, v1: Some(v1) })
}

/// Block devices (cgroup-v1/blkio-controller.rst). The throttling files count every request, whatever the scheduler.
pub(super) fn io(dir: &Dir) -> Result<Vec<IoStats>> {
    let mut devices: BTreeMap<(u32, u32), IoStats> = BTreeMap::new();
    for (file, is_bytes) in
        [("blkio.throttle.io_service_bytes_recursive", true), ("blkio.throttle.io_serviced_recursive", false)]
    {
        let text = dir.read_if_there(file)?.unwrap_or_default();
        for line in text.lines() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let &[name, operation, value] = words.as_slice() else { continue }; // The total over all devices.
            let (major, minor) = device(name).ok_or_else(|| odd(dir, file, line))?;
            let stats = devices.entry((major, minor)).or_default();
            (stats.major, stats.minor) = (major, minor);
            let field = match (operation, is_bytes) {
                ("Read", true) => &mut stats.read_bytes,
                ("Write", true) => &mut stats.written_bytes,
                ("Discard", true) => &mut stats.discarded_bytes,
                ("Read", false) => &mut stats.reads,
                ("Write", false) => &mut stats.writes,
                ("Discard", false) => &mut stats.discards,
                _ => continue, // Sync and Async count the same requests once more.
            };
            *field = value.parse().map_err(|_| odd(dir, file, line))?;
        }
    }
    Ok(devices.into_values().collect())
}

pub(super) fn hugetlb(dir: &Dir) -> Result<BTreeMap<String, HugetlbStats>> {
    let mut sizes = BTreeMap::new();
    for file in dir.files("hugetlb.")? {
        let size = file.strip_prefix("hugetlb.").and_then(|f| f.strip_suffix(".usage_in_bytes"));
        let Some(size) = size.filter(|s| s.strip_suffix(".rsvd").is_none()) else { continue };
        let Some(pages) = usage(dir, &format!("hugetlb.{size}"))? else { continue };
        let refused = number(dir, &format!("hugetlb.{size}.failcnt"))?.unwrap_or_default();
        sizes.insert(size.into(), HugetlbStats { pages, refused });
    }
    Ok(sizes)
}

/// The three files that most resources have; `None` where there is no usage.
fn usage(dir: &Dir, name: &str) -> Result<Option<Usage>> {
    let Some(current) = number(dir, &format!("{name}.usage_in_bytes"))? else { return Ok(None) };
    let limit = limit_of(dir, &format!("{name}.limit_in_bytes"))?;
    Ok(Some(Usage { current, limit, peak: number(dir, &format!("{name}.max_usage_in_bytes"))? }))
}
