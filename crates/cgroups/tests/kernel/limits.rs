//! Limits land in the files of whichever hierarchy has the controller, and work.

use orlop_cgroups::{Cgroup, Controller, Error, Hierarchy};

use crate::support::{Sandbox, read, run, sleeper};

/// The file of a controller where it is on this host; says so if it is nowhere.
fn file(
    sandbox: &Sandbox,
    controller: Controller,
    v2: &'static str,
    v1: &'static str,
) -> Option<&'static str> {
    match sandbox.layout.hierarchy_of(controller) {
        Some(Hierarchy::V2) => Some(v2),
        Some(Hierarchy::V1) => Some(v1),
        None => {
            println!("skipped: {controller}: {}", sandbox.layout.looked_for(controller));
            None
        }
    }
}

#[test]
fn every_limit_that_this_host_has_lands_in_its_file() {
    let Some(sandbox) = Sandbox::new() else { return };
    let mut seen = 0;
    for (controller, json, v2, v1) in [
        (
            Controller::Memory,
            r#"{"memory":{"limit":67108864}}"#,
            ("memory.max", "67108864"),
            ("memory.limit_in_bytes", "67108864"),
        ),
        (
            Controller::Memory,
            r#"{"memory":{"limit":67108864,"reservation":33554432}}"#,
            ("memory.low", "33554432"),
            ("memory.soft_limit_in_bytes", "33554432"),
        ),
        (Controller::Pids, r#"{"pids":{"limit":20}}"#, ("pids.max", "20"), ("pids.max", "20")),
        (Controller::Cpu, r#"{"cpu":{"shares":512}}"#, ("cpu.weight", "59"), ("cpu.shares", "512")),
        (
            Controller::Cpu,
            r#"{"cpu":{"quota":50000,"period":100000}}"#,
            ("cpu.max", "50000 100000"),
            ("cpu.cfs_quota_us", "50000"),
        ),
        (
            Controller::Cpuset,
            r#"{"cpu":{"cpus":"0","mems":"0"}}"#,
            ("cpuset.cpus", "0"),
            ("cpuset.cpus", "0"),
        ),
        (
            Controller::Hugetlb,
            r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}]}"#,
            ("hugetlb.2MB.max", "4194304"),
            ("hugetlb.2MB.limit_in_bytes", "4194304"),
        ),
    ] {
        let Some(file) = file(&sandbox, controller, v2.0, v1.0) else { continue };
        let want = if file == v2.0 { v2.1 } else { v1.1 };
        let cgroup = sandbox.create(&format!("p/c{seen}"), &sandbox.plan(json));
        assert_eq!(read(&cgroup, file).as_deref(), Some(want), "{file} after {json}");
        seen += 1;
        cgroup.remove().unwrap();
        for (_, place) in &cgroup.location().v1 {
            assert!(!place.path().exists(), "{}", place.path().display());
        }
    }
    assert!(seen > 0, "this host has no controllers at all");
}

#[test]
fn a_limit_of_tasks_holds() {
    let Some(sandbox) = Sandbox::new() else { return };
    if file(&sandbox, Controller::Pids, "", "").is_none() {
        return;
    }
    let json = r#"{"pids":{"limit":3},"devices":[{"allow":true,"access":"rwm"}]}"#;
    let cgroup = sandbox.create("c", &sandbox.plan(json));
    let (done, text) = run(&cgroup, "sleep 9 & sleep 9 & sleep 9 & sleep 9 & wait");
    assert!(!done && text.to_lowercase().contains("fork"), "{text}");
    cgroup.kill().unwrap();
}

