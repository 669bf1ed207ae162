//! `run` in the foreground: what it begins before it has understood its arguments, and what it removes at the end.
use std::fs;
use std::path::Path;

use orlop_tests::command::patience;
use orlop_tests::events::Fifo;
use orlop_tests::{Container, ProcessHandle, cgroup};
use rustix::process::Signal;
use serde_json::json;

/// Which network and IPC namespaces the program is in.
const NAMESPACES: &str = "readlink /proc/self/ns/net; readlink /proc/self/ns/ipc";

fn namespaces_of_ours() -> String {
    let name = |kind| fs::read_link(format!("/proc/self/ns/{kind}")).expect("a process is in one of each");
    ["net", "ipc"].map(|kind| format!("{}\n", name(kind).display())).concat()
}

/// Runs a container from a directory, with its bundle named in a form that is not guessed.
fn run_in(directory: &Path, container: &Container) -> String {
    container.bundle.save();
    let bundle = format!("-b{}", container.bundle.path().display());
    container.runtime().current_dir(directory).args(["run", &bundle, &container.id]).ok().stdout
}

#[test]
fn a_wrong_guess_at_the_bundle_is_no_matter() {
    let other = Container::new(&["false"]);
    other.bundle.save();
    let mut container = Container::sh(NAMESPACES);
    // In the directory where the command is called, a config asks for both namespaces; the one that is meant does not.
    container.bundle.remove_namespace("network").remove_namespace("ipc").remove("/mounts");
    container.push("/mounts", json!({"destination": "/proc", "type": "proc", "source": "proc"}));
    assert_eq!(run_in(other.bundle.path(), &container), namespaces_of_ours());
    // And the other way round.
    let nothing = other.home().join("nothing");
    fs::create_dir(&nothing).unwrap();
    let container = Container::sh(NAMESPACES);
    let found = run_in(&nothing, &container);
    let both = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(both(&found).iter().all(|it| !both(&namespaces_of_ours()).contains(it)), "{found}");
    let _nobody_writes_there = Fifo::make(&nothing.join("config.json"));
    assert_eq!(both(&run_in(&nothing, &container)).len(), 2);
}

#[test]
fn a_config_that_can_be_read_only_once_is_read_by_who_means_it() {
    let container = Container::new(&["echo", "hello"]);
    container.bundle.save();
    let config = fs::read(container.bundle.path().join("config.json")).unwrap();
    let run = container.with_bundle("run", &["--config", "/dev/stdin"]).input(&config);
    assert_eq!(run.ok().stdout, "hello\n");
}

#[test]
fn ipc_objects_are_the_containers_own() {
    let mut container =
        Container::sh("ls /dev/mqueue; cat /proc/sys/kernel/msgmax /proc/sys/fs/mqueue/msg_max");
    container.set("/linux/sysctl", json!({"kernel.msgmax": "7777", "fs.mqueue.msg_max": "77"}));
    for _ in 0..5 {
        assert_eq!(container.run().ok().stdout, "7777\n77\n");
    }
    assert_ne!(fs::read_to_string("/proc/sys/kernel/msgmax").unwrap(), "7777\n");
}

#[test]
fn a_container_that_has_the_id_by_then_stays() {
    let container = Container::sh("echo up > /up; exec sleep 1000");
    let mut up = container.fifo("up");
    let run = container.spawn();
    up.line();
    // It learns of nothing before the other one is there.
    run.signal(Signal::STOP);
    container.command("delete", &["--force"]).ok();
    container.create();
    run.signal(Signal::CONT);
    assert_eq!(run.wait().code, 137);
    assert_eq!(container.status(), "created");
    container.command("delete", &["--force"]).ok();
}

#[test]
fn what_an_interrupted_delete_has_left_is_removed() {
    let container = Container::sh("echo up > /up; exec sleep 1000");
    let mut up = container.fifo("up");
    let run = container.spawn();
    up.line();
    run.signal(Signal::STOP);
    let pid = container.state()["pid"].as_i64().unwrap();
    let init = ProcessHandle::open(pid as i32).unwrap();
    container.kill("KILL");
    assert!(init.wait(patience()));
    // As far as `delete` is when only its directory is left.
    let directory = container.state_root().join(&container.id);
    let groups = cgroup::named(&container.id);
    assert!(!groups.is_empty());
    groups.iter().rev().for_each(|path| fs::remove_dir(path).unwrap());
    fs::remove_file(directory.join("state.json")).unwrap();
    run.signal(Signal::CONT);
    assert_eq!(run.wait().code, 137);
    assert!(!directory.exists());
}
