//! `linux.namespaces`, `uidMappings`, `gidMappings` and `sysctl` of `config-linux.md`.
use std::fs;

use orlop_tests::spec::{HOST_ID, add_user_namespace};
use orlop_tests::{Container, need};
use serde_json::json;

const LINKS: [&str; 7] = ["pid", "net", "ipc", "uts", "mnt", "user", "cgroup"];

/// The namespaces of a process, by the kernel's names for them.
fn namespaces(pid: i32) -> Vec<(&'static str, String)> {
    let link = |name| fs::read_link(format!("/proc/{pid}/ns/{name}")).expect("the process is there");
    LINKS.map(|name| (name, link(name).to_string_lossy().into_owned())).into()
}

/// The names of those namespaces that two processes do not share.
fn different(a: i32, b: i32) -> Vec<&'static str> {
    let pairs = namespaces(a).into_iter().zip(namespaces(b));
    pairs.filter(|(a, b)| a != b).map(|((name, _), _)| name).collect()
}

fn own_pid() -> i32 {
    std::process::id() as i32
}

#[test]
fn namespaces_that_are_listed_are_new_and_the_others_are_the_hosts() {
    let mut container = Container::lasting();
    container.up();
    assert_eq!(different(container.pid(), own_pid()), ["pid", "net", "ipc", "uts", "mnt"]);

    container = Container::lasting();
    container.bundle.remove_namespace("network").remove_namespace("ipc");
    container.up();
    assert_eq!(different(container.pid(), own_pid()), ["pid", "uts", "mnt"]);
}

#[test]
fn a_cgroup_namespace_shows_the_containers_cgroup_as_the_root() {
    let mut container = Container::sh("cat /proc/self/cgroup");
    container.push("/linux/namespaces", json!({"type": "cgroup"}));
    let out = container.run().ok();
    assert!(out.lines().iter().all(|line| line.ends_with(":/")), "{out}");
}

#[test]
fn a_namespace_with_a_path_is_joined() {
    let first = Container::lasting();
    first.up();
    let mut second = Container::lasting();
    for (kind, link) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("pid", "pid")] {
        second.bundle.remove_namespace(kind);
        let path = format!("/proc/{}/ns/{link}", first.pid());
        second.push("/linux/namespaces", json!({"type": kind, "path": path}));
    }
    second.bundle.remove("/hostname");
    second.up();
    assert_eq!(different(second.pid(), first.pid()), ["mnt"]);
    assert_eq!(second.exec(&["hostname"]).ok().stdout, "box\n", "the name that the first one set");
    // By itself, before the first process of the pid namespace takes everybody in it along.
    second.kill("KILL");
    assert_eq!(second.wait(), 128 + 9);
    second.delete();
}

#[test]
fn a_namespace_path_that_is_not_of_its_type_is_refused() {
    let mut container = Container::lasting();
    container.bundle.remove_namespace("network");
    container.push("/linux/namespaces", json!({"type": "network", "path": "/proc/self/ns/uts"}));
    let out = container.run();
    assert_ne!(out.code, 0, "{out}");
    container.assert_no_leaks();
}

#[test]
fn a_namespace_path_that_does_not_exist_is_refused() {
    let mut container = Container::lasting();
    container.bundle.remove_namespace("ipc");
    container.push("/linux/namespaces", json!({"type": "ipc", "path": "/no/such/namespace"}));
    container.run().fails_with("/no/such/namespace");
    container.assert_no_leaks();
}

#[test]
fn the_same_namespace_twice_is_refused() {
    let mut container = Container::lasting();
    container.push("/linux/namespaces", json!({"type": "uts"}));
    let out = container.run();
    assert_ne!(out.code, 0, "{out}");
    container.assert_no_leaks();
}

#[test]
fn the_first_process_is_pid_1_of_a_new_pid_namespace() {
    assert_eq!(Container::sh("echo $$").run().ok().stdout, "1\n");
}

#[test]
fn a_new_network_namespace_has_only_a_loopback_interface() {
    let out = Container::sh("ls /sys/class/net").run().ok();
    assert!(out.lines().contains(&"lo"), "{out}");
    assert!(!out.stdout.contains("eth"), "{out}");
}

#[test]
fn sysctl_values_are_set_in_the_containers_namespaces() {
    let mut container = Container::sh("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni");
    container.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1", "kernel.shmmni": "777"}));
    assert_eq!(container.run().ok().stdout, "1\n777\n");
}

#[test]
fn a_sysctl_that_is_not_namespaced_is_refused() {
    let mut container = Container::sh("true");
    container.set("/linux/sysctl", json!({"vm.swappiness": "1"}));
    container.run().fails_with("vm.swappiness");
    container.assert_no_leaks();
}

#[test]
fn a_sysctl_of_a_namespace_shared_with_the_host_is_refused() {
    let mut container = Container::sh("true");
    container.bundle.remove_namespace("network");
    container.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}));
    container.run().fails_with("net.ipv4.ip_forward");
}

