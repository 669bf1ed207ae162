//! `linux.resources`: limits land in the right files of the right hierarchy, and hold.
use std::fs;

use orlop_tests::cgroup::{self, Version};
use orlop_tests::{Container, need, runtime};
use serde_json::{Value, json};

/// A running container with these resources beside the default ones.
fn with(resources: &[(&str, Value)], script: &str) -> Container {
    let mut container = Container::sh(script);
    for (pointer, value) in resources {
        container.set(&format!("/linux/resources/{pointer}"), value.clone());
    }
    container
}

const FOREVER: &str = "trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done";

macro_rules! need_controller {
    ($name:expr) => {
        need!(cgroup::controller($name).is_some(), "no cgroup hierarchy here has the {} controller", $name)
    };
}

#[test]
fn memory_limit_is_set() {
    need_controller!("memory");
    let container = with(&[("memory/limit", json!(64 << 20))], FOREVER);
    container.up();
    let set = cgroup::read(container.pid(), "memory", "memory.limit_in_bytes", "memory.max");
    assert_eq!(set, (64 << 20).to_string());
}

#[test]
fn memory_reservation_is_set() {
    need_controller!("memory");
    let container = with(&[("memory/reservation", json!(32 << 20))], FOREVER);
    container.up();
    let set = cgroup::read(container.pid(), "memory", "memory.soft_limit_in_bytes", "memory.low");
    assert_eq!(set, (32 << 20).to_string());
}

#[test]
fn swap_limit_is_memory_and_swap_together() {
    need_controller!("memory");
    let container = with(&[("memory/limit", json!(64 << 20)), ("memory/swap", json!(96 << 20))], FOREVER);
    let (version, hierarchy) = cgroup::controller("memory").expect("it is here");
    let v1_file = hierarchy.mount.join("memory.memsw.limit_in_bytes");
    need!(version == Version::V2 || v1_file.exists(), "swap accounting is off in this kernel");
    container.up();
    let set = cgroup::read(container.pid(), "memory", "memory.memsw.limit_in_bytes", "memory.swap.max");
    // Version 1 counts both together, version 2 the swap alone.
    let expected = if version == Version::V1 { 96 << 20 } else { 32 << 20 };
    assert_eq!(set, expected.to_string());
}

#[test]
fn a_container_over_its_memory_limit_is_killed_with_137() {
    need_controller!("memory");
    let script = "tail /dev/zero";
    let container = with(&[("memory/limit", json!(32 << 20)), ("memory/swap", json!(32 << 20))], script);
    let (version, hierarchy) = cgroup::controller("memory").expect("it is here");
    need!(
        version == Version::V2 || hierarchy.mount.join("memory.memsw.limit_in_bytes").exists(),
        "swap accounting is off in this kernel"
    );
    let out = container.run();
    assert_eq!(out.code, 137, "{out}");
}

#[test]
fn pids_limit_is_set_and_makes_fork_fail() {
    need_controller!("pids");
    let container = with(&[("pids/limit", json!(5))], FOREVER);
    container.up();
    assert_eq!(cgroup::read(container.pid(), "pids", "pids.max", "pids.max"), "5");
    // More than a runtime's own threads need while they are in the cgroup.
    let container = with(&[("pids/limit", json!(24))], "for n in $(seq 40); do sleep 1000 & done");
    let out = container.run();
    assert!(out.code != 0 && out.stderr.contains("fork"), "{out}");
}

#[test]
fn cpu_shares_are_set() {
    need_controller!("cpu");
    let container = with(&[("cpu/shares", json!(512))], FOREVER);
    container.up();
    let set: u64 =
        cgroup::read(container.pid(), "cpu", "cpu.shares", "cpu.weight").parse().expect("a number");
    if cgroup::controller("cpu").expect("it is here").0 == Version::V1 {
        assert_eq!(set, 512);
    } else {
        // Two conversions are in use: 1 + ((shares - 2) * 9999) / 262142, and since 2025 one that maps the
        // default of 1024 to the default of 100.
        assert!([20, 59].contains(&set), "{set}");
    }
}

#[test]
fn cpu_quota_and_period_are_set() {
    need_controller!("cpu");
    let container = with(&[("cpu/quota", json!(20_000)), ("cpu/period", json!(50_000))], FOREVER);
    container.up();
    if cgroup::controller("cpu").expect("it is here").0 == Version::V1 {
        assert_eq!(cgroup::read(container.pid(), "cpu", "cpu.cfs_quota_us", ""), "20000");
        assert_eq!(cgroup::read(container.pid(), "cpu", "cpu.cfs_period_us", ""), "50000");
    } else {
        assert_eq!(cgroup::read(container.pid(), "cpu", "", "cpu.max"), "20000 50000");
    }
}