#[test]
fn attaching_to_version_1_moves_a_process_into_the_hierarchies_in_use() {
    let Some(sandbox) = Sandbox::new() else { return };
    if sandbox.layout.v1.is_empty() {
        return println!("skipped: this host has no version 1 hierarchies");
    }
    let plan =
        sandbox.plan(r#"{"pids":{"limit":9},"cpu":{"cpus":"0"},"devices":[{"allow":true,"access":"rwm"}]}"#);
    let cgroup = sandbox.create("p/c", &plan);
    let bare = sandbox.create("elsewhere", &sandbox.free());
    let mut child = sleeper(&bare);
    cgroup.attach_v1(child.id() as i32).unwrap();
    let own = std::fs::read_to_string(format!("/proc/{}/cgroup", child.id())).unwrap();
    for (controllers, place) in &cgroup.location().v1 {
        let name = controllers.iter().next().unwrap().v1_name();
        let line = own.lines().find(|l| l.split(':').nth(1) == Some(name)).unwrap();
        assert!(line.ends_with(&*place.inner.to_string_lossy()), "{line}");
    }
    // Hierarchies that no setting needs are left alone.
    if let Some(line) = own.lines().find(|l| l.split(':').nth(1) == Some("memory")) {
        assert!(!line.contains("orlop-test"), "{line}");
    }
    bare.kill().unwrap();
    child.wait().unwrap();
    let gone = cgroup.attach_v1(child.id() as i32).unwrap_err();
    assert_eq!(gone.errno().map(|e| e as i32), Some(3), "{gone}");
}

#[test]
fn an_update_that_fails_is_taken_back() {
    let Some(sandbox) = Sandbox::new() else { return };
    let Some(file) = file(&sandbox, Controller::Pids, "pids.max", "pids.max") else { return };
    let cgroup = sandbox.create("c", &sandbox.plan(r#"{"pids":{"limit":20}}"#));
    let cgroup = Cgroup::open(cgroup.location()).unwrap();
    cgroup.update(&sandbox.plan(r#"{"pids":{"limit":30}}"#).settings).unwrap();
    assert_eq!(read(&cgroup, file).as_deref(), Some("30"));
    let plan = sandbox.plan(r#"{"pids":{"limit":40},"unified":{"cgroup.max.depth":"many"}}"#);
    let error = cgroup.update(&plan.settings).unwrap_err();
    assert!(matches!(error, Error::Write { .. }), "{error}");
    assert_eq!(read(&cgroup, file).as_deref(), Some("30"));
}

#[test]
fn values_that_contradict_the_old_ones_are_written_in_a_possible_order() {
    let Some(sandbox) = Sandbox::new() else { return };
    let Some(file) = file(&sandbox, Controller::Memory, "memory.max", "memory.memsw.limit_in_bytes") else {
        return;
    };
    let plan = |limit: u64| {
        let json = format!(r#"{{"memory":{{"limit":{limit},"swap":{limit}}}}}"#);
        sandbox.plan(&json).settings
    };
    let first = sandbox.plan(r#"{"memory":{"limit":67108864}}"#);
    let cgroup = sandbox.create("c", &first);
    if file != "memory.max" && read(&cgroup, file).is_none() {
        return println!("skipped: this host does not account swap");
    }
    for limit in [64 << 20, 128 << 20, 32 << 20] {
        cgroup.update(&plan(limit)).unwrap();
        assert_eq!(read(&cgroup, file), Some(limit.to_string()));
    }
}

#[test]
fn check_before_update_refuses_a_limit_below_the_usage() {
    let Some(sandbox) = Sandbox::new() else { return };
    if file(&sandbox, Controller::Memory, "", "").is_none() {
        return;
    }
    let json = r#"{"memory":{"limit":67108864},"devices":[{"allow":true,"access":"rwm"}]}"#;
    let cgroup = sandbox.create("c", &sandbox.plan(json));
    let mut child = sleeper(&cgroup);
    let plan = sandbox.plan(r#"{"memory":{"limit":4096,"checkBeforeUpdate":true}}"#);
    let error = cgroup.update(&plan.settings).unwrap_err();
    assert!(matches!(error, Error::BelowUsage { limit: 4096, .. }), "{error}");
    assert!(child.try_wait().unwrap().is_none());
    cgroup.kill().unwrap();
    child.wait().unwrap();
}