#[test]
fn a_user_namespace_maps_root_to_an_unprivileged_user() {
    let mut container = Container::sh("cat /proc/self/uid_map; id -u; echo up >/up; sleep 1000");
    add_user_namespace(&mut container.bundle.config, &[(0, HOST_ID, 65536)]);
    let mut up = container.fifo("up");
    let running = container.spawn();
    up.line();
    let pid = container.state()["pid"].as_i64().expect("a pid") as i32;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:")).expect("Uid is in status");
    assert!(uids.split_whitespace().all(|uid| uid == HOST_ID.to_string()), "{uids}");
    container.kill("KILL");
    // Only now has the output certainly passed through the runtime's pipes.
    let out = running.wait();
    assert_eq!(out.stdout.split_whitespace().collect::<Vec<_>>(), ["0", "100000", "65536", "0"]);
}

#[test]
fn several_mappings_are_written_in_order() {
    let mut container = Container::sh("cat /proc/self/uid_map /proc/self/gid_map");
    add_user_namespace(
        &mut container.bundle.config,
        &[(0, HOST_ID, 1000), (1000, 300_000, 1), (1001, 200_000, 5000)],
    );
    let out = container.run().ok();
    let rows: Vec<Vec<&str>> = out.lines().iter().map(|line| line.split_whitespace().collect()).collect();
    let expected = [["0", "100000", "1000"], ["1000", "300000", "1"], ["1001", "200000", "5000"]];
    assert_eq!(rows, [expected, expected].concat());
}

#[test]
fn a_mapped_user_can_be_the_process_user() {
    let mut container = Container::sh("id -u; id -g; echo $HOME");
    add_user_namespace(&mut container.bundle.config, &[(0, HOST_ID, 65536)]);
    container.set("/process/user", json!({"uid": 1000, "gid": 1000, "additionalGids": [2000]}));
    assert_eq!(container.run().ok().stdout, "1000\n1000\n/home/user\n");
}

#[test]
fn an_id_that_is_not_mapped_is_refused() {
    let mut container = Container::sh("id -u");
    add_user_namespace(&mut container.bundle.config, &[(0, HOST_ID, 100)]);
    container.set("/process/user", json!({"uid": 5000, "gid": 0}));
    let out = container.run();
    assert_ne!(out.code, 0, "{out}");
    container.assert_no_leaks();
}

#[test]
fn a_user_namespace_has_its_devices_and_its_file_systems() {
    let script = "echo x >/dev/null && head -c 4 /dev/zero | wc -c && mount | grep -c ' on /proc '; ls /sys >/dev/null && echo sys";
    let mut container = Container::sh(script);
    add_user_namespace(&mut container.bundle.config, &[(0, HOST_ID, 65536)]);
    let out = container.run().ok();
    assert_eq!(out.lines()[0], "4");
    assert_eq!(out.lines().last(), Some(&"sys"));
}

#[test]
fn a_user_namespace_without_mappings_is_refused() {
    let mut container = Container::sh("true");
    container.push("/linux/namespaces", json!({"type": "user"}));
    let out = container.run();
    need!(out.code != 0 || orlop_tests::runtime::is_orlop(), "this runtime accepts it");
    assert_ne!(out.code, 0, "{out}");
    container.assert_no_leaks();
}

#[test]
fn exec_enters_the_user_namespace() {
    let mut container = Container::lasting();
    add_user_namespace(&mut container.bundle.config, &[(0, HOST_ID, 65536)]);
    container.up();
    let out = container.exec(&["sh", "-c", "id -u; cat /proc/self/uid_map"]).ok();
    assert_eq!(out.stdout.split_whitespace().collect::<Vec<_>>(), ["0", "0", "100000", "65536"]);
}

/// A container that joins the user namespace of another one, with these mappings besides the path.
fn joining(other: &Container, mapped_to: u32) -> Container {
    let mut container = Container::sh("id -u; readlink /proc/self/ns/user; readlink /proc/self/ns/net");
    add_user_namespace(&mut container.bundle.config, &[(0, mapped_to, 65536)]);
    for kind in ["user", "network"] {
        container.bundle.remove_namespace(kind);
    }
    let path = format!("/proc/{}/ns/user", other.pid());
    container.push("/linux/namespaces", json!({"type": "user", "path": path}));
    container
}

#[test]
fn a_user_namespace_is_joined_together_with_a_network_that_belongs_to_the_host() {
    let mut first = Container::lasting();
    add_user_namespace(&mut first.bundle.config, &[(0, HOST_ID, 65536)]);
    first.up();
    let mut second = joining(&first, HOST_ID);
    let path = format!("/proc/{}/ns/net", own_pid());
    second.push("/linux/namespaces", json!({"type": "network", "path": path}));
    orlop_tests::spec::bind_sys(&mut second.bundle.config);
    let user = fs::read_link(format!("/proc/{}/ns/user", first.pid())).expect("it runs");
    let net = fs::read_link("/proc/self/ns/net").expect("we have one");
    let expected = format!("0\n{}\n{}\n", user.display(), net.display());
    assert_eq!(second.run().ok().stdout, expected);
}

#[test]
fn mappings_that_a_joined_user_namespace_does_not_have_are_refused() {
    let mut first = Container::lasting();
    add_user_namespace(&mut first.bundle.config, &[(0, HOST_ID, 65536)]);
    first.up();
    let second = joining(&first, HOST_ID + 65536);
    second.run().fails_with("map");
    second.assert_no_leaks();
}
