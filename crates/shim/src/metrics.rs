//! What a container has used, in containerd's words.

use orlop_cgroups::{
    Counter, IoStats, MemoryStats, MemoryV1 as MemoryV1Stats, Pressure, RdmaStats, Stall, Stats, Usage,
};

use crate::messages::Any;
use crate::messages::metrics::{
    BlkIo, BlkIoEntry, Cpu, CpuUsage, CpuV1, HugeTlb, HugeTlbV1, Io, IoEntry, Memory, MemoryEntry,
    MemoryEvents, MemoryV1, Metrics, MetricsV1, OomControl, Pids, Psi, PsiData, Rdma, RdmaEntry, Throttle,
};

/// The usage as a message: of version 1 where its controllers are used.
pub(crate) fn of(stats: &Stats, version_1: bool) -> Any {
    if version_1 {
        Any::of("io.containerd.cgroups.v1.Metrics", &v1(stats))
    } else {
        Any::of("io.containerd.cgroups.v2.Metrics", &v2(stats))
    }
}

/// No limit is the greatest number.
fn limit(usage: &Usage) -> u64 {
    usage.limit.unwrap_or(u64::MAX)
}

fn micros(time: std::time::Duration) -> u64 {
    time.as_micros() as u64
}

fn nanos(time: std::time::Duration) -> u64 {
    time.as_nanos() as u64
}

fn v2(stats: &Stats) -> Metrics {
    let cpu = &stats.cpu;
    Metrics {
        pids: Some(pids(stats)),
        cpu: Some(Cpu {
            usage_usec: micros(cpu.usage),
            user_usec: micros(cpu.user),
            system_usec: micros(cpu.system),
            nr_periods: cpu.periods,
            nr_throttled: cpu.throttled_periods,
            throttled_usec: micros(cpu.throttled),
            psi: stats.pressure.cpu.map(psi),
            nr_bursts: cpu.bursts,
            burst_usec: micros(cpu.burst),
        }),
        memory: stats
            .memory
            .as_ref()
            .map(|memory| Memory { psi: stats.pressure.memory.map(psi), ..memory_v2(memory) }),
        rdma: Some(rdma(stats)),
        io: Some(Io { usage: io_v2(stats), psi: stats.pressure.io.map(psi) }),
        hugetlb: stats
            .hugetlb
            .iter()
            .map(|(size, used)| HugeTlb {
                current: used.pages.current,
                max: limit(&used.pages),
                pagesize: size.clone(),
                failcnt: used.refused,
            })
            .collect(),
        memory_events: stats.memory.as_ref().map(|memory| MemoryEvents {
            low: memory.events.low,
            high: memory.events.high,
            max: memory.events.max,
            oom: memory.events.oom,
            oom_kill: memory.events.oom_kill,
            oom_group_kill: memory.events.oom_group_kill,
        }),
    }
}

fn pids(stats: &Stats) -> Pids {
    // As with runc, no limit is 0 here.
    Pids { current: stats.pids.tasks.current, limit: stats.pids.tasks.limit.unwrap_or(0) }
}

fn psi(pressure: Pressure) -> Psi {
    let data = |stall: Stall| PsiData {
        avg10: stall.avg10,
        avg60: stall.avg60,
        avg300: stall.avg300,
        total: micros(stall.total),
    };
    Psi { some: Some(data(pressure.some)), full: Some(data(pressure.full)) }
}

fn memory_v2(memory: &MemoryStats) -> Memory {
    let stat = |name: &str| memory.stat.get(name).copied().unwrap_or(0);
    let swap = memory.swap.unwrap_or_default();
    Memory {
        anon: stat("anon"),
        file: stat("file"),
        kernel_stack: stat("kernel_stack"),
        slab: stat("slab"),
        sock: stat("sock"),
        shmem: stat("shmem"),
        file_mapped: stat("file_mapped"),
        file_dirty: stat("file_dirty"),
        file_writeback: stat("file_writeback"),
        anon_thp: stat("anon_thp"),
        inactive_anon: stat("inactive_anon"),
        active_anon: stat("active_anon"),
        inactive_file: stat("inactive_file"),
        active_file: stat("active_file"),
        unevictable: stat("unevictable"),
        slab_reclaimable: stat("slab_reclaimable"),
        slab_unreclaimable: stat("slab_unreclaimable"),
        pgfault: stat("pgfault"),
        pgmajfault: stat("pgmajfault"),
        workingset_refault: stat("workingset_refault_anon") + stat("workingset_refault_file"),
        workingset_activate: stat("workingset_activate_anon") + stat("workingset_activate_file"),
        workingset_nodereclaim: stat("workingset_nodereclaim"),
        pgrefill: stat("pgrefill"),
        pgscan: stat("pgscan"),
        pgsteal: stat("pgsteal"),
        pgactivate: stat("pgactivate"),
        pgdeactivate: stat("pgdeactivate"),
        pglazyfree: stat("pglazyfree"),
        pglazyfreed: stat("pglazyfreed"),
        thp_fault_alloc: stat("thp_fault_alloc"),
        thp_collapse_alloc: stat("thp_collapse_alloc"),
        usage: memory.memory.current,
        usage_limit: limit(&memory.memory),
        swap_usage: swap.current,
        swap_limit: limit(&swap),
        max_usage: memory.memory.peak.unwrap_or(0),
        swap_max_usage: swap.peak.unwrap_or(0),
        psi: None,
    }
}

