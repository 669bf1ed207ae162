//! The time namespace: new with offsets, joined, and entered by `exec` and hooks.
use std::fs;

use orlop_tests::spec::{HOST_ID, add_user_namespace};
use orlop_tests::{Container, need};
use serde_json::{Value, json};

const OFFSETS: &str = "cat /proc/self/timens_offsets";

/// Clock, seconds and nanoseconds, line by line.
fn words(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

fn kernel_has_them() -> bool {
    fs::exists("/proc/self/timens_offsets").is_ok_and(|there| there)
}

/// A container in a time namespace of its own.
fn in_namespace(mut container: Container, offsets: Value) -> Container {
    container.push("/linux/namespaces", json!({"type": "time"})).set("/linux/timeOffsets", offsets);
    container
}

fn some_offsets() -> Value {
    json!({
        "monotonic": {"secs": 7881, "nanosecs": 2_718_281},
        "boottime": {"secs": 1_000_000, "nanosecs": 3_141_519}
    })
}

const EXPECTED: [[&str; 3]; 2] = [["monotonic", "7881", "2718281"], ["boottime", "1000000", "3141519"]];

#[test]
fn clocks_are_offset_as_configured() {
    need!(kernel_has_them(), "a kernel without time namespaces");
    let container = in_namespace(Container::sh(&format!("{OFFSETS}; cat /proc/uptime")), some_offsets());
    let out = container.run().ok();
    let lines = words(&out.stdout);
    assert_eq!(lines[..2], EXPECTED, "{out}");
    let uptime: f64 = lines[2][0].parse().expect("a number");
    let on_host = fs::read_to_string("/proc/uptime").expect("procfs is mounted");
    let on_host: f64 = on_host.split(' ').next().and_then(|text| text.parse().ok()).expect("a number");
    assert!((uptime - on_host - 1e6).abs() < 60.0, "{uptime}, on the host {on_host}");
}

#[test]
fn without_offsets_the_clocks_are_the_hosts_but_the_namespace_is_new() {
    need!(kernel_has_them(), "a kernel without time namespaces");
    let script = format!("{OFFSETS}; readlink /proc/self/ns/time; readlink /proc/self/ns/time_for_children");
    let out = in_namespace(Container::sh(&script), Value::Null).run().ok();
    let lines = words(&out.stdout);
    assert_eq!(lines[..2], [["monotonic", "0", "0"], ["boottime", "0", "0"]], "{out}");
    assert_eq!(lines[2], lines[3], "children are in the same");
    let own = fs::read_link("/proc/self/ns/time").expect("a link");
    assert_ne!(lines[2][0], own.to_string_lossy());
}

#[test]
fn a_clock_may_go_back() {
    need!(kernel_has_them(), "a kernel without time namespaces");
    let out = in_namespace(Container::sh(OFFSETS), json!({"boottime": {"secs": -1, "nanosecs": 5}})).run();
    assert_eq!(words(&out.ok().stdout)[1], ["boottime", "-1", "5"]);
    // Further than the machine is up: the kernel refuses, and nothing is left.
    let container = in_namespace(Container::sh(OFFSETS), json!({"boottime": {"secs": -4_000_000_000_i64}}));
    let out = container.run();
    assert!(out.code == 1 && out.stderr.contains("ERANGE"), "{out}");
    container.assert_no_leaks();
}

#[test]
fn exec_and_hooks_are_in_the_namespace() {
    need!(kernel_has_them(), "a kernel without time namespaces");
    let mut container = in_namespace(Container::lasting(), some_offsets());
    let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", format!("{OFFSETS} >/tmp/hook")]});
    container
        .push("/hooks/startContainer", hook)
        .push("/mounts", json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}));
    container.up();
    assert_eq!(words(&container.exec(&["sh", "-c", OFFSETS]).ok().stdout), EXPECTED);
    assert_eq!(words(&container.exec(&["cat", "/tmp/hook"]).ok().stdout), EXPECTED);
    let of = |who: &str| fs::read_link(format!("/proc/{who}/ns/time")).expect("it runs");
    let added = container.exec_detached(&[], &["sleep", "1000"]);
    assert_eq!(of(&added.pid().to_string()), of(&container.pid().to_string()));
}

#[test]
fn a_user_namespace_owns_it() {
    need!(kernel_has_them(), "a kernel without time namespaces");
    let mut container = in_namespace(Container::lasting(), some_offsets());
    add_user_namespace(&mut container.bundle.config, &[(0, HOST_ID, 65536)]);
    container.up();
    assert_eq!(words(&container.exec(&["sh", "-c", OFFSETS]).ok().stdout), EXPECTED);
    // Root of the user namespace, and of nothing else, may enter it.
    let pid = container.pid().to_string();
    let script = "nsenter -t $0 -U nsenter -t $0 -T cat /proc/self/timens_offsets";
    let out = std::process::Command::new("sh").args(["-c", script, &pid]).output().expect("a shell");
    assert_eq!(words(&String::from_utf8_lossy(&out.stdout)), EXPECTED, "{out:?}");
}

#[test]
fn the_namespace_of_another_container_can_be_joined() {
    need!(kernel_has_them(), "a kernel without time namespaces");
    for user_namespace in [false, true] {
        let first = in_namespace(Container::lasting(), some_offsets());
        first.up();
        let mut second = Container::sh(OFFSETS);
        if user_namespace {
            add_user_namespace(&mut second.bundle.config, &[(0, HOST_ID, 65536)]);
        }
        let path = format!("/proc/{}/ns/time", first.pid());
        second.push("/linux/namespaces", json!({"type": "time", "path": path}));
        assert_eq!(words(&second.run().ok().stdout), EXPECTED, "user namespace: {user_namespace}");
    }
}

#[test]
fn a_namespace_of_another_kind_is_refused() {
    need!(kernel_has_them(), "a kernel without time namespaces");
    let mut container = Container::sh("true");
    container.push("/linux/namespaces", json!({"type": "time", "path": "/proc/self/ns/net"}));
    let out = container.run();
    assert!(out.code == 1 && out.stderr.contains("join the time namespace /proc/self/ns/net"), "{out}");
    container.assert_no_leaks();
}
