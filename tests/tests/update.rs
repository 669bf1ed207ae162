//! `update`: limits of a container that runs.
use std::fs;

use orlop_tests::cgroup::{self, Version};
use orlop_tests::{Container, Output, need};
use serde_json::json;

macro_rules! need_controllers {
    ($($name:expr),*) => {
        $(need!(cgroup::controller($name).is_some(), "no cgroup hierarchy here has the {} controller", $name);)*
    };
}

/// A running container with limits of its own.
fn limited() -> Container {
    let mut container = Container::lasting();
    container.set("/linux/resources/memory", json!({ "limit": 64 << 20, "reservation": 32 << 20 }));
    container.set("/linux/resources/cpu", json!({ "shares": 512, "quota": 500_000, "period": 1_000_000 }));
    container.set("/linux/resources/pids/limit", 20);
    container.up();
    container
}

fn update(container: &Container, flags: &[&str]) -> Output {
    container.command("update", flags).output()
}

fn update_from(container: &Container, document: &serde_json::Value) -> Output {
    container.command("update", &["-r", "-"]).input(document.to_string().as_bytes()).output()
}

fn memory(container: &Container) -> [String; 2] {
    let read = |v1, v2| cgroup::read(container.pid(), "memory", v1, v2);
    [read("memory.limit_in_bytes", "memory.max"), read("memory.soft_limit_in_bytes", "memory.low")]
}

/// Quota and period.
fn cpu(container: &Container) -> String {
    let read = |v1, v2| cgroup::read(container.pid(), "cpu", v1, v2);
    if cgroup::controller("cpu").expect("it is here").0 == Version::V2 {
        return read("", "cpu.max").replace("max", "-1");
    }
    format!("{} {}", read("cpu.cfs_quota_us", ""), read("cpu.cfs_period_us", ""))
}

fn pids(container: &Container) -> String {
    cgroup::read(container.pid(), "pids", "pids.max", "pids.max")
}

#[test]
fn each_flag_changes_its_limit_and_no_other() {
    need_controllers!("memory", "cpu", "pids");
    let container = limited();
    update(&container, &["--memory", "96M"]).ok();
    assert_eq!(memory(&container), [(96 << 20).to_string(), (32 << 20).to_string()]);
    update(&container, &["--memory-reservation", "16777216"]).ok();
    assert_eq!(memory(&container), [(96 << 20).to_string(), (16 << 20).to_string()]);
    update(&container, &["--cpu-period", "900000"]).ok();
    assert_eq!(cpu(&container), "500000 900000");
    // Remembered from the last call, as the config says nothing of it.
    update(&container, &["--cpu-quota", "600000"]).ok();
    assert_eq!(cpu(&container), "600000 900000");
    update(&container, &["--cpu-quota", "-1"]).ok();
    assert_eq!(cpu(&container), "-1 900000");
    update(&container, &["--pids-limit", "10"]).ok();
    assert_eq!(pids(&container), "10");
    update(&container, &["--pids-limit", "-1"]).ok();
    assert_eq!(pids(&container), "max");
    assert_eq!(cpu(&container), "-1 900000");
}

#[test]
fn limits_come_from_a_document_in_a_file_or_on_standard_input() {
    need_controllers!("memory", "cpu", "pids", "cpuset");
    let container = limited();
    let document = json!({
        "memory": { "limit": 48 << 20 },
        "cpu": { "quota": 300_000, "period": 600_000, "cpus": "0" },
        "pids": { "limit": 30 },
    });
    update_from(&container, &document).ok();
    let check = || {
        assert_eq!(memory(&container)[0], (48 << 20).to_string());
        assert_eq!(cpu(&container), "300000 600000");
        assert_eq!(pids(&container), "30");
        assert_eq!(cgroup::read(container.pid(), "cpuset", "cpuset.cpus", "cpuset.cpus"), "0");
    };
    check();
    update(&container, &["--pids-limit", "7", "--cpu-quota", "-1"]).ok();
    let file = container.home().join("limits.json");
    fs::write(&file, document.to_string()).expect("the document is written");
    container.command("update", &["--resources", &file.to_string_lossy()]).ok();
    check();
}

