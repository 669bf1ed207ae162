use super::compile_update;
use crate::Host;
use orlop_cgroups::{Controllers, Layout, Unified};
use orlop_spec::{Resources, Spec};
use serde_json::json;

fn host() -> Host {
    let controllers = Controllers::parse("cpuset cpu io memory hugetlb pids");
    let unified = Unified { mount: "/sys/fs/cgroup".into(), own: "".into(), controllers };
    Host {
        euid: 0,
        egid: 0,
        privileged: true,
        cgroup_rights: crate::CgroupRights::Full,
        setgroups_denied: false,
        last_cap: 40,
        bounding: u64::MAX,
        selinux: false,
        apparmor: false,
        landlock: 7,
        resctrl: None,
        kernel_views: Vec::new(),
        kcore: true,
        kernel: (6, 12),
        cgroups: Layout { unified: Some(unified), v1: Vec::new() },
    }
}

/// What is written, and what is kept, when `change` is made to a container with the limits `old`.
fn update(old: &str, change: &str) -> (Vec<String>, String) {
    let resources: Resources = serde_json::from_str(old).unwrap();
    let spec: Spec = serde_json::from_value(json!({ "linux": { "resources": resources } })).unwrap();
    let update = compile_update(&spec, &serde_json::from_str(change).unwrap(), &host()).unwrap();
    let lines = update.settings.iter().map(ToString::to_string).collect();
    (lines, serde_json::to_string(&update.resources).unwrap())
}

#[track_caller]
fn check(old: &str, change: &str, written: &[&str], kept: &str) {
    let (lines, resources) = update(old, change);
    assert_eq!(lines, written, "{old} {change}");
    assert_eq!(resources, kept, "{old} {change}");
}

#[test]
fn only_what_is_named_is_written_and_nothing_is_forgotten() {
    check(
        r#"{"memory":{"limit":1000},"cpu":{"cpus":"0"}}"#,
        r#"{"pids":{"limit":7}}"#,
        &["pids.max = 7"],
        r#"{"memory":{"limit":1000},"cpu":{"cpus":"0"},"pids":{"limit":7}}"#,
    );
    check("{}", "{}", &[], "{}");
}

#[test]
fn quota_and_period_go_together() {
    let old = r#"{"cpu":{"quota":500,"period":1000}}"#;
    check(old, r#"{"cpu":{"period":900}}"#, &["cpu.max = 500 900"], r#"{"cpu":{"quota":500,"period":900}}"#);
    check(old, r#"{"cpu":{"quota":-1}}"#, &["cpu.max = max 1000"], r#"{"cpu":{"quota":-1,"period":1000}}"#);
    check(
        old,
        r#"{"cpu":{"burst":5}}"#,
        &["cpu.max.burst = 5"],
        r#"{"cpu":{"quota":500,"burst":5,"period":1000}}"#,
    );
    check("{}", r#"{"cpu":{"quota":5}}"#, &["cpu.max = 5 100000"], r#"{"cpu":{"quota":5}}"#);
    check(old, r#"{"cpu":{"quota":0,"period":0}}"#, &[], old);
}

#[test]
fn memory_and_swap_go_together() {
    let old = r#"{"memory":{"limit":1000,"swap":1500}}"#;
    check(
        old,
        r#"{"memory":{"limit":1200}}"#,
        &["memory.swap.max = 300", "memory.max = 1200"],
        r#"{"memory":{"limit":1200,"swap":1500}}"#,
    );
    check(
        old,
        r#"{"memory":{"limit":-1}}"#,
        &["memory.swap.max = max", "memory.max = max"],
        r#"{"memory":{"limit":-1}}"#,
    );
    check(
        r#"{"memory":{"limit":1000}}"#,
        r#"{"memory":{"swap":-1}}"#,
        &["memory.swap.max = max", "memory.max = 1000"],
        r#"{"memory":{"limit":1000,"swap":-1}}"#,
    );
    check(
        old,
        r#"{"memory":{"reservation":10,"checkBeforeUpdate":true}}"#,
        &["memory.low = 10"],
        r#"{"memory":{"limit":1000,"reservation":10,"swap":1500}}"#,
    );
}

#[test]
fn an_idle_cgroup_has_no_weight() {
    check(r#"{"cpu":{"shares":512}}"#, r#"{"cpu":{"idle":1}}"#, &["cpu.idle = 1"], r#"{"cpu":{"idle":1}}"#);
}

#[test]
fn devices_are_changed_or_added() {
    let rate = |minor, rate| format!(r#"{{"major":8,"minor":{minor},"rate":{rate}}}"#);
    let throttle =
        |all: &[String]| format!(r#"{{"blockIO":{{"throttleReadBpsDevice":[{}]}}}}"#, all.join(","));
    check(
        &throttle(&[rate(0, 1), rate(0, 2)]),
        &throttle(&[rate(0, 3), rate(16, 4)]),
        &["io.max = 8:0 rbps=3", "io.max = 8:16 rbps=4"],
        &throttle(&[rate(0, 1), rate(0, 3), rate(16, 4)]),
    );
}

#[test]
fn device_rules_are_replaced_only_if_there_are_new_ones() {
    let spec = Spec::default();
    let change = |json| serde_json::from_str::<Resources>(json).unwrap();
    let none = compile_update(&spec, &change(r#"{"pids":{"limit":7}}"#), &host()).unwrap();
    assert_eq!(none.devices, None);
    let some = change(r#"{"devices":[{"allow":false,"access":"rwm"}]}"#);
    let update = compile_update(&spec, &some, &host()).unwrap();
    assert_eq!((update.devices.is_some(), &update.resources.devices), (true, &some.devices));
    let unprivileged = compile_update(&spec, &some, &Host { privileged: false, ..host() }).unwrap();
    assert_eq!((unprivileged.devices, unprivileged.warnings.len()), (None, 1));
}

#[test]
fn wrong_values_are_refused_with_their_place_in_the_document() {
    for (change, place) in [
        (r#"{"memory":{"limit":-2}}"#, "/memory/limit"),
        (r#"{"memory":{"swap":5}}"#, "/memory/swap"),
        (r#"{"cpu":{"idle":2}}"#, "/cpu/idle"),
        (r#"{"cpu":{"cpus":"all"}}"#, "/cpu/cpus"),
        (r#"{"blockIO":{"weight":5}}"#, "/blockIO/weight"),
        (r#"{"unified":{"memory.max/x":"1"}}"#, "/unified/memory.max~1x"),
        (r#"{"devices":[{"allow":true,"access":"x"}]}"#, "/devices/0/access"),
        (r#"{"rdma":{"mlx5":{"hcaHandles":1}}}"#, "/rdma/mlx5"),
    ] {
        let change = serde_json::from_str(change).unwrap();
        let found = compile_update(&Spec::default(), &change, &host()).unwrap_err();
        let places: Vec<_> =
            found.errors().filter_map(|e| e.pointer.as_ref()).map(ToString::to_string).collect();
        assert_eq!(places, [place]);
    }
}

#[test]
fn limits_of_kernel_memory_are_gone() {
    for change in [r#"{"memory":{"kernel":5}}"#, r#"{"memory":{"kernelTCP":5}}"#] {
        let update =
            compile_update(&Spec::default(), &serde_json::from_str(change).unwrap(), &host()).unwrap();
        assert_eq!((update.settings.len(), update.warnings.len()), (0, 1), "{change}");
    }
}
