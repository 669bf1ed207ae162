//! Limits land in the files of whichever hierarchy has the controller, and work.

use orlop_cgroups::{Cgroup, Controller, Error, Hierarchy};

use crate::support::{Sandbox, TESTS, read, run, sleeper, until, without_v1};

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
    let (done, text) = run(&cgroup, "sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait");
    assert!(!done && text.to_lowercase().contains("fork"), "{text}");
    cgroup.kill().unwrap();
}

#[test]
fn attaching_to_version_1_moves_a_process_into_every_hierarchy() {
    let Some(sandbox) = Sandbox::new() else { return };
    if sandbox.layout.v1.is_empty() {
        return println!("skipped: this host has no version 1 hierarchies");
    }
    let cgroup = sandbox.create("p/c", &sandbox.free());
    let mut child = sleeper(&sandbox.create("elsewhere", &sandbox.free()));
    cgroup.attach_v1(child.id() as i32).unwrap();
    let own = std::fs::read_to_string(format!("/proc/{}/cgroup", child.id())).unwrap();
    for mount in &sandbox.layout.v1 {
        let name = mount.controllers.iter().next().unwrap().v1_name();
        let has_name = |line: &&str| line.split(':').nth(1).is_some_and(|l| l.split(',').any(|n| n == name));
        let line = own.lines().find(has_name).unwrap();
        assert!(line.ends_with("/p/c"), "{line}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let gone = cgroup.attach_v1(child.id() as i32).unwrap_err();
    assert_eq!(gone.errno().map(|e| e as i32), Some(3), "{gone}");
}

#[test]
fn an_update_that_fails_is_taken_back() {
    let Some(sandbox) = Sandbox::new() else { return };
    let Some(file) = file(&sandbox, Controller::Pids, "pids.max", "pids.max") else { return };
    let cgroup = sandbox.create("c", &sandbox.plan(r#"{"pids":{"limit":20}}"#));
    let mut cgroup = Cgroup::open(cgroup.location()).unwrap();
    cgroup.update(&sandbox.layout, &sandbox.plan(r#"{"pids":{"limit":30}}"#).settings).unwrap();
    assert_eq!(read(&cgroup, file).as_deref(), Some("30"));
    let plan = sandbox.plan(r#"{"pids":{"limit":40},"unified":{"cgroup.max.depth":"many"}}"#);
    let error = cgroup.update(&sandbox.layout, &plan.settings).unwrap_err();
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
    let mut cgroup = sandbox.create("c", &first);
    if file != "memory.max" && read(&cgroup, file).is_none() {
        return println!("skipped: this host does not account swap");
    }
    for limit in [64 << 20, 128 << 20, 32 << 20] {
        cgroup.update(&sandbox.layout, &plan(limit)).unwrap();
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
    let mut cgroup = sandbox.create("c", &sandbox.plan(json));
    let mut child = sleeper(&cgroup);
    until("memory is charged", || cgroup.stats().unwrap().memory.unwrap().memory.current > 4096);
    let plan = sandbox.plan(r#"{"memory":{"limit":4096,"checkBeforeUpdate":true}}"#);
    let error = cgroup.update(&sandbox.layout, &plan.settings).unwrap_err();
    assert!(matches!(error, Error::BelowUsage { limit: 4096, .. }), "{error}");
    assert!(child.try_wait().unwrap().is_none());
    cgroup.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_update_may_need_a_hierarchy_that_the_container_is_not_in() {
    let Some(sandbox) = Sandbox::new() else { return };
    let Some(file) = file(&sandbox, Controller::Pids, "pids.max", "pids.max") else { return };
    let mut cgroup = without_v1(&sandbox, "p/c");
    let mut children = [sleeper(&cgroup), sleeper(&cgroup)];
    assert!(sandbox.layout.v1.is_empty() || read(&cgroup, file).is_none());
    cgroup.update(&sandbox.layout, &sandbox.plan(r#"{"pids":{"limit":40}}"#).settings).unwrap();
    assert_eq!(read(&cgroup, file).as_deref(), Some("40"));
    assert_eq!(read(&cgroup, "pids.current").as_deref(), Some("2"));
    // Another command, later, finds all of it again by the location.
    let again = Cgroup::open(cgroup.location()).unwrap();
    again.kill().unwrap();
    for child in &mut children {
        child.wait().unwrap();
    }
    again.wait_empty(std::time::Duration::from_secs(10)).unwrap();
    again.remove().unwrap();
    assert_eq!(read(&cgroup, file), None);
}

#[test]
fn a_refused_update_does_not_leave_new_directories() {
    let Some(sandbox) = Sandbox::new() else { return };
    if file(&sandbox, Controller::Pids, "", "").is_none() {
        return;
    }
    let mut cgroup = without_v1(&sandbox, "c");
    let before = cgroup.location().clone();
    let plan = sandbox.plan(r#"{"pids":{"limit":40},"unified":{"cgroup.max.depth":"many"}}"#);
    cgroup.update(&sandbox.layout, &plan.settings).unwrap_err();
    assert_eq!(cgroup.location(), &before);
    for mount in &sandbox.layout.v1 {
        assert!(!mount.mount.join(&before.v2.inner).exists(), "{}", mount.mount.display());
    }
}

#[test]
fn rates_of_a_block_device() {
    let Some(sandbox) = Sandbox::new() else { return };
    let Some(file) = file(&sandbox, Controller::Io, "io.max", "blkio.throttle.read_bps_device") else {
        return;
    };
    let devices = std::fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let numbers = devices.filter_map(|d| std::fs::read_to_string(d.path().join("dev")).ok());
    let Some(number) = numbers.map(|n| n.trim().to_owned()).next() else {
        return println!("skipped: no block devices");
    };
    let (major, minor) = number.split_once(':').unwrap();
    let json = format!(
        r#"{{"blockIO":{{"throttleReadBpsDevice":[{{"major":{major},"minor":{minor},"rate":1048576}}],
            "throttleWriteIOPSDevice":[{{"major":{major},"minor":{minor},"rate":50}}]}}}}"#
    );
    let cgroup = sandbox.create("c", &sandbox.plan(&json));
    let text = read(&cgroup, file).unwrap();
    let want = if file == "io.max" {
        format!("{number} rbps=1048576 wbps=max riops=max wiops=50")
    } else {
        format!("{number} 1048576")
    };
    assert_eq!(text, want);
    cgroup.stats().unwrap();
}

#[test]
fn a_weight_goes_to_the_scheduler_that_is_there() {
    let Some(sandbox) = Sandbox::new() else { return };
    let Some(_) = file(&sandbox, Controller::Io, "", "") else { return };
    let plan = sandbox.plan(r#"{"blockIO":{"weight":300}}"#);
    match Cgroup::create(&sandbox.layout, &sandbox.path("c"), &plan, TESTS) {
        Ok(cgroup) => {
            let files = ["io.bfq.weight", "io.weight", "blkio.weight", "blkio.bfq.weight"];
            let text: Vec<_> = files.iter().filter_map(|file| read(&cgroup, file)).collect();
            assert!(text.iter().any(|t| t.ends_with("300") || t.ends_with("2930")), "{text:?}");
        }
        Err(e) => {
            assert!(e.to_string().contains("weights need the BFQ scheduler"), "{e}");
            println!("this kernel has no weights: {e}");
        }
    }
}
