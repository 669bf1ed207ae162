//! `--restart`, `stop`, `restart` and `start` of supervised containers.
use std::fs;

use orlop_tests::Container;
use orlop_tests::events::when_file;
use rustix::process::Signal;

#[test]
fn a_failing_container_is_run_again_as_often_as_wanted() {
    let container = Container::sh("echo run; exit 9");
    container.supervise(&["--restart", "on-failure:2"]);
    assert_eq!(container.exit_status(), 9);
    let supervisor = container.supervisor();
    assert_eq!(supervisor["restarts"], 2);
    assert_eq!(supervisor["restartPolicy"], "on-failure:2");
    assert_eq!(container.logs(&[]).stdout, "run\nrun\nrun\n");
    container.delete();
}

#[test]
fn one_that_succeeds_is_not_run_again_on_failure() {
    let container = Container::sh("echo run");
    container.supervise(&["--restart", "on-failure"]);
    assert_eq!(container.exit_status(), 0);
    assert_eq!(container.supervisor()["restarts"], 0);
    container.delete();
}

#[test]
fn every_run_is_a_new_container_with_its_hooks() {
    let mut container = Container::sh("echo run >/ready; read _ </go");
    let (mut ready, mut go) = (container.fifo("ready"), container.fifo("go"));
    let record = container.home().join("hooks");
    for kind in ["createRuntime", "poststart", "poststop"] {
        let script = format!("echo {kind} >>{}", record.display());
        let hook = serde_json::json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}]);
        container.set(&format!("/hooks/{kind}"), hook);
    }
    container.supervise(&["--restart", "always"]);
    ready.line();
    let first = container.state()["pid"].clone();
    go.tell("");
    ready.line();
    let state = container.state();
    assert_ne!(state["pid"], first);
    assert_eq!(state["supervisor"]["restarts"], 1);
    container.command("stop", &["--time", "0"]).ok();
    container.delete();
    let expected = "createRuntime\npoststart\npoststop\ncreateRuntime\npoststart\npoststop\n";
    assert_eq!(fs::read_to_string(record).expect("hooks have run"), expected);
}

#[test]
fn stop_asks_first_and_the_container_stays_stopped() {
    let container =
        Container::sh("trap 'echo bye; exit 4' TERM; echo >/ready; while :; do sleep 1000 & wait $!; done");
    let mut ready = container.fifo("ready");
    container.supervise(&["--restart", "unless-stopped"]);
    ready.line();
    let supervisor = container.supervisor_process();
    container.command::<&str>("stop", &[]).ok();
    assert!(supervisor.ended());
    assert_eq!(container.status(), "stopped");
    assert_eq!(container.exit_status(), 4);
    assert_eq!(container.logs(&[]).stdout, "bye\n");
    // Once more is no error.
    container.command::<&str>("stop", &[]).ok();
    container.start();
    ready.line();
    assert_eq!(container.status(), "running");
    container.command::<&str>("start", &[]).output().fails_with("already running");
    container.command::<&str>("stop", &[]).ok();
    assert_eq!(container.logs(&[]).stdout, "bye\nbye\n");
    container.delete();
}

#[test]
fn who_does_not_listen_is_killed() {
    let container = Container::sh("trap '' TERM; echo >/ready; while :; do sleep 1000; done");
    let mut ready = container.fifo("ready");
    container.supervise(&["--restart", "always"]);
    ready.line();
    container.command("stop", &["-t", "1"]).ok();
    assert_eq!(container.exit_status(), 137);
    container.delete();
}

#[test]
fn the_signal_is_that_of_the_image() {
    let mut container =
        Container::sh("trap 'exit 7' USR2; echo >/ready; while :; do sleep 1000 & wait $!; done");
    let mut ready = container.fifo("ready");
    container.set("/annotations/org.opencontainers.image.stopSignal", "SIGUSR2");
    container.supervise(&[]);
    ready.line();
    container.command::<&str>("stop", &[]).ok();
    assert_eq!(container.exit_status(), 7);
    container.delete();
    container.set("/annotations/org.opencontainers.image.stopSignal", "SIGNONSENSE");
    let out = container.with_bundle("run", &["--detach", "--supervise"]).output();
    out.fails_with("unknown signal \"SIGNONSENSE\"");
}