fn io_v2(stats: &Stats) -> Vec<IoEntry> {
    let entry = |io: &IoStats| IoEntry {
        major: io.major.into(),
        minor: io.minor.into(),
        rbytes: io.read_bytes,
        wbytes: io.written_bytes,
        rios: io.reads,
        wios: io.writes,
    };
    stats.io.iter().map(entry).collect()
}

fn rdma(stats: &Stats) -> Rdma {
    let entries = |pick: fn(&Usage) -> u64| {
        let entry = |(device, used): (&String, &RdmaStats)| RdmaEntry {
            device: device.clone(),
            hca_handles: pick(&used.handles) as u32,
            hca_objects: pick(&used.objects) as u32,
        };
        stats.rdma.iter().map(entry).collect()
    };
    Rdma { current: entries(|usage| usage.current), limit: entries(limit) }
}

fn v1(stats: &Stats) -> MetricsV1 {
    let cpu = &stats.cpu;
    MetricsV1 {
        hugetlb: stats
            .hugetlb
            .iter()
            .map(|(size, used)| HugeTlbV1 {
                usage: used.pages.current,
                max: used.pages.peak.unwrap_or(0),
                failcnt: used.refused,
                pagesize: size.clone(),
            })
            .collect(),
        pids: Some(pids(stats)),
        cpu: Some(CpuV1 {
            usage: Some(CpuUsage {
                total: nanos(cpu.usage),
                kernel: nanos(cpu.system),
                user: nanos(cpu.user),
                per_cpu: cpu.per_cpu.iter().copied().map(nanos).collect(),
            }),
            throttling: Some(Throttle {
                periods: cpu.periods,
                throttled_periods: cpu.throttled_periods,
                throttled_time: nanos(cpu.throttled),
            }),
        }),
        memory: stats.memory.as_ref().map(memory_v1),
        blkio: Some(io_v1(stats)),
        rdma: Some(rdma(stats)),
        memory_oom_control: stats
            .memory
            .as_ref()
            .map(|memory| OomControl { oom_kill: memory.events.oom_kill, ..OomControl::default() }),
    }
}

fn memory_v1(memory: &MemoryStats) -> MemoryV1 {
    let stat = |name: &str| memory.stat.get(name).copied().unwrap_or(0);
    let entry = |usage: Usage, failures| MemoryEntry {
        limit: usage.limit.unwrap_or(memory.no_limit()),
        usage: usage.current,
        max: usage.peak.unwrap_or(0),
        failcnt: failures,
    };
    let counter = |pick: fn(&MemoryV1Stats) -> Counter| {
        memory.v1.as_ref().map(pick).map(|counter| entry(counter.usage, counter.refused))
    };
    MemoryV1 {
        cache: stat("cache"),
        rss: stat("rss"),
        rss_huge: stat("rss_huge"),
        mapped_file: stat("mapped_file"),
        dirty: stat("dirty"),
        writeback: stat("writeback"),
        pg_pg_in: stat("pgpgin"),
        pg_pg_out: stat("pgpgout"),
        pg_fault: stat("pgfault"),
        pg_maj_fault: stat("pgmajfault"),
        inactive_anon: stat("inactive_anon"),
        active_anon: stat("active_anon"),
        inactive_file: stat("inactive_file"),
        active_file: stat("active_file"),
        unevictable: stat("unevictable"),
        hierarchical_memory_limit: stat("hierarchical_memory_limit"),
        hierarchical_swap_limit: stat("hierarchical_memsw_limit"),
        total_cache: stat("total_cache"),
        total_rss: stat("total_rss"),
        total_rss_huge: stat("total_rss_huge"),
        total_mapped_file: stat("total_mapped_file"),
        total_dirty: stat("total_dirty"),
        total_writeback: stat("total_writeback"),
        total_pg_pg_in: stat("total_pgpgin"),
        total_pg_pg_out: stat("total_pgpgout"),
        total_pg_fault: stat("total_pgfault"),
        total_pg_maj_fault: stat("total_pgmajfault"),
        total_inactive_anon: stat("total_inactive_anon"),
        total_active_anon: stat("total_active_anon"),
        total_inactive_file: stat("total_inactive_file"),
        total_active_file: stat("total_active_file"),
        total_unevictable: stat("total_unevictable"),
        usage: Some(entry(memory.memory, memory.events.max)),
        // By which version 1 means memory and swap together.
        swap: counter(|v1| v1.both),
        kernel: counter(|v1| v1.kernel),
        kernel_tcp: counter(|v1| v1.tcp),
    }
}

fn io_v1(stats: &Stats) -> BlkIo {
    let entries = |pick: fn(&IoStats) -> [(&'static str, u64); 3]| {
        let of_device = |io: &IoStats| {
            let (major, minor) = (io.major.into(), io.minor.into());
            pick(io).map(|(op, value)| BlkIoEntry {
                op: op.to_owned(),
                device: String::new(),
                major,
                minor,
                value,
            })
        };
        stats.io.iter().flat_map(of_device).collect()
    };
    BlkIo {
        io_service_bytes_recursive: entries(|io| {
            [("Read", io.read_bytes), ("Write", io.written_bytes), ("Discard", io.discarded_bytes)]
        }),
        io_serviced_recursive: entries(|io| {
            [("Read", io.reads), ("Write", io.writes), ("Discard", io.discards)]
        }),
    }
}
