//! `delete` and `kill` of several containers, and of those whose first process has gone.
use std::fs;

use orlop_tests::cgroup;
use orlop_tests::events::when_file;
use orlop_tests::{Container, Invocation};
use rustix::process::Signal;

/// A running container among those of another, whose state root it shares.
fn beside(first: &Container, id: &str) -> String {
    let id = format!("{}-{id}", first.id);
    first.bundle.save();
    let run = first.runtime().args(["run", "--detach", "--bundle"]).arg(first.bundle.path());
    run.arg(&id).ok();
    id
}

fn ids(container: &Container) -> Vec<String> {
    let out = container.runtime().args(["list", "-q"]).ok();
    out.lines().into_iter().map(str::to_owned).collect()
}

fn on(container: &Container, command: &str) -> Invocation {
    container.runtime().arg(command)
}

#[test]
fn several_ids_are_deleted_and_one_that_is_missing_does_not_stop_it() {
    let container = Container::lasting();
    let (a, b) = (beside(&container, "a"), beside(&container, "b"));
    on(&container, "delete").args(["--force", &a, "no-such-container", &b]).ok();
    assert_eq!(ids(&container), Vec::<String>::new());
    let a = beside(&container, "a");
    let b = beside(&container, "b");
    let out = on(&container, "delete").args([&a, &b]).output().fails_with("that is not stopped");
    assert_eq!(out.stderr.matches("that is not stopped").count(), 2, "{out}");
    on(&container, "delete").args(["-f", "no-such-container", &a, &b]).ok();
    assert_eq!(ids(&container), Vec::<String>::new());
}

#[test]
fn a_pattern_stands_for_all_that_it_matches() {
    let container = Container::lasting();
    let all = ["x1", "x2", "y1"].map(|id| beside(&container, id));
    on(&container, "kill").args(["--regex", ".x[0-9]$", "KILL"]).ok();
    let running = |id: &str| on(&container, "state").arg(id).ok().stdout.contains("\"status\": \"running\"");
    // The third is untouched; those that were killed are gone in a moment, when delete without force takes them.
    assert!(running(&all[2]));
    on(&container, "delete").args(["--force", "--regex", "x.$"]).ok();
    assert_eq!(ids(&container), [all[2].clone()]);
    on(&container, "delete").args(["-r", "-f", "."]).ok();
    assert_eq!(ids(&container), Vec::<String>::new());
}

#[test]
fn kill_reaches_all_processes_where_there_is_no_pid_namespace() {
    let mut container = Container::lasting();
    container.bundle.remove_namespace("pid");
    container.up();
    let other = container.exec_detached(&[], &["sleep", "1000"]);
    let events = cgroup::unified_directory(container.pid()).expect("a cgroup").join("cgroup.events");
    // Its first process ends, the other does not.
    let init = orlop_tests::ProcessHandle::open(container.pid()).expect("it runs");
    init.signal(Signal::KILL).expect("it runs");
    container.wait();
    assert_eq!(container.status(), "stopped");
    assert!(fs::read_to_string(&events).expect("it is there").contains("populated 1"));
    container.kill("KILL");
    assert_eq!(other.reap(), Some(137));
    container.take_detached();
    when_file(&events, |text| text.contains("populated 0"));
    container.command::<&str>("kill", &[]).arg("KILL").output().fails_with("container not running");
    container.delete();
}

#[test]
fn without_cgroups_a_container_stays_where_its_maker_is() {
    let mut container = Container::lasting();
    container.bundle.remove("/linux/resources");
    container.bundle.save();
    let disabled = || container.runtime().args(["--cgroup-manager", "disabled"]);
    let create = disabled().args(["create", "--bundle"]).arg(container.bundle.path());
    create.arg("--pid-file").arg(container.pid_file()).arg(&container.id).ok();
    container.adopt();
    let mine = fs::read_to_string("/proc/self/cgroup").expect("procfs is mounted");
    let its = fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).expect("it waits");
    assert_eq!(mine, its);
    disabled().args(["start", &container.id]).ok();
    disabled().args(["exec", &container.id, "true"]).ok();
    disabled().args(["pause", &container.id]).output().fails_with("has no cgroup of its own");
    disabled().args(["kill", &container.id, "KILL"]).ok();
    assert_eq!(container.wait(), 137);
    container.delete();
    container.set("/linux/resources/pids/limit", 7);
    container.bundle.save();
    let create = container.runtime().args(["--cgroup-manager", "disabled", "create", "--bundle"]);
    create
        .arg(container.bundle.path())
        .arg(&container.id)
        .output()
        .fails_with("a limit needs a cgroup, and cgroups are disabled");
}