#[test]
fn a_quota_of_zero_or_less_is_no_limit() {
    need_controller!("cpu");
    let container = with(&[("cpu/quota", json!(-1))], FOREVER);
    container.up();
    let set = cgroup::read(container.pid(), "cpu", "cpu.cfs_quota_us", "cpu.max");
    assert!(set == "-1" || set.starts_with("max "), "{set}");
}

#[test]
fn cpuset_is_set_and_visible_inside() {
    need_controller!("cpuset");
    let container = with(&[("cpu/cpus", json!("0")), ("cpu/mems", json!("0"))], FOREVER);
    container.up();
    assert_eq!(cgroup::read(container.pid(), "cpuset", "cpuset.cpus", "cpuset.cpus"), "0");
    let out = container.exec(&["grep", "Cpus_allowed_list", "/proc/self/status"]).ok();
    assert_eq!(out.stdout.split_whitespace().last(), Some("0"), "{out}");
}

#[test]
fn unified_writes_files_of_version_2_as_they_are() {
    let v2 = cgroup::controller("memory").is_some_and(|(version, _)| version == Version::V2);
    need!(v2, "the memory controller is not on version 2 here");
    let container = with(&[("unified", json!({"memory.high": "48000000", "pids.max": "33"}))], FOREVER);
    container.up();
    let (_, directory) = cgroup::directory(container.pid(), "memory");
    let high: u64 =
        fs::read_to_string(directory.join("memory.high")).expect("there").trim().parse().expect("n");
    assert_eq!(high, 48_000_000 / 4096 * 4096, "in whole pages");
    assert_eq!(cgroup::read(container.pid(), "pids", "", "pids.max"), "33");
}

#[test]
fn hugetlb_limits_are_set() {
    need_controller!("hugetlb");
    let limits = json!([{"pageSize": "2MB", "limit": 4 << 20}]);
    let container = with(&[("hugepageLimits", limits)], FOREVER);
    let (version, hierarchy) = cgroup::controller("hugetlb").expect("it is here");
    need!(
        runtime::is_orlop() || version == Version::V1 || hierarchies_agree(),
        "this runtime ignores it on a hybrid host"
    );
    container.up();
    drop(hierarchy);
    let set = cgroup::read(container.pid(), "hugetlb", "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max");
    assert_eq!(set, (4 << 20).to_string());
}

/// Whether there is only one kind of hierarchy.
fn hierarchies_agree() -> bool {
    cgroup::hierarchies().iter().all(|hierarchy| hierarchy.unified)
}

#[test]
fn a_device_that_no_rule_allows_is_denied() {
    for (allowed, access) in [(false, "rwm"), (true, "rw")] {
        let mut container = Container::sh(": </dev/extra");
        container.set("/root/readonly", false);
        // FUSE: anyone may open it, but the default rules of no runtime include it.
        container.push(
            "/linux/devices",
            json!({"path": "/dev/extra", "type": "c", "major": 10, "minor": 229, "fileMode": 0o666}),
        );
        container.push(
            "/linux/resources/devices",
            json!({"allow": allowed, "type": "c", "major": 10, "minor": 229, "access": access}),
        );
        let out = container.run();
        assert_eq!(out.stderr.contains("not permitted"), !allowed, "allowed: {allowed}, {out}");
    }
}

#[test]
fn default_devices_stay_allowed_under_a_deny_all_rule() {
    let out =
        Container::sh("echo x >/dev/null && head -c 1 /dev/zero | wc -c && : </dev/urandom && echo fine")
            .run();
    assert_eq!(out.ok().stdout, "1\nfine\n");
}

#[test]
fn cgroups_path_is_where_the_container_goes() {
    let mut container = Container::lasting();
    let path = format!("/orlop-test/{}", container.id);
    container.set("/linux/cgroupsPath", path.clone());
    container.up();
    let text = fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).expect("it runs");
    assert!(text.contains(&path), "{text}");
    container.kill("KILL");
    container.wait();
    container.delete();
    for directory in cgroup::named("orlop-test") {
        // The parent is not the container's; several tests or runs may share it.
        fs::remove_dir(directory).ok();
    }
}

#[test]
fn limits_hold_for_exec_as_well() {
    need_controller!("memory");
    let container = with(&[("memory/limit", json!(48 << 20)), ("memory/swap", json!(48 << 20))], FOREVER);
    container.up();
    let expected = fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).expect("it runs");
    assert_eq!(container.exec(&["cat", "/proc/self/cgroup"]).ok().stdout, expected);
}

#[test]
fn a_limit_that_no_hierarchy_can_hold_is_an_error_not_ignored() {
    need!(runtime::is_orlop(), "runc ignores some of these");
    need!(cgroup::controller("rdma").is_none(), "every controller is here");
    let container = with(&[("rdma", json!({"mlx5_1": {"hcaHandles": 3}}))], "echo ran");
    let out = container.run();
    assert!(out.code != 0 && out.stderr.contains("rdma"), "{out}");
    container.assert_no_leaks();
}
