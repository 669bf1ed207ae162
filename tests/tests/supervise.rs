//! Supervised containers: `run --detach --supervise`, and `state`, `list`, `wait`, `delete` of them.
use std::fs;
use std::io::Read as _;

use orlop_tests::command::patience;
use orlop_tests::rootless::Rootless;
use orlop_tests::{Container, ProcessHandle, need};
use rustix::process::Signal;

/// One that stays until it is told to end, and says when it runs.
fn lasting() -> Container {
    Container::sh("echo up >/ready; read _ </go; exit 3")
}

#[test]
fn with_rm_nothing_is_left_once_it_has_ended() {
    let container = lasting();
    let (mut ready, mut go) = (container.fifo("ready"), container.fifo("go"));
    container.with_bundle("run", &["--detach", "--rm"]).ok();
    ready.line();
    let supervisor = container.supervisor_process();
    go.tell("");
    assert!(supervisor.wait(patience()), "the supervisor does not end");
    container.assert_no_leaks();
    container
        .with_bundle("run", &["-d", "--rm", "--restart", "always"])
        .output()
        .fails_with("is not run again");
    container.assert_no_leaks();
}

#[test]
fn how_it_ended_and_what_it_wrote_is_kept() {
    let container = lasting();
    let (mut ready, mut go) = (container.fifo("ready"), container.fifo("go"));
    container.supervise(&[]);
    ready.line();
    let state = container.state();
    assert_eq!(state["status"], "running");
    assert_eq!(state["supervisor"]["status"], "running");
    assert!(state["supervisor"]["exitCode"].is_null() && state["supervisor"]["finished"].is_null());
    let waiting = container.command::<&str>("wait", &[]).spawn();
    go.tell("");
    let waited = waiting.wait().ok();
    assert_eq!(waited.stdout, "3\n");
    let state = container.state();
    assert_eq!((&state["status"], &state["pid"]), (&"stopped".into(), &0.into()));
    let supervisor = &state["supervisor"];
    assert_eq!(supervisor["status"], "ended");
    assert_eq!(supervisor["exitCode"], 3);
    assert_eq!(supervisor["pid"], 0);
    let moment = |name: &str| supervisor[name].as_str().expect("a time").to_owned();
    assert!(moment("started") < moment("finished"), "{supervisor}");
    let list = container.runtime().arg("list").ok();
    assert!(list.stdout.contains(" stopped (3) "), "{list}");
    // As often as one likes.
    assert_eq!(container.exit_status(), 3);
    container.delete();
}

#[test]
fn a_signal_is_an_exit_status_too() {
    let container = Container::sh("kill -9 $$; sleep 1000");
    container.supervise(&[]);
    // The first process of a namespace does not die of its own signals, but of ours.
    container.kill("KILL");
    assert_eq!(container.exit_status(), 137);
    container.delete();
}

#[test]
fn several_are_waited_for_and_what_is_no_supervised_container_is_an_error() {
    let first = Container::sh("exit 4");
    first.supervise(&[]);
    let out = first.runtime().args(["wait", &first.id, "no-such-container", &first.id]).output();
    assert_eq!(out.fails_with("does not exist").stdout, "4\n4\n");
}

#[test]
fn without_being_asked_for_there_is_no_supervisor() {
    let container = Container::lasting();
    let file = container.pid_file();
    container.with_bundle("run", &["--detach", "--pid-file", &file.to_string_lossy()]).ok();
    container.adopt();
    assert!(container.supervisor().is_null());
    for command in ["wait", "logs", "restart"] {
        container.command::<&str>(command, &[]).output().fails_with("has no supervisor");
    }
    // Engines reap it themselves.
    container.kill("KILL");
    assert_eq!(container.wait(), 137);
    container.delete();
}

#[test]
fn delete_ends_both() {
    let container = Container::lasting();
    container.supervise(&["--restart", "always"]);
    let supervisor = container.supervisor_process();
    container.command::<&str>("delete", &[]).output().fails_with("that is not stopped");
    container.command("delete", &["--force"]).ok();
    assert!(supervisor.ended());
    container.assert_no_leaks();
    container.command::<&str>("state", &[]).output().fails_with("does not exist");
}

#[test]
fn a_killed_supervisor_leaves_a_container_that_can_be_handled() {
    let container = lasting();
    let (mut ready, mut go) = (container.fifo("ready"), container.fifo("go"));
    container.supervise(&["--restart", "always"]);
    ready.line();
    let supervisor = container.supervisor_process();
    supervisor.signal(Signal::KILL).expect("it runs");
    supervisor.reap();
    let state = container.state();
    assert_eq!((&state["status"], &state["supervisor"]["status"]), (&"running".into(), &"lost".into()));
    assert_eq!(container.exec(&["echo", "still here"]).ok().stdout, "still here\n");
    let init = ProcessHandle::open(state["pid"].as_i64().expect("a number") as i32).expect("it runs");
    let waiting = container.command::<&str>("wait", &[]).spawn();
    go.tell("");
    waiting.wait().fails_with("was killed, so how the container has ended is not known");
    init.reap();
    let state = container.state();
    assert_eq!(state["status"], "stopped");
    assert!(state["supervisor"]["exitCode"].is_null(), "{state}");
    // It can be run again, in the care of a new one.
    container.start();
    ready.line();
    assert_eq!(container.supervisor()["status"], "running");
    container.command("delete", &["--force"]).ok();
    container.assert_no_leaks();
}

