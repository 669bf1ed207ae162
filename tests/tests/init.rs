//! `--init`: a first process that hands signals on and reaps orphans, while the program is its child.
use std::fs;

use orlop_tests::seccomp::engine_profile;
use orlop_tests::terminal::{ConsoleSocket, Terminal};
use orlop_tests::{Container, Output};
use serde_json::json;

fn run(container: &Container) -> Output {
    container.with_bundle("run", &["--init"]).output()
}

/// `create --init` and `start`.
fn up(container: &Container, flags: &[&str]) {
    let pid_file = container.pid_file();
    let pid_file = pid_file.to_string_lossy();
    container.with_bundle("create", &[&["--init", "--pid-file", &pid_file], flags].concat()).ok();
    container.adopt();
    container.start();
}

fn status_of_init(container: &Container, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", container.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the field is there");
    line.trim_start_matches(':').trim().to_owned()
}

#[test]
fn the_program_is_the_second_process_and_its_status_is_the_containers() {
    let out = run(&Container::sh("echo $$; set -- /proc/[0-9]*; echo $#; exit 7"));
    assert_eq!((out.code, out.stdout.as_str()), (7, "2\n2\n"), "{out}");
    assert_eq!(run(&Container::sh("kill -9 $$")).code, 137);
    let first = Container::sh("echo $$");
    assert_eq!(first.run().ok().stdout, "1\n");
}

#[test]
fn orphans_are_reaped() {
    let script =
        "sh -c 'sleep 0 & echo $! >/tmp/pid'; while [ -d /proc/$(cat /tmp/pid) ]; do :; done; echo gone";
    let mut container = Container::sh(script);
    container.set("/root/readonly", false);
    assert_eq!(run(&container).ok().stdout, "gone\n");
    // Where the container has no PID namespace, the same is done by asking the kernel for them.
    container.bundle.remove_namespace("pid");
    assert_eq!(run(&container).ok().stdout, "gone\n");
}

#[test]
fn signals_are_handed_on() {
    let container = Container::sh("trap 'exit 5' USR1; echo >/ready; while :; do sleep 1000 & wait $!; done");
    let mut ready = container.fifo("ready");
    up(&container, &[]);
    ready.line();
    container.kill("USR1");
    assert_eq!(container.wait(), 5);
    // What would not end a first process ends a second one.
    let container = Container::sh("echo >/ready; exec sleep 1000");
    let mut ready = container.fifo("ready");
    up(&container, &[]);
    ready.line();
    container.kill("TERM");
    assert_eq!(container.wait(), 128 + 15);
}

#[test]
fn it_holds_nothing_and_may_nothing() {
    let mut container = Container::sh("echo >/ready; exec sleep 1000");
    container.set("/linux/seccomp", engine_profile());
    container.set("/process/noNewPrivileges", false);
    let mut ready = container.fifo("ready");
    up(&container, &[]);
    ready.line();
    let pid = container.pid();
    let open: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("it runs")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(open.len(), 3, "standard streams only: {open:?}");
    // CAP_KILL, and no more: not the right that its filter was loaded with.
    assert_eq!(status_of_init(&container, "CapEff"), "0000000000000020");
    assert_eq!(status_of_init(&container, "CapPrm"), "0000000000000020");
    assert_eq!(status_of_init(&container, "Seccomp"), "2");
    let exe = fs::read_link(format!("/proc/{pid}/exe")).expect("it runs");
    assert!(exe.to_string_lossy().starts_with("/memfd:"), "{exe:?}");
    // Nobody may look into it.
    let seen = container.exec(&["sh", "-c", "cat /proc/1/environ; readlink /proc/1/exe; echo end"]).ok();
    assert_eq!(seen.stdout, "end\n", "{seen}");
}

#[test]
fn it_works_for_a_user_without_rights() {
    let mut container = Container::sh("trap 'echo end; exit 3' TERM; id -u; echo >/ready; read _ </go");
    container.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    container.set("/process/capabilities", json!({}));
    let (mut ready, _go) = (container.fifo("ready"), container.fifo("go"));
    container.bundle.save();
    let pid_file = container.pid_file();
    let flags = ["--init", "--detach", "--pid-file", &pid_file.to_string_lossy()];
    container.with_bundle("run", &flags).ok();
    container.adopt();
    ready.line();
    assert_eq!(status_of_init(&container, "CapEff"), "0000000000000000");
    container.kill("TERM");
    assert_eq!(container.wait(), 3);
}

#[test]
fn the_program_has_the_terminal() {
    let mut container =
        Container::sh("trap 'echo interrupted; exit 4' INT; echo ready; while :; do sleep 1000; done");
    container.set("/process/terminal", true);
    let socket = ConsoleSocket::listen(container.home());
    up(&container, &["--console-socket", &socket.path().to_string_lossy()]);
    let mut terminal: Terminal = socket.receive();
    terminal.expect("ready");
    terminal.type_in("\x03");
    assert_eq!(container.wait(), 4);
    let said = terminal.rest();
    assert_eq!(said.matches("interrupted").count(), 1, "once, not once more by the first process: {said}");
}

#[test]
fn others_can_join_it() {
    let container = Container::sh("echo >/ready; exec sleep 1000");
    let mut ready = container.fifo("ready");
    up(&container, &[]);
    ready.line();
    let out = container.exec(&["sh", "-c", "cat /proc/2/comm; exit 6"]);
    assert_eq!((out.code, out.stdout.as_str()), (6, "sleep\n"), "{out}");
    container.command("delete", &["--force"]).ok();
    container.wait();
}

#[test]
fn what_fails_is_told_as_without_it() {
    let mut container = Container::new(&["no-such-program"]);
    run(&container).fails_with("executable file not found");
    let script = container.bundle.path().join("rootfs/bin/broken");
    fs::write(&script, "no program").expect("it is written");
    std::process::Command::new("chmod").arg("755").arg(&script).status().expect("chmod runs");
    container.set("/process/args", ["/bin/broken"].as_slice());
    let (with, without) = (run(&container), container.run());
    assert_eq!((with.code, &with.stderr), (without.code, &without.stderr));
    container.assert_no_leaks();
    // A filter that would make it blind is told of before anything runs.
    let deny = json!([{"names": ["rt_sigtimedwait"], "action": "SCMP_ACT_ERRNO"}]);
    container.set("/process/args", ["echo", "no"].as_slice());
    container.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": deny}));
    let out = run(&container).fails_with("stay as the container's first process");
    assert!(out.stderr.contains("rt_sigtimedwait") && out.stdout.is_empty(), "{out}");
}

#[test]
fn a_supervised_container_can_have_one() {
    let container = Container::sh("echo $$; exit 1");
    container.supervise(&["--init", "--restart", "on-failure:1"]);
    assert_eq!(container.exit_status(), 1);
    assert_eq!(container.logs(&[]).stdout, "2\n2\n");
    container.delete();
}
