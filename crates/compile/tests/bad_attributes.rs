//! How a process is scheduled and where its memory comes from: what is refused or warned about.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod common;

use common::findings::{all_are_found, check, config, findings};
use common::{options, root};
use orlop_compile::{ExecOptions, Host, compile_exec};
use orlop_spec::{CpuAffinity, IoPriority, Process, Scheduler};
use serde_json::{Value, json};

fn scheduler(value: Value) -> (&'static str, Value) {
    ("/process/scheduler", value)
}

#[test]
fn scheduling_policies() {
    all_are_found(&[
        (&[scheduler(json!({"policy": "SCHED_BATCH", "nice": 19}))], &[]),
        (&[scheduler(json!({"policy": "SCHED_IDLE", "flags": ["SCHED_FLAG_RESET_ON_FORK"]}))], &[]),
        (&[scheduler(json!({}))], &["Scheduler /process/scheduler/policy"]),
        (&[scheduler(json!({"policy": "SCHED_ISO"}))], &["Scheduler /process/scheduler/policy"]),
        (&[scheduler(json!({"policy": "SCHED_MOON"}))], &["Scheduler /process/scheduler/policy"]),
        (
            &[scheduler(json!({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_RECLAIM", "RECLAIM"]}))],
            &["Scheduler /process/scheduler/flags/1"],
        ),
        (&[scheduler(json!({"policy": "SCHED_OTHER", "nice": 20}))], &["Scheduler /process/scheduler/nice"]),
        (&[scheduler(json!({"policy": "SCHED_BATCH", "nice": -21}))], &["Scheduler /process/scheduler/nice"]),
        (&[scheduler(json!({"policy": "SCHED_FIFO"}))], &["Scheduler /process/scheduler/priority"]),
        (
            &[scheduler(json!({"policy": "SCHED_RR", "priority": 100}))],
            &["Scheduler /process/scheduler/priority"],
        ),
        (&[scheduler(json!({"policy": "SCHED_FIFO", "priority": 99}))], &[]),
        (
            &[scheduler(json!({"policy": "SCHED_FIFO", "priority": 1, "nice": 3}))],
            &["warn Scheduler /process/scheduler/nice"],
        ),
        (
            &[scheduler(json!({"policy": "SCHED_OTHER", "priority": 1}))],
            &["Scheduler /process/scheduler/priority"],
        ),
        (&[scheduler(json!({"policy": "SCHED_OTHER", "period": 1}))], &["Scheduler /process/scheduler"]),
    ]);
}

#[test]
fn deadlines() {
    let times = |runtime: u64, deadline: u64, period: u64| {
        scheduler(
            json!({"policy": "SCHED_DEADLINE", "runtime": runtime, "deadline": deadline, "period": period}),
        )
    };
    let refused: &[&str] = &["Scheduler /process/scheduler"];
    all_are_found(&[
        (&[times(42_000, 100_000, 1_000_000)], &[]),
        (&[times(1024, 1024, 0)], &[]),
        (&[times(0, 0, 0)], refused),
        (&[times(1023, 2000, 2000)], refused),
        (&[times(3000, 2000, 4000)], refused),
        (&[times(2000, 4000, 3000)], refused),
        (&[times(2000, 3000, 1 << 63)], refused),
    ]);
}

#[test]
fn io_priorities_and_cpus() {
    let priority =
        |class: &str, priority: i64| ("/process/ioPriority", json!({"class": class, "priority": priority}));
    let affinity = |value: Value| ("/process/execCPUAffinity", value);
    all_are_found(&[
        (&[priority("IOPRIO_CLASS_IDLE", 0)], &[]),
        (&[priority("IOPRIO_CLASS_RT", 8)], &["IoPriority /process/ioPriority/priority"]),
        (&[priority("IOPRIO_CLASS_BE", -1)], &["IoPriority /process/ioPriority/priority"]),
        (&[priority("IOPRIO_CLASS_NONE", 0)], &["IoPriority /process/ioPriority/class"]),
        (&[("/process/ioPriority", json!({"priority": 1}))], &["IoPriority /process/ioPriority/class"]),
        (&[affinity(json!({"initial": "0-3,7", "final": "1"}))], &[]),
        (
            &[affinity(json!({"initial": "a", "final": "3-1"}))],
            &["CpuAffinity /process/execCPUAffinity/initial", "CpuAffinity /process/execCPUAffinity/final"],
        ),
        (&[affinity(json!({"initial": "8192"}))], &["CpuAffinity /process/execCPUAffinity/initial"]),
    ]);
}

#[test]
fn memory_policies() {
    let policy = |value: Value| ("/linux/memoryPolicy", value);
    let mode = "MemoryPolicy /linux/memoryPolicy/mode";
    let nodes = "MemoryPolicy /linux/memoryPolicy/nodes";
    all_are_found(&[
        (&[policy(json!({"mode": "MPOL_DEFAULT"}))], &[]),
        (&[policy(json!({"mode": "MPOL_BIND", "nodes": "0,2000"}))], &[]),
        (&[policy(json!({}))], &[mode]),
        (&[policy(json!({"mode": "INTERLEAVE", "nodes": "0"}))], &[mode]),
        (&[policy(json!({"mode": "MPOL_DEFAULT", "nodes": "0-7"}))], &[nodes]),
        (&[policy(json!({"mode": "MPOL_LOCAL", "nodes": "1"}))], &[nodes]),
        (&[policy(json!({"mode": "MPOL_BIND"}))], &[nodes]),
        (&[policy(json!({"mode": "MPOL_INTERLEAVE", "nodes": "0-9876543210"}))], &[nodes]),
        (&[policy(json!({"mode": "MPOL_LOCAL", "flags": ["MPOL_F_STATIC_NODES"]}))], &[nodes]),
        (
            &[policy(json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES", "bad"]}))],
            &["MemoryPolicy /linux/memoryPolicy/flags/1"],
        ),
        (
            &[policy(json!({"mode": "MPOL_BIND", "nodes": "0",
                "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"]}))],
            &["MemoryPolicy /linux/memoryPolicy/flags"],
        ),
        (
            &[policy(json!({"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING"]}))],
            &["MemoryPolicy /linux/memoryPolicy/flags"],
        ),
    ]);
    let old = Host { kernel: (6, 8), ..root() };
    let weighted = policy(json!({"mode": "MPOL_WEIGHTED_INTERLEAVE", "nodes": "0"}));
    check(&old, &options(), std::slice::from_ref(&weighted), &[mode]);
    check(&Host { kernel: (6, 9), ..root() }, &options(), &[weighted], &[]);
    let many = policy(json!({"mode": "MPOL_PREFERRED_MANY", "nodes": "0"}));
    check(&Host { kernel: (5, 14), ..root() }, &options(), &[many], &[mode]);
}

#[test]
fn execution_domains() {
    let personality = |value: Value| ("/linux/personality", value);
    all_are_found(&[
        (&[personality(json!({"domain": "LINUX32", "flags": []}))], &[]),
        (&[personality(json!({"domain": "BSD"}))], &["Personality /linux/personality/domain"]),
        (&[personality(json!({}))], &["Personality /linux/personality/domain"]),
        (
            &[personality(json!({"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]}))],
            &["Personality /linux/personality/flags/0"],
        ),
    ]);
}

/// The same holds for a process that is added, with places as if it stood in a config.
#[test]
fn added_processes() {
    let spec = config(&[]);
    let process = Process {
        args: vec!["/bin/true".to_owned()],
        cwd: "/".to_owned(),
        scheduler: Some(Scheduler::default()),
        io_priority: Some(IoPriority::default()),
        exec_cpu_affinity: Some(CpuAffinity { initial: "x".to_owned(), final_: String::new() }),
        ..Process::default()
    };
    let exec = ExecOptions { id: "c1", no_new_keyring: true, preserve_fds: 0, filter: None };
    let expected = [
        "Error CpuAffinity /process/execCPUAffinity/initial",
        "Error Scheduler /process/scheduler/policy",
        "Error IoPriority /process/ioPriority/class",
    ];
    assert_eq!(findings(&compile_exec(&spec, &process, &root(), &exec)), expected);
}