#[test]
fn a_container_without_limits_gets_some() {
    need_controllers!("pids", "memory");
    // On a hybrid host its processes move into hierarchies of version 1 that it had no part in.
    let mut container = Container::lasting();
    container.bundle.remove("/linux/resources");
    container.up();
    update(&container, &["--pids-limit", "50", "--memory", "64m"]).ok();
    assert_eq!(pids(&container), "50");
    assert_eq!(memory(&container)[0], (64 << 20).to_string());
    // Who is added later is among them, and `delete` finds the new directories.
    let added = container.exec_detached(&[], &["sleep", "1000"]);
    assert_eq!(cgroup::directory(added.pid(), "pids"), cgroup::directory(container.pid(), "pids"));
    container.end_with_detached();
}

#[test]
fn a_refused_limit_changes_nothing_and_names_its_place() {
    need_controllers!("memory", "pids");
    let container = limited();
    let before = memory(&container);
    for (flags, word) in [
        (&["--memory", "64x"][..], "memory"),
        (&["--memory", "-2"], "memory"),
        (&["--cpu-share", "-1"], "cpu-share"),
        (&["--cpu-idle", "2"], "cpu-idle"),
        (&["--blkio-weight", "5"], "blkio-weight"),
        (&["--cpuset-cpus", "all"], "cpuset-cpus"),
        (&["--pids-limit", "many"], "pids-limit"),
    ] {
        update(&container, flags).fails_with(&format!("invalid value for {word}: "));
    }
    for (document, place) in [
        (json!({ "memory": { "limit": "much" } }), "line 1 column 20: /memory/limit"),
        (json!({ "memory": { "limit": 32 << 20, "swap": 5 } }), "/memory/swap"),
        (json!({ "cpu": { "cpus": "9999" }, "memory": { "limit": 32 << 20 } }), "/cpu/cpus"),
        (json!({ "devices": [{ "allow": true, "access": "x" }] }), "/devices/0/access"),
        (json!([]), "standard input"),
    ] {
        update_from(&container, &document).fails_with(place);
    }
    update(&container, &["-r", "/no/such/file"]).fails_with("/no/such/file");
    update(&container, &["-r", "-", "--memory", "64m"]).fails_with("cannot be used with");
    assert_eq!(memory(&container), before);
    assert_eq!(container.status(), "running");
}

#[test]
fn a_limit_below_the_usage_is_refused_if_asked() {
    need_controllers!("memory");
    let container = limited();
    let document = json!({ "memory": { "limit": 1024, "checkBeforeUpdate": true } });
    update_from(&container, &document).fails_with("rejecting memory limit");
    assert_eq!(container.status(), "running");
    if cgroup::controller("memory").expect("it is here").0 == Version::V2 {
        let document = json!({ "memory": { "limit": 1024, "swap": 2048, "checkBeforeUpdate": true } });
        update_from(&container, &document).fails_with("rejecting memory+swap limit");
        assert_eq!(container.status(), "running");
    }
}

#[test]
fn device_rules_are_replaced() {
    let mut container = Container::lasting();
    container.push("/linux/devices", json!({ "path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11 }));
    container.up();
    // To read from it would take CAP_SYSLOG.
    let opens = |path: &str| container.exec(&["sh", "-c", &format!(": >> {path}")]).code == 0;
    let allow = json!({ "allow": true, "type": "c", "major": 1, "minor": 11, "access": "rwm" });
    let deny = json!({ "allow": false, "access": "rwm" });
    assert!(!opens("/dev/kmsg"));
    update_from(&container, &json!({ "devices": [deny, allow] })).ok();
    assert!(opens("/dev/kmsg") && opens("/dev/null"));
    // Another update leaves them alone.
    update(&container, &["--cpuset-cpus", "0"]).ok();
    assert!(opens("/dev/kmsg"));
    update_from(&container, &json!({ "devices": [deny] })).ok();
    assert!(!opens("/dev/kmsg") && opens("/dev/null"));
}

#[test]
fn a_paused_container_stays_so_and_one_that_has_ended_is_refused() {
    need_controllers!("pids");
    let container = limited();
    container.command::<&str>("pause", &[]).ok();
    update(&container, &["--pids-limit", "30"]).ok();
    assert_eq!((container.status().as_str(), pids(&container).as_str()), ("paused", "30"));
    container.command::<&str>("resume", &[]).ok();
    container.kill("KILL");
    container.wait();
    update(&container, &["--pids-limit", "31"]).fails_with("container not running");
    let missing = container.runtime().args(["update", "--pids-limit", "3", "no-such-container"]);
    missing.output().fails_with("does not exist");
}
