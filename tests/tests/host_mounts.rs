//! Containers without a mount namespace: what they mount is among the host's mounts, until they are deleted.
use std::fs;

use orlop_tests::Container;
use orlop_tests::spec::{HOST_ID, add_user_namespace};
use serde_json::json;

/// One that is told to say what it says by this script.
fn without_namespace(script: &str) -> Container {
    let mut container = Container::sh(script);
    container.bundle.remove_namespace("mount");
    container
}

fn lasting() -> Container {
    let mut container = Container::lasting();
    container.bundle.remove_namespace("mount");
    container
}

/// How many mounts lie at or below the root file system, for us.
fn mounts(container: &Container) -> usize {
    let rootfs = container.bundle.path().join("rootfs");
    let table = fs::read_to_string("/proc/self/mountinfo").expect("procfs is mounted");
    table.lines().filter(|line| line.contains(&*rootfs.to_string_lossy())).count()
}

#[test]
fn its_root_is_the_containers_and_its_mounts_are_there() {
    let container = without_namespace("ls /; cat /proc/self/comm; test -c /dev/null && echo null; pwd");
    let out = container.run().ok();
    assert!(out.stdout.contains("bin\n") && !out.stdout.contains("boot"), "{out}");
    assert!(out.stdout.ends_with("cat\nnull\n/\n"), "{out}");
    assert!(out.stderr.contains("there is no mount namespace"), "{out}");
    assert_eq!(mounts(&container), 0);
}

#[test]
fn added_processes_and_hooks_are_in_the_same_root() {
    let mut container = lasting();
    let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", "echo hooked > /tmp/hooked"]});
    container.set("/root/readonly", false).set("/hooks", json!({"startContainer": [hook]}));
    container.up();
    assert!(mounts(&container) > 1);
    assert_eq!(container.exec(&["cat", "/tmp/hooked"]).ok().stdout, "hooked\n");
    let root = container.exec(&["ls", "/"]).ok();
    assert!(!root.stdout.contains("boot"), "{root}");
    assert_eq!(
        fs::read_to_string(container.bundle.path().join("rootfs/tmp/hooked")).expect("in it"),
        "hooked\n"
    );
    container.kill("KILL");
    container.wait();
    container.delete();
    assert_eq!(mounts(&container), 0);
}

#[test]
fn mounts_can_be_added_and_go_with_the_container() {
    let container = lasting();
    container.up();
    let list = container.home().join("mounts.json");
    let text = json!([{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["size=64k"]}]);
    fs::write(&list, text.to_string()).expect("our own directory");
    container.runtime().args(["mounts", "add", &container.id]).arg(&list).ok();
    let df = container.exec(&["df", "/tmp"]).ok();
    assert!(df.stdout.contains("64 "), "{df}");
    container.command("delete", &["--force"]).ok();
    assert_eq!(mounts(&container), 0);
}

#[test]
fn what_was_mounted_at_the_place_before_stays() {
    let container = lasting();
    let rootfs = container.bundle.path().join("rootfs");
    let rootfs = rootfs.to_str().expect("an ASCII path");
    let bind = std::process::Command::new("mount").args(["--bind", rootfs, rootfs]).status();
    assert!(bind.expect("mount starts").success());
    container.up();
    container.command("delete", &["--force"]).ok();
    let left = mounts(&container);
    // As engines do afterwards.
    let away = std::process::Command::new("umount").arg(rootfs).status();
    assert!(away.expect("umount starts").success());
    assert_eq!(left, 1, "the one that was there before");
}

#[test]
fn a_failure_takes_the_mounts_back() {
    let mut container = without_namespace("true");
    container.push("/mounts", json!({"destination": "/tmp", "type": "tmpfs", "options": ["nonsense"]}));
    container.run().fails_with("nonsense");
    assert_eq!(mounts(&container), 0);
    container.assert_no_leaks();
}

#[test]
fn it_goes_neither_with_a_user_namespace_nor_with_a_propagation() {
    let mut container = without_namespace("true");
    container.set("/linux/rootfsPropagation", "shared");
    container
        .run()
        .fails_with("/linux/rootfsPropagation: the propagation of mounts belongs to a mount namespace");
    let mut container = without_namespace("true");
    add_user_namespace(&mut container.bundle.config, &[(0, HOST_ID, 65536)]);
    container.run().fails_with("a mount namespace is missing");
}