#[test]
fn a_container_that_cannot_be_run_is_refused_and_leaves_nothing() {
    let mut container = Container::new(&["no-such-program"]);
    let out = container.with_bundle("run", &["--detach", "--supervise"]).output();
    assert_eq!(out.code, 1, "{out}");
    let out = out.fails_with("no-such-program");
    assert_eq!(out.stderr.lines().count(), 1, "it is said once: {out}");
    container.assert_no_leaks();
    container.set("/linux/namespaces/0/type", "nonsense");
    let out = container.with_bundle("run", &["--detach", "--supervise"]).output();
    let config = container.bundle.path().join("config.json");
    out.fails_with(&config.to_string_lossy());
    container.assert_no_leaks();
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let container = Container::lasting();
    let refused = |flags: &[&str], why: &str| {
        container.with_bundle("run", flags).output().fails_with(why);
        container.assert_no_leaks();
    };
    refused(&["--supervise"], "need --detach");
    refused(&["--restart", "always"], "need --detach");
    refused(&["--rm", "--keep"], "--rm and --keep");
    refused(&["--detach", "--restart", "sometimes"], "none of no, on-failure");
    refused(&["--detach", "--log-opt", "max-size=much"], "not an amount of memory");
    refused(&["--detach", "--log-opt", "max-file=0"], "not a number of files");
    refused(&["--detach", "--log-opt", "compress=true"], "there are max-size");
    refused(&["--detach", "--log-driver", "syslog"], "invalid value");
    refused(
        &["--detach", "--log-driver", "none", "--log-opt", "max-file=2"],
        "is for --log-driver json-file",
    );
    refused(&["--detach", "--supervise", "--preserve-fds", "1"], "cannot be had with a supervisor");
    refused(&["--detach", "--supervise", "--console-socket", "/x"], "cannot be had with a supervisor");
    refused(&["--detach", "--supervise", "--pidfd-socket", "/x"], "cannot be had with a supervisor");
}

#[test]
fn nothing_of_the_caller_is_held_open() {
    let container = lasting();
    let (mut ready, _go) = (container.fifo("ready"), container.fifo("go"));
    let (mut out, writer) = std::io::pipe().expect("a pipe");
    let errors = writer.try_clone().expect("a copy");
    let leaked = writer.try_clone().expect("a copy");
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).expect("it is ours");
    container.with_bundle("run", &["--detach", "--supervise"]).stdout(writer).stderr(errors).ok();
    drop(leaked);
    ready.line();
    let mut text = String::new();
    // The end comes while the container runs.
    out.read_to_string(&mut text).expect("it can be read");
    assert_eq!(text, "");
    let supervisor = container.supervisor()["pid"].as_i64().expect("a number");
    for number in 0..3 {
        let link = fs::read_link(format!("/proc/{supervisor}/fd/{number}")).expect("it is open");
        assert_eq!(link.to_string_lossy(), "/dev/null");
    }
    assert_eq!(fs::read_link(format!("/proc/{supervisor}/cwd")).expect("it runs").to_string_lossy(), "/");
}

#[test]
fn a_supervisor_takes_little_memory() {
    let container = lasting();
    let (mut ready, _go) = (container.fifo("ready"), container.fifo("go"));
    container.supervise(&[]);
    ready.line();
    let pid = container.supervisor()["pid"].as_i64().expect("a number");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let anonymous =
        status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("RssAnon is in status");
    let kilobytes: u64 = anonymous.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(kilobytes < 1500, "{kilobytes} kB");
    assert!(status.contains("Threads:\t1\n"));
}

#[test]
fn a_user_can_have_one_too() {
    need!(need::root(), "another user can only be had by root");
    let rootless = Rootless::new("id -u; echo >/ready; read _ </go; exit 3", |_| ());
    let (mut ready, mut go) = (rootless.container.fifo("ready"), rootless.container.fifo("go"));
    rootless.with_bundle("run", &["--detach", "--init", "--restart", "on-failure:1"]).ok();
    ready.line();
    assert_eq!(rootless.command("exec", &[]).args(["echo", "inside"]).ok().stdout, "inside\n");
    go.tell("");
    ready.line();
    go.tell("");
    assert_eq!(rootless.command("wait", &[]).ok().stdout, "3\n");
    assert_eq!(rootless.command("logs", &[]).ok().stdout, "0\n0\n");
    rootless.command("delete", &[]).ok();
}

#[test]
fn there_is_one_supervisor_for_a_container() {
    let container = lasting();
    let (mut ready, _go) = (container.fifo("ready"), container.fifo("go"));
    container.supervise(&[]);
    ready.line();
    let state = container.state();
    container.command::<&str>("supervise", &[]).output().fails_with("has a supervisor already");
    assert_eq!(container.state(), state);
    let other = Container::lasting();
    other.up();
    other.command::<&str>("supervise", &[]).output().fails_with("was not made for a supervisor");
    other.kill("KILL");
    other.wait();
}
