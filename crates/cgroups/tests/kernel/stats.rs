//! Usage, read from whichever version accounts it.

use std::time::{Duration, Instant};

use orlop_cgroups::{Controller, Hierarchy, Occasion};

use crate::support::{Sandbox, run, sleeper, until, without_v1};

#[test]
fn cpu_time_is_counted_without_any_limit() {
    let Some(sandbox) = Sandbox::new() else { return };
    let cgroup = sandbox.create("c", &sandbox.free());
    assert!(cgroup.stats().unwrap().cpu.usage < Duration::from_millis(1));
    run(&cgroup, "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done");
    let cpu = cgroup.stats().unwrap().cpu;
    assert!(cpu.usage > Duration::from_millis(5), "{cpu:?}");
    // Version 1 counts the parts by ticks, beside the whole.
    assert!(!cpu.per_cpu.is_empty() || cpu.user <= cpu.usage, "{cpu:?}");
}

#[test]
fn processes_are_counted_without_the_controller() {
    let Some(sandbox) = Sandbox::new() else { return };
    let cgroup = sandbox.create("c", &sandbox.free());
    let mut child = sleeper(&cgroup);
    let tasks = cgroup.stats().unwrap().pids.tasks;
    assert_eq!((tasks.current, tasks.limit), (1, None));
    cgroup.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn limits_and_usage_of_memory_and_tasks() {
    let Some(sandbox) = Sandbox::new() else { return };
    for controller in [Controller::Memory, Controller::Pids] {
        if sandbox.layout.hierarchy_of(controller).is_none() {
            return println!("skipped: {controller}: {}", sandbox.layout.looked_for(controller));
        }
    }
    let json =
        r#"{"memory":{"limit":67108864},"pids":{"limit":5},"devices":[{"allow":true,"access":"rwm"}]}"#;
    let cgroup = sandbox.create("c", &sandbox.plan(json));
    let mut child = sleeper(&cgroup);
    until("memory is charged", || cgroup.stats().unwrap().memory.unwrap().memory.current > 0);
    let stats = cgroup.stats().unwrap();
    let memory = stats.memory.unwrap();
    assert_eq!(memory.memory.limit, Some(64 << 20));
    assert!(memory.memory.peak.is_none_or(|peak| peak >= memory.memory.current), "{memory:?}");
    assert!(memory.stat.len() > 10 && memory.events.oom_kill == 0);
    assert_eq!((stats.pids.tasks.current, stats.pids.tasks.limit), (1, Some(5)));
    cgroup.kill().unwrap();
    child.wait().unwrap();
    // The shell forks until it may not; each refusal is counted.
    run(&cgroup, "sleep 1 & sleep 1 & sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait");
    assert!(cgroup.stats().unwrap().pids.refused > 0);
}

#[test]
fn a_process_that_takes_too_much_memory_is_killed_and_counted() {
    let Some(sandbox) = Sandbox::new() else { return };
    if sandbox.layout.hierarchy_of(Controller::Memory).is_none() {
        return println!("skipped: no memory controller");
    }
    let json = r#"{"memory":{"limit":8388608,"swap":8388608},"devices":[{"allow":true,"access":"rwm"}]}"#;
    let cgroup = sandbox.create("c", &sandbox.plan(json));
    let mut watch = cgroup.watch().unwrap();
    // tail(1) keeps what it may have to print.
    let (done, _) = run(&cgroup, "head -c 40000000 /dev/zero | tail -c 40000000 >/dev/null");
    let memory = cgroup.stats().unwrap().memory.unwrap();
    assert!(!done && memory.events.oom_kill > 0, "{memory:?}");
    assert_eq!(watch.wait(Instant::now()).unwrap(), Some(Occasion::OutOfMemory));
    assert_eq!(watch.wait(Instant::now()).unwrap(), Some(Occasion::Empty), "each kill is told of once");
}

#[test]
fn the_end_of_the_last_process_is_noticed() {
    let Some(sandbox) = Sandbox::new() else { return };
    let cgroup = sandbox.create("c", &sandbox.free());
    let mut child = sleeper(&cgroup);
    let mut watch = cgroup.watch().unwrap();
    assert_eq!(watch.wait(Instant::now()).unwrap(), None);
    cgroup.kill().unwrap();
    let soon = Instant::now() + Duration::from_secs(10);
    assert_eq!(watch.wait(soon).unwrap(), Some(Occasion::Empty));
    child.wait().unwrap();
}

#[test]
fn throttling_huge_pages_and_pressure_where_the_host_has_them() {
    let Some(sandbox) = Sandbox::new() else { return };
    let has = |c| sandbox.layout.hierarchy_of(c).is_some();
    let json = match (has(Controller::Cpu), has(Controller::Hugetlb)) {
        (true, true) => {
            r#"{"cpu":{"quota":5000,"period":50000},"hugepageLimits":[{"pageSize":"2MB","limit":4194304}],
                "devices":[{"allow":true,"access":"rwm"}]}"#
        }
        _ => return println!("skipped: no cpu or no hugetlb controller"),
    };
    let cgroup = sandbox.create("c", &sandbox.plan(json));
    run(&cgroup, "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done");
    let stats = cgroup.stats().unwrap();
    assert!(stats.cpu.periods > 0 && stats.cpu.throttled_periods > 0, "{:?}", stats.cpu);
    assert!(stats.cpu.throttled > Duration::ZERO);
    assert_eq!(stats.hugetlb["2MB"].pages.limit, Some(4 << 20));
    match stats.pressure.cpu {
        Some(pressure) => assert!(pressure.some.total > Duration::ZERO, "{pressure:?}"),
        None => println!("this kernel measures no pressure"),
    }
}

#[test]
fn memory_is_accounted_without_a_limit_when_asked_for() {
    let Some(sandbox) = Sandbox::new() else { return };
    let mut cgroup = without_v1(&sandbox, "c");
    // Version 2 gives every container what it has.
    let on_v2 = sandbox.layout.hierarchy_of(Controller::Memory) == Some(Hierarchy::V2);
    assert_eq!(cgroup.stats().unwrap().memory.is_some(), on_v2);
    let memory = std::iter::once(Controller::Memory).collect();
    if sandbox.layout.hierarchy_of(Controller::Memory).is_none() {
        let error = cgroup.enable(&sandbox.layout, memory).unwrap_err().to_string();
        return assert!(error.contains("the memory controller is not available"), "{error}");
    }
    let mut child = sleeper(&cgroup);
    cgroup.enable(&sandbox.layout, memory).unwrap();
    let stats = cgroup.stats().unwrap().memory.unwrap();
    assert_eq!(stats.memory.limit, None);
    // One that came before keeps what it had elsewhere; one that is born here is charged for what it has.
    let mut charged = sleeper(&cgroup);
    until("memory is charged", || cgroup.stats().unwrap().memory.unwrap().memory.current > 0);
    cgroup.kill().unwrap();
    child.wait().unwrap();
    charged.wait().unwrap();
}
