//! "Lifecycle" and "State" of the runtime specification (`runtime.md`), and the commands that engines use for them.
use std::fs;

use orlop_tests::{Container, events, need, runtime};

#[test]
fn a_container_is_created_then_running_then_stopped_then_gone() {
    let container = Container::lasting();
    container.create();
    assert_eq!(container.status(), "created");
    container.start();
    assert_eq!(container.status(), "running");
    container.kill("KILL");
    assert_eq!(container.wait(), 128 + 9);
    assert_eq!(container.status(), "stopped");
    container.delete();
    container.command::<&str>("state", &[]).output().fails_with("does not exist");
}

#[test]
fn create_must_not_run_the_user_specified_program() {
    let container = Container::sh("echo ran >/ran");
    let mut ran = container.fifo("ran");
    container.create();
    assert_eq!(container.status(), "created");
    assert_eq!(ran.line_within(std::time::Duration::from_millis(300)), None, "it ran before start");
    container.start();
    assert_eq!(ran.line(), "ran");
    assert_eq!(container.wait(), 0);
}

#[test]
fn state_has_the_members_that_the_specification_requires() {
    let mut container = Container::lasting();
    container.set("/annotations/org.example.key", "value");
    container.create();
    let state = container.state();
    assert_eq!(state["id"], container.id.as_str());
    assert_eq!(state["status"], "created");
    assert_eq!(state["pid"], container.pid());
    assert_eq!(state["bundle"], container.bundle.path().to_string_lossy().as_ref());
    assert_eq!(state["annotations"]["org.example.key"], "value");
    let version = state["ociVersion"].as_str().expect("ociVersion is a string");
    assert!(version.starts_with("1."), "{version}");
    container.start();
    let running = container.state();
    assert_eq!((&running["status"], &running["pid"]), (&"running".into(), &state["pid"]));
}

#[test]
fn the_pid_file_names_the_first_process() {
    let container = Container::lasting();
    container.create();
    let status = fs::read_to_string(format!("/proc/{}/status", container.pid())).expect("it is running");
    let inside = status.lines().find_map(|line| line.strip_prefix("NSpid:")).expect("NSpid is in status");
    assert_eq!(inside.split_whitespace().last(), Some("1"), "pid 1 in its own pid namespace");
}

#[test]
fn a_bundle_given_by_a_relative_path_is_found_and_recorded_absolute() {
    let container = Container::lasting();
    container.bundle.save();
    let parent = container.bundle.path().parent().expect("a parent");
    let flags = ["--bundle", "bundle", "--pid-file", "../ignored-pid"];
    container.runtime().arg("create").args(&flags[..2]).arg(&container.id).current_dir(parent).ok();
    let bundle = container.state()["bundle"].as_str().expect("a string").to_owned();
    assert_eq!(bundle, container.bundle.path().to_string_lossy());
}

#[test]
fn without_bundle_flag_the_working_directory_is_the_bundle() {
    let container = Container::sh("echo here");
    container.bundle.save();
    let out = container.runtime().args(["run", &container.id]).current_dir(container.bundle.path()).ok();
    assert_eq!(out.stdout, "here\n");
}

#[test]
fn run_gives_the_containers_exit_code() {
    for code in [0, 1, 7, 125, 255] {
        let container = Container::sh(&format!("exit {code}"));
        assert_eq!(container.run().code, code);
        container.assert_no_leaks();
    }
}

#[test]
fn run_gives_128_plus_n_for_a_signal() {
    // In the host's pid namespace: the first process of a new one is deaf to signals it has no handler for.
    for (name, number) in [("KILL", 9), ("TERM", 15), ("SEGV", 11)] {
        let mut container = Container::sh("echo up >/up; while :; do sleep 1000; done");
        container.bundle.remove_namespace("pid");
        let mut up = container.fifo("up");
        let running = container.spawn();
        up.line();
        container.kill(name);
        let out = running.wait();
        assert_eq!(out.code, 128 + number, "{name}: {out}");
    }
}

#[test]
fn run_in_the_foreground_passes_signals_on() {
    let container =
        Container::sh("trap 'exit 42' USR1; echo up >/up; while :; do sleep 1000 & wait $!; done");
    let mut up = container.fifo("up");
    let running = container.spawn();
    up.line();
    running.signal(rustix::process::Signal::USR1);
    assert_eq!(running.wait().code, 42);
}

#[test]
fn kill_reaches_the_first_process_by_name_and_by_number() {
    for signal in ["TERM", "SIGTERM", "15"] {
        let container =
            Container::sh("trap 'exit 5' TERM; echo up >/up; while :; do sleep 1000 & wait $!; done");
        let mut up = container.fifo("up");
        container.up();
        up.line();
        container.kill(signal);
        assert_eq!(container.wait(), 5, "{signal}");
    }
}