#[test]
fn stop_in_the_pause_between_two_runs_ends_it() {
    let container = Container::sh("echo >/ready; exit 1");
    let mut ready = container.fifo("ready");
    container.supervise(&["--restart", "always"]);
    // The pauses have become long enough to be in one.
    (0..5).for_each(|_| drop(ready.line()));
    container.command::<&str>("stop", &[]).ok();
    let restarts = container.supervisor()["restarts"].clone();
    assert_eq!((container.status().as_str(), container.exit_status()), ("stopped", 1));
    assert_eq!(container.supervisor()["restarts"], restarts);
    container.delete();
}

#[test]
fn a_container_that_is_about_to_be_run_again_is_not_deleted() {
    let container = Container::sh("echo >/ready; exit 1");
    let mut ready = container.fifo("ready");
    container.supervise(&["--restart", "always"]);
    (0..5).for_each(|_| drop(ready.line()));
    container.command::<&str>("delete", &[]).output().fails_with("that is not stopped");
    container.command("delete", &["--force"]).ok();
    container.assert_no_leaks();
}

#[test]
fn restart_runs_it_again() {
    let container =
        Container::sh("trap 'exit 0' TERM; echo $$ >/ready; while :; do sleep 1000 & wait $!; done");
    let mut ready = container.fifo("ready");
    container.supervise(&[]);
    ready.line();
    let before = container.state();
    container.command("restart", &["-t", "5"]).ok();
    ready.line();
    let after = container.state();
    assert_eq!(after["status"], "running");
    assert_ne!(after["pid"], before["pid"]);
    assert_eq!(after["created"], before["created"]);
    // One that has ended too.
    container.command::<&str>("stop", &[]).ok();
    container.command::<&str>("restart", &[]).ok();
    ready.line();
    assert_eq!(container.status(), "running");
}

#[test]
fn later_changes_of_the_bundle_have_no_effect() {
    let mut container = Container::sh("echo first");
    container.supervise(&[]);
    container.exit_status();
    container.set("/process/args", vec!["sh", "-c", "echo second"]);
    container.bundle.save();
    container.start();
    assert_eq!(container.exit_status(), 0);
    assert_eq!(container.logs(&[]).stdout, "first\nfirst\n");
}

#[test]
fn a_run_that_fails_is_told_of_and_ends_it() {
    let container = Container::sh("echo >/ready; read _ </go");
    let (mut ready, mut go) = (container.fifo("ready"), container.fifo("go"));
    container.supervise(&["--restart", "always"]);
    ready.line();
    let away = container.home().join("away");
    let rootfs = container.bundle.path().join("rootfs");
    fs::rename(&rootfs, &away).expect("it can be moved");
    go.tell("");
    container.command::<&str>("wait", &[]).output().fails_with("could not be run");
    let state = container.state();
    assert_eq!(state["status"], "stopped");
    assert!(state["supervisor"]["error"].as_str().expect("why").contains("rootfs"), "{state}");
    let out = container.command::<&str>("start", &[]).output();
    assert_eq!(out.code, 1, "{out}");
    out.fails_with("rootfs");
    fs::rename(&away, &rootfs).expect("it can be moved");
    container.start();
    ready.line();
    assert!(container.supervisor()["error"].is_null());
}

#[test]
fn stop_works_without_a_supervisor() {
    let container = Container::lasting();
    container.up();
    container.command::<&str>("stop", &[]).ok();
    assert_eq!(container.wait(), 0);
    assert_eq!(container.status(), "stopped");
    container.delete();
}

#[test]
fn a_supervisor_that_is_asked_to_end_stops_its_container() {
    let container = Container::sh("trap 'exit 6' TERM; echo >/ready; while :; do sleep 1000 & wait $!; done");
    let mut ready = container.fifo("ready");
    container.supervise(&["--restart", "always"]);
    ready.line();
    let supervisor = container.supervisor_process();
    supervisor.signal(Signal::HUP).expect("it runs");
    supervisor.signal(Signal::TERM).expect("it runs");
    assert_eq!(container.exit_status(), 6);
    container.delete();
}

#[test]
fn runs_leave_no_descriptors_behind() {
    let container = Container::sh("echo run; read _ </go");
    let mut go = container.fifo("go");
    container.supervise(&["--restart", "always"]);
    let following = container.command("logs", &["--follow"]).spawn();
    let pid = container.supervisor()["pid"].clone();
    let descriptors = |runs: usize| {
        // What is written is read once everything else that belongs to a start is done.
        when_file(following.stdout_file(), |text| text == "run\n".repeat(runs));
        fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count()
    };
    let before = descriptors(1);
    for runs in 2..5 {
        go.tell("");
        assert_eq!(descriptors(runs), before);
    }
    container.command("stop", &["--time", "0"]).ok();
    following.wait().ok();
}
