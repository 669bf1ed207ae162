//! Health checks of supervised containers: `--health-cmd` and what belongs to it.
use std::fs;
use std::time::{Duration, Instant};

use orlop_tests::Container;
use serde_json::Value;

const OFTEN: [&str; 2] = ["--health-interval", "50ms"];

/// A container whose health is checked often.
fn checked(command: &str, more: &[&str]) -> Container {
    let container = Container::lasting();
    container.supervise(&[&["--health-cmd", command], &OFTEN[..], more].concat());
    container
}

fn is(state: &Value, status: &str) -> bool {
    state["health"]["status"] == status
}

#[test]
fn a_container_is_healthy_then_not_then_again() {
    let container = Container::lasting();
    let good = container.bundle.path().join("rootfs/tmp/good");
    fs::write(&good, "").expect("it is written");
    let flags = ["--health-cmd", "echo looked; test -e /tmp/good", "--health-retries", "2"];
    container.supervise(&[&flags[..], &OFTEN].concat());
    let state = container.when_supervisor(|state| is(state, "healthy"));
    assert_eq!(state["health"]["log"][0]["output"], "looked\n");
    assert_eq!(state["health"]["log"][0]["exitCode"], 0);
    let list = container.runtime().arg("list").ok();
    assert!(list.stdout.contains(" running (healthy) "), "{list}");
    fs::remove_file(&good).expect("it was there");
    let state = container.when_supervisor(|state| is(state, "unhealthy"));
    assert!(state["health"]["failingStreak"].as_u64() >= Some(2), "{state}");
    assert_eq!(state["status"], "running", "nobody restarts it for that");
    // Only the latest five are kept.
    container.when_supervisor(|state| state["health"]["failingStreak"].as_u64() >= Some(6));
    assert_eq!(container.supervisor()["health"]["log"].as_array().map(Vec::len), Some(5));
    fs::write(&good, "").expect("it is written");
    let state = container.when_supervisor(|state| is(state, "healthy"));
    assert_eq!(state["health"]["failingStreak"], 0);
    container.command("stop", &["-t", "5"]).ok();
    container.delete();
}

#[test]
fn what_takes_too_long_has_failed_and_is_ended() {
    let container = checked("echo begun; sleep 1000", &["--health-timeout", "200ms", "--health-retries=1"]);
    let state = container.when_supervisor(|state| is(state, "unhealthy"));
    let result = &state["health"]["log"][0];
    assert_eq!(result["exitCode"], -1);
    assert_eq!(result["output"], "the check has taken longer than 200ms: begun\n");
    // At most one is left of several: the one that runs now.
    container.when_supervisor(|state| state["health"]["failingStreak"].as_u64() >= Some(3));
    let out = container.command::<&str>("top", &[]).args(["-o", "pid,args"]).ok();
    assert!(out.stdout.matches("begun; sleep").count() <= 1, "{out}");
}

#[test]
fn a_check_that_hangs_does_not_keep_a_container_from_ending() {
    let container = Container::sh("trap 'exit 3' TERM; echo >/ready; while :; do sleep 1000 & wait $!; done");
    let (mut ready, mut inside) = (container.fifo("ready"), container.fifo("inside"));
    let check = ["--health-cmd", "trap '' TERM; echo >/inside; sleep 1000"];
    container.supervise(&[&check[..], &OFTEN].concat());
    ready.line();
    inside.line();
    let began = Instant::now();
    container.command("stop", &["--time", "600"]).ok();
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(container.exit_status(), 3);
    container.delete();
}

#[test]
fn a_list_is_executed_without_a_shell() {
    let container = checked(r#"["echo", "$HOME; exit 1"]"#, &[]);
    let state = container.when_supervisor(|state| is(state, "healthy"));
    assert_eq!(state["health"]["log"][0]["output"], "$HOME; exit 1\n");
}

#[test]
fn a_check_that_cannot_be_executed_has_failed() {
    let container = checked(r#"["no-such-program"]"#, &["--health-retries", "1"]);
    let state = container.when_supervisor(|state| is(state, "unhealthy"));
    let output = state["health"]["log"][0]["output"].as_str().expect("why");
    assert!(output.contains("no-such-program"), "{state}");
}

#[test]
fn in_the_beginning_failures_do_not_count() {
    let container = checked("exit 1", &["--health-start-period", "1h", "--health-retries", "1"]);
    let enough = |state: &Value| state["health"]["log"].as_array().is_some_and(|log| log.len() >= 3);
    let state = container.when_supervisor(enough);
    assert!(is(&state, "starting"), "{state}");
    assert_eq!(state["health"]["failingStreak"], 0);
}

#[test]
fn much_output_is_cut_off() {
    let container = checked("seq 100000 >&2", &[]);
    let state = container.when_supervisor(|state| is(state, "healthy"));
    let output = state["health"]["log"][0]["output"].as_str().expect("text");
    assert_eq!(output.len(), 4096);
    assert!(output.starts_with("1\n2\n3\n"));
}

#[test]
fn a_paused_container_is_not_checked() {
    let container = Container::lasting();
    let mut looked = container.fifo("looked");
    container.supervise(&["--health-cmd", "echo >/looked", "--health-interval", "50ms"]);
    looked.line();
    container.command::<&str>("pause", &[]).ok();
    looked.drain();
    assert_eq!(looked.line_within(Duration::from_millis(300)), None);
    container.command::<&str>("resume", &[]).ok();
    looked.line();
}

#[test]
fn a_new_run_begins_with_unknown_health() {
    let container = Container::sh("echo >/ready; read _ </go");
    let (mut ready, mut go) = (container.fifo("ready"), container.fifo("go"));
    container.supervise(&["--restart=always", "--health-cmd", "true", "--health-interval", "100ms"]);
    ready.line();
    container.when_supervisor(|state| is(state, "healthy"));
    go.tell("");
    ready.line();
    container.when_supervisor(|state| state["restarts"] == 1 && is(state, "healthy"));
    container.command("stop", &["-t", "0"]).ok();
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let container = Container::lasting();
    let refused = |flags: &[&str], why: &str| {
        let flags = [&["--detach"], flags].concat();
        container.with_bundle("run", &flags).output().fails_with(why);
        container.assert_no_leaks();
    };
    refused(&["--health-interval", "5s"], "--health-interval needs --health-cmd");
    refused(&["--health-cmd", "true", "--health-retries", "0"], "invalid value");
    refused(&["--health-cmd", "true", "--health-timeout", "0s"], "is not a time");
    refused(&["--health-cmd", "[1]"], "not a list of strings");
    refused(&["--health-cmd", "[]"], "the list is empty");
}

#[test]
fn many_checks_leave_the_supervisor_as_small_as_it_was() {
    let container = Container::lasting();
    let mut looked = container.fifo("looked");
    container.supervise(&["--health-cmd", "echo >/looked", "--health-interval", "1ms"]);
    let pid = container.supervisor()["pid"].clone();
    let mut memory_after = |checks: u32| {
        (0..checks).for_each(|_| drop(looked.line()));
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("it is in status");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    let before = memory_after(5);
    let after = memory_after(100);
    assert!(after < before + 500, "from {before} kB to {after} kB");
}