#[test]
fn kill_without_a_signal_means_sigterm() {
    let container = Container::sh("trap 'exit 6' TERM; echo up >/up; while :; do sleep 1000 & wait $!; done");
    let mut up = container.fifo("up");
    container.up();
    up.line();
    container.command::<&str>("kill", &[]).ok();
    assert_eq!(container.wait(), 6);
}

#[test]
fn kill_of_an_unknown_signal_is_refused() {
    let container = Container::lasting();
    container.up();
    for signal in ["SIGNONSENSE", "999"] {
        let out = container.command::<&str>("kill", &[]).arg(signal).output();
        assert_ne!(out.code, 0, "{signal:?}: {out}");
    }
    assert_eq!(container.status(), "running");
}

#[test]
fn kill_of_a_container_that_is_neither_created_nor_running_is_an_error() {
    let container = Container::sh("exit 0");
    container.up();
    container.wait();
    let kill = container.command::<&str>("kill", &[]).arg("TERM").output();
    kill.fails_with("container not running");
}

#[test]
fn a_created_container_can_be_killed() {
    let container = Container::lasting();
    container.create();
    container.kill("KILL");
    assert_eq!(container.wait(), 128 + 9);
    assert_eq!(container.status(), "stopped");
    container.delete();
}

#[test]
fn start_of_a_container_that_is_not_created_is_an_error() {
    let container = Container::lasting();
    container.up();
    let again = container.command::<&str>("start", &[]).output();
    assert_ne!(again.code, 0, "{again}");
    assert_eq!(container.status(), "running", "and it has no effect");
    container.kill("KILL");
    container.wait();
    let stopped = container.command::<&str>("start", &[]).output();
    assert_ne!(stopped.code, 0, "{stopped}");
}

#[test]
fn a_program_that_cannot_be_executed_fails_start_or_create() {
    let container = Container::new(&["/no/such/program"]);
    let flags = ["--pid-file".into(), container.pid_file()].map(|flag: std::path::PathBuf| flag);
    let create = container.with_bundle("create", &flags).output();
    if create.code == 0 {
        container.adopt();
        let start = container.command::<&str>("start", &[]).output();
        assert_ne!(start.code, 0, "{start}");
    } else {
        assert!(create.stderr.contains("/no/such/program"), "{create}");
        container.assert_no_leaks();
    }
}

#[test]
fn delete_of_a_container_that_is_not_stopped_is_an_error() {
    let container = Container::lasting();
    container.up();
    let out = container.command::<&str>("delete", &[]).output();
    assert_ne!(out.code, 0, "{out}");
    assert_eq!(container.status(), "running", "and it has no effect");
}

#[test]
fn delete_by_force_ends_a_running_container_and_leaves_nothing() {
    let container = Container::lasting();
    container.up();
    container.command("delete", &["--force"]).ok();
    container.assert_no_leaks();
    assert_eq!(container.wait(), 128 + 9);
}

#[test]
fn delete_by_force_removes_a_created_container() {
    let container = Container::lasting();
    container.create();
    container.command("delete", &["-f"]).ok();
    container.assert_no_leaks();
}

#[test]
fn delete_removes_what_the_containers_first_process_left_running() {
    let mut container = Container::sh("sleep 1000 & echo up >/up; exit 0");
    container.bundle.remove_namespace("pid");
    let mut up = container.fifo("up");
    container.up();
    up.line();
    container.wait();
    container.command("delete", &["--force"]).ok();
    container.assert_no_leaks();
}

#[test]
fn commands_on_an_id_that_does_not_exist_say_so() {
    let container = Container::lasting();
    for command in ["state", "start", "kill", "delete", "pause", "resume", "ps"] {
        container.command::<&str>(command, &[]).output().fails_with("does not exist");
    }
    container.exec(&["true"]).fails_with("does not exist");
}

#[test]
fn delete_by_force_of_an_id_that_does_not_exist_succeeds() {
    let container = Container::lasting();
    let out = container.command("delete", &["--force"]).output();
    assert_eq!(out.code, 0, "{out}");
}

#[test]
fn an_id_in_use_is_refused_and_its_owner_is_not_disturbed() {
    let container = Container::lasting();
    container.up();
    let again = container.with_bundle::<&str>("create", &[]).output();
    assert_ne!(again.code, 0, "{again}");
    assert!(again.stderr.contains("exist"), "{again}");
    assert_eq!(container.status(), "running");
}

