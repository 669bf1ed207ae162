//! `pause` and `resume`: the freezer.
use std::fs;
use std::time::Duration;

use orlop_tests::{Container, Fifo, cgroup};

/// A container that writes ticks into a fifo as long as it can.
fn ticking() -> (Container, Fifo) {
    let container = Container::sh("while :; do echo tick >/ticks; sleep 0.01; done");
    let mut ticks = container.fifo("ticks");
    container.up();
    ticks.line();
    (container, ticks)
}

/// Whether the kernel says that a process's cgroup is frozen, on whichever hierarchy the runtime chose.
fn frozen(pid: i32) -> bool {
    let v1 = || {
        let (version, directory) = cgroup::directory(pid, "freezer");
        let state = fs::read_to_string(directory.join("freezer.state")).unwrap_or_default();
        version == cgroup::Version::V1 && state.trim() == "FROZEN"
    };
    let events = cgroup::unified_directory(pid).map(|directory| directory.join("cgroup.events"));
    let v2 = events.is_some_and(|path| fs::read_to_string(path).is_ok_and(|text| text.contains("frozen 1")));
    v2 || v1()
}

#[test]
fn pause_stops_every_process_and_resume_lets_them_go_on() {
    let (container, mut ticks) = ticking();
    container.command::<&str>("pause", &[]).ok();
    assert!(frozen(container.pid()), "when pause returns, the kernel has frozen them");
    assert_eq!(container.status(), "paused");
    ticks.drain();
    assert_eq!(ticks.line_within(Duration::from_millis(300)), None, "no tick while frozen");
    assert!(frozen(container.pid()), "and still frozen");
    container.command::<&str>("resume", &[]).ok();
    assert!(!frozen(container.pid()));
    assert_eq!(container.status(), "running");
    assert_eq!(ticks.line(), "tick");
}

#[test]
fn a_container_can_be_paused_again_and_again() {
    let (container, mut ticks) = ticking();
    for _ in 0..5 {
        container.command::<&str>("pause", &[]).ok();
        ticks.drain();
        assert!(frozen(container.pid()));
        container.command::<&str>("resume", &[]).ok();
        ticks.line();
    }
}

#[test]
fn pause_of_a_container_that_is_not_running_is_an_error() {
    let container = Container::sh("exit 0");
    container.up();
    container.wait();
    let out = container.command::<&str>("pause", &[]).output();
    assert_ne!(out.code, 0, "{out}");
    assert_eq!(container.status(), "stopped");
}

#[test]
fn resume_of_a_container_that_is_not_paused_is_an_error() {
    let (container, _ticks) = ticking();
    let out = container.command::<&str>("resume", &[]).output();
    assert_ne!(out.code, 0, "{out}");
    assert_eq!(container.status(), "running");
}

#[test]
fn a_paused_container_is_in_the_list_as_paused() {
    let (container, _ticks) = ticking();
    container.command::<&str>("pause", &[]).ok();
    let out = container.runtime().args(["list", "--format", "json"]).ok();
    let list: serde_json::Value = serde_json::from_str(&out.stdout).expect("JSON");
    assert_eq!(list[0]["status"], "paused");
}

#[test]
fn delete_by_force_removes_a_paused_container() {
    let (container, _ticks) = ticking();
    container.command::<&str>("pause", &[]).ok();
    container.command("delete", &["--force"]).ok();
    container.assert_no_leaks();
    assert_eq!(container.wait(), 128 + 9);
}

#[test]
fn kill_reaches_a_paused_container_at_the_latest_when_it_is_resumed() {
    let (container, _ticks) = ticking();
    container.command::<&str>("pause", &[]).ok();
    container.kill("KILL");
    // A runtime that thaws it for SIGKILL has nothing left to resume.
    container.command::<&str>("resume", &[]).output();
    assert_eq!(container.wait(), 128 + 9);
}