#[test]
fn an_id_can_be_used_again_after_delete() {
    let container = Container::sh("echo again");
    for _ in 0..3 {
        container.up();
        assert_eq!(container.wait(), 0);
        container.delete();
    }
}

#[test]
fn list_shows_every_container_of_its_root_with_its_status() {
    let container = Container::lasting();
    let empty = container.runtime().args(["list", "--quiet"]).ok();
    assert_eq!(empty.stdout, "");
    container.up();
    let quiet = container.runtime().args(["list", "--quiet"]).ok();
    assert_eq!(quiet.lines(), [container.id.as_str()]);
    let table = container.runtime().arg("list").ok();
    let words: Vec<&str> = table.lines()[0].split_whitespace().collect();
    assert_eq!(words, ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
    assert!(table.lines()[1].contains("running"), "{table}");
    let json = container.runtime().args(["list", "--format", "json"]).ok();
    let list: serde_json::Value = serde_json::from_str(&json.stdout).expect("a JSON list");
    assert_eq!(list[0]["id"], container.id.as_str());
    assert_eq!(list[0]["pid"], container.pid());
    assert_eq!(list[0]["status"], "running");
}

#[test]
fn run_detached_returns_at_once_and_the_container_goes_on() {
    let container = Container::lasting();
    let flags = ["--detach".into(), "--pid-file".into(), container.pid_file()];
    container.with_bundle::<std::path::PathBuf>("run", &flags).ok();
    container.adopt();
    assert_eq!(container.status(), "running");
    container.kill("TERM");
    container.wait();
    container.delete();
}

#[test]
fn run_keep_leaves_the_stopped_container_for_delete() {
    let container = Container::sh("exit 4");
    let version = container.runtime().args(["run", "--help"]).output();
    need!(version.stdout.contains("--keep"), "{} has no run --keep", runtime::version());
    assert_eq!(container.with_bundle("run", &["--keep"]).output().code, 4);
    assert_eq!(container.status(), "stopped");
    container.delete();
}

#[test]
fn ps_lists_the_containers_processes_by_their_host_ids() {
    let container = Container::sh("sleep 1000 & echo up >/up; wait");
    let mut up = container.fifo("up");
    container.up();
    up.line();
    let json = container.command("ps", &["--format", "json"]).ok();
    let pids: Vec<i32> = serde_json::from_str(&json.stdout).expect("a JSON list of numbers");
    assert!(pids.contains(&container.pid()), "{pids:?}");
    assert_eq!(pids.len(), 2, "{pids:?}");
    let table = container.command::<&str>("ps", &[]).ok();
    assert!(table.lines()[0].contains("PID"), "{table}");
    assert_eq!(table.lines().len(), 3, "{table}");
}

#[test]
fn the_configuration_is_read_at_create_and_later_edits_have_no_effect() {
    let container = Container::sh("echo first");
    container.create();
    let path = container.bundle.path().join("config.json");
    let edited = fs::read_to_string(&path).expect("it is there").replace("echo first", "echo second");
    fs::write(&path, edited).expect("it is ours");
    container.start();
    container.wait();
    // The created container's standard output is that of `create`.
    let outputs = fs::read_dir(container.io()).expect("it is there").flatten();
    let text: String = outputs.filter_map(|file| fs::read_to_string(file.path()).ok()).collect();
    assert!(text.contains("first") && !text.contains("second"), "{text}");
}

#[test]
fn output_of_a_created_container_goes_where_creates_output_went() {
    let container = Container::sh("echo to-out; echo to-err >&2");
    let flags = ["--pid-file".into(), container.pid_file()];
    let create = container.with_bundle::<std::path::PathBuf>("create", &flags).spawn();
    let file = create.stdout_file().to_owned();
    create.wait().ok();
    container.adopt();
    container.start();
    container.wait();
    assert_eq!(events::when_file(&file, |text| text.ends_with('\n')), "to-out\n");
}

#[test]
fn the_log_goes_to_the_file_given_and_in_the_format_given() {
    let container = Container::new(&["/no/such/program"]);
    let log = container.home().join("log.json");
    container.bundle.save();
    let globals = ["--log", &log.to_string_lossy(), "--log-format", "json"].map(str::to_owned);
    let out = container.runtime().args(globals).args(["run", "--bundle"]);
    let out = out.arg(container.bundle.path()).arg(&container.id).output();
    assert_ne!(out.code, 0, "{out}");
    let text = fs::read_to_string(&log).expect("the log is written");
    let last: serde_json::Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["level"], "error", "{text}");
    assert!(last["msg"].as_str().is_some_and(|msg| msg.contains("/no/such/program")), "{text}");
    assert!(last["time"].is_string(), "{text}");
}
