//! containerd and `ctr`, as users drive them, with the runtime's shim and with its command.
//!
//! With what is installed here in every run of the tests; with the engines of `hack/engines` in `make e2e`.
use std::io::Write as _;

use orlop_tests::engine::Suite;
use orlop_tests::engine::containerd::Containerd;
use orlop_tests::terminal::Terminal;
use orlop_tests::{Fifo, cgroup, events, need, need_criu, need_engine, on_each_suite, on_suite, runtime};
use rustix::process::Signal;

on_each_suite!(command, shim, restart, shim_killed, many_ways, checkpoint);
on_suite!(installed, command, shim, restart);

/// Ends the test with SKIP unless containerd can run here.
macro_rules! need_containerd {
    ($suite:expr) => {
        need_engine!($suite, "containerd", "ctr");
        let cpu = cgroup::controller("cpu").is_some();
        need!(cpu, "ctr asks for CPU shares, and there is no cpu controller here");
        need!(runtime::is_orlop(), "the shim is orlop's");
    };
}

fn command(suite: Suite) {
    need_containerd!(suite);
    lead_through_its_life(&Containerd::with_command(suite));
}

fn shim(suite: Suite) {
    need_containerd!(suite);
    lead_through_its_life(&Containerd::with_shim(suite));
}

fn lead_through_its_life(containerd: &Containerd) {
    assert_eq!(containerd.run(&["--rm"], "b", &["/bin/sh", "-c", "exit 7"]).output().code, 7);
    containerd.run(&["--rm"], "c", &["/nothing"]).output().fails_with("/nothing");

    let (mut terminal, peer) = Terminal::open();
    let run = containerd.run(&["--rm", "--tty"], "d", &["/bin/sh", "-c", "/bin/tty; read x; exit $x"]);
    let run = run.on(&peer).spawn();
    terminal.expect("/dev/pts/0");
    terminal.type_in("4\n");
    assert_eq!(run.wait().code, 4);

    let web = containerd.run(&["--rm"], "web", &["/bin/sh", "-c", "echo up; exec sleep 1000"]).spawn();
    events::when_file(web.stdout_file(), |text| text == "up\n");
    assert_eq!(containerd.exec("web", "x", &["/bin/sh", "-c", "echo in; sleep 0.3"]).ok().stdout, "in\n");
    assert_eq!(containerd.exec("web", "y", &["/bin/sh", "-c", "exit 9"]).output().code, 9);
    // An input that is at its end before the process is there may never end for it (docs/engines.md).
    let (input, mut typed) = std::io::pipe().expect("a pipe");
    let cat = containerd.exec("web", "z", &["/bin/sh", "-c", "/bin/cat; exit 8"]).stdin(input).spawn();
    typed.write_all(b"through\n").expect("ctr reads");
    events::when_file(cat.stdout_file(), |text| text == "through\n");
    drop(typed);
    assert_eq!(cat.wait().code, 8);
    let (mut terminal, peer) = Terminal::open();
    let exec =
        ["task", "exec", "--tty", "--exec-id", "t", "web", "/bin/sh", "-c", "/bin/tty; read x; exit $x"];
    let exec = containerd.ctr(&exec).on(&peer).spawn();
    terminal.expect("/dev/pts/");
    terminal.type_in("5\n");
    assert_eq!(exec.wait().code, 5);
    containerd.ctr(&["task", "pause", "web"]).ok();
    assert!(containerd.ctr(&["task", "list"]).ok().stdout.contains("PAUSED"));
    containerd.ctr(&["task", "resume", "web"]).ok();
    metrics(containerd, "web");
    containerd.ctr(&["task", "kill", "--signal", "SIGKILL", "web"]).ok();
    assert_eq!(web.wait().code, 128 + 9);
    containerd.assert_nothing_left_of("web");
}

/// What `ctr task metrics` says a container uses.
fn metrics(containerd: &Containerd, id: &str) {
    let metrics = containerd.ctr(&["task", "metrics", id]).ok().stdout;
    let value = |name: &str| {
        let line = metrics.lines().map(str::split_whitespace).find_map(|mut words| {
            words.next().filter(|word| word.starts_with(name)).and_then(|_| words.next())
        });
        line.and_then(|value| value.parse::<u64>().ok()).unwrap_or_else(|| panic!("no {name}: {metrics}"))
    };
    // Of version 1 these are `memory.usage_in_bytes` and `cpuacct.usage`.
    if cgroup::controller("memory").is_some() {
        assert!(value("memory.usage") > 0, "{metrics}");
    }
    assert!(value("cpu") > 0 && value("pids.current") > 0, "{metrics}");
}

/// Containers outlive containerd, however it ends, and it finds them again.
fn restart(suite: Suite) {
    need_containerd!(suite);
    let mut containerd = Containerd::with_shim(suite);
    let script = "trap 'exit 6' TERM; while :; do sleep 1000 & wait $!; done";
    for (signal, id) in [(Signal::KILL, "one"), (Signal::TERM, "two")] {
        containerd.run(&["--detach"], id, &["/bin/sh", "-c", script]).ok();
        containerd.crash(signal);
        containerd.boot();
        assert_eq!(containerd.exec(id, "a", &["/bin/sh", "-c", "exit 8"]).output().code, 8);
        metrics(&containerd, id);
    }
    // It knows how the one ends, though it did not see it begin.
    let attach = containerd.ctr(&["task", "attach", "one"]).spawn();
    containerd.ctr(&["task", "kill", "--signal", "SIGTERM", "one"]).ok();
    let attached = attach.wait();
    assert_eq!(attached.code, 6, "{attached}");
    containerd.ctr(&["containers", "delete", "one"]).ok();
    // The other ends while nobody is there to hear of it: containerd takes such away when it comes back.
    let inside = task_pid(&containerd, "two");
    containerd.crash(Signal::KILL);
    containerd.room.command("kill").args(["-TERM", &inside.to_string()]).ok();
    containerd.boot();
    containerd.ctr(&["task", "delete", "two"]).output();
    containerd.ctr(&["containers", "delete", "two"]).ok();
    for id in ["one", "two"] {
        containerd.assert_nothing_left_of(id);
    }
}

/// The process id of a task, as containerd sees it.
#[track_caller]
fn task_pid(containerd: &Containerd, id: &str) -> i32 {
    let list = containerd.ctr(&["task", "list"]).ok();
    let line = list.lines().into_iter().find(|line| line.starts_with(id));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).expect("a number in the list")
}

/// containerd clears up what a killed shim leaves, by the shim's `delete`.
fn shim_killed(suite: Suite) {
    need_containerd!(suite);
    let containerd = Containerd::with_shim(suite);
    let heard = containerd.ctr(&["events"]).spawn();
    containerd.run(&["--detach"], "web", &["/bin/sleep", "1000"]).ok();
    let exec = containerd.exec("web", "x", &["/bin/sh", "-c", "echo up; exec sleep 1000"]).spawn();
    events::when_file(exec.stdout_file(), |text| text == "up\n");
    containerd.room.command("sh").args(["-c", "kill -KILL $(pidof containerd-shim-orlop-v2)"]).ok();
    let log = events::when_file(heard.stdout_file(), |text| text.contains("/tasks/delete"));
    let exit = log.lines().find(|line| line.contains("/tasks/exit")).expect("an exit comes before");
    assert!(exit.contains("\"exit_status\":137"), "{exit}");
    assert_ne!(exec.wait().code, 0);
    containerd.ctr(&["containers", "delete", "web"]).ok();
    containerd.assert_nothing_left_of("web");
}

/// Checkpoints go through containerd, which keeps them as images. Only `ctr` of 2.1 can restore them: that of older ones
/// does not find their parts ("media type not found"), with runc neither.
fn checkpoint(suite: Suite) {
    need_containerd!(suite);
    need_criu!();
    let containerd = Containerd::with_shim(suite);
    containerd.import_image(&containerd.room.id);
    let mount = containerd.room.home().join("mnt");
    std::fs::create_dir(&mount).expect("a new directory");
    let (mut ask, mut said) = (Fifo::make(&mount.join("ask")), Fifo::make(&mount.join("said")));
    let mount = format!("type=bind,src={},dst=/mnt,options=rbind:rw", mount.display());
    let script = "n=0; while read word </mnt/ask; do n=$((n+1)); echo $word $n >/mnt/said; done";
    let flags = ["--detach", "--null-io", "--mount", &mount];
    containerd.run_image(&flags, "box", &["/bin/sh", "-c", script]).ok();
    let mut counts = |n: u32| {
        ask.tell("word");
        assert_eq!(said.line(), format!("word {n}"));
    };
    counts(1);
    containerd.ctr(&["task", "checkpoint", "box"]).ok();
    counts(2);
    containerd.ctr(&["containers", "checkpoint", "--task", "--rw", "--image", "box", "saved"]).ok();
    counts(3);
    containerd.remove("box");
    if suite == Suite::Sid {
        containerd.ctr(&["containers", "restore", "--live", "box", "saved"]).ok();
        counts(3);
        let images = containerd.room.home().join("images");
        let images = images.to_string_lossy();
        containerd.ctr(&["task", "checkpoint", "--exit", "--image-path", &images, "box"]).ok();
        assert!(containerd.ctr(&["task", "list"]).ok().stdout.contains("STOPPED"));
        containerd.remove("box");
    }
    containerd.assert_nothing_left_of("box");
}

/// What users ask of `ctr run` and `ctr task` besides.
fn many_ways(suite: Suite) {
    need_containerd!(suite);
    let containerd = Containerd::with_shim(suite);
    let heard = containerd.ctr(&["events"]).spawn();
    let says = |flags: &[&str], id: &str, script: &str| {
        let log = containerd.room.home().join(id);
        let uri = format!("file://{}", log.display());
        let flags = [&["--rm", "--log-uri", &uri], flags].concat();
        let out = containerd.run(&flags, id, &["/bin/sh", "-c", script]).output();
        (out.code, std::fs::read_to_string(log).unwrap_or_else(|e| panic!("{e}: {out}")))
    };
    assert_eq!(says(&[], "status", "echo out; echo err >&2; exit 3"), (3, "out\nerr\n".to_owned()));
    let read_only = says(&["--read-only"], "read-only", "touch /new 2>/dev/null || echo no");
    assert_eq!(read_only, (0, "no\n".to_owned()));
    assert_eq!(says(&["--seccomp"], "seccomp", "grep Seccomp: /proc/self/status").1, "Seccomp:\t2\n");
    assert_eq!(says(&["--net-host"], "net", "readlink /proc/self/ns/net").0, 0);
    assert_eq!(says(&["--env", "A=b", "--cwd", "/tmp"], "env", "echo $A; pwd").1, "b\n/tmp\n");
    assert_eq!(says(&["--privileged"], "privileged", "mount -t tmpfs none /mnt && echo on").1, "on\n");
    let volume = format!("type=bind,src={},dst=/mnt,options=rbind:rw", containerd.room.home().display());
    assert_eq!(says(&["--mount", &volume], "mount", "echo hello >/mnt/made").0, 0);
    assert_eq!(std::fs::read_to_string(containerd.room.home().join("made")).expect("it was made"), "hello\n");
    assert_eq!(says(&["--memory-limit", "33554432"], "memory", "true").0, 0);

    containerd.run(&["--detach", "--null-io"], "web", &["/bin/sleep", "1000"]).ok();
    let again = containerd.run(&["--detach"], "web", &["/bin/true"]).output();
    again.fails_with("already exists");
    containerd.exec("web", "e", &["/nothing"]).output().fails_with("/nothing");
    assert_eq!(containerd.exec("web", "e", &["/bin/true"]).output().code, 0, "the id is free again");
    let exec = ["task", "exec", "--exec-id", "u", "--user", "1000", "--cwd", "/tmp", "web", "/bin/sh", "-c"];
    let exec = containerd.ctr(&exec).arg("[ $(id -u)$PWD = 1000/tmp ] && exit 4").output();
    assert_eq!(exec.code, 4, "{exec}");
    assert_eq!(containerd.ctr(&["task", "ps", "web"]).ok().lines().len(), 2);
    containerd.ctr(&["task", "delete", "web"]).output().fails_with("must be stopped");
    containerd.remove("web");
    let log = events::when_file(heard.stdout_file(), |text| {
        text.lines().any(|line| line.contains("/tasks/delete") && line.contains("\"web\""))
    });
    let of_web = |topic: &str| {
        let find = |line: &&str| line.contains(topic) && line.contains("\"web\"");
        log.lines().position(|line| find(&line)).unwrap_or_else(|| panic!("no {topic} in {log}"))
    };
    let topics = ["create", "start", "exec-added", "exec-started", "exit", "delete"];
    let order = topics.map(|topic| of_web(&format!("/tasks/{topic}")));
    assert!(order.is_sorted(), "{topics:?} come at {order:?} in\n{log}");
    containerd.assert_nothing_left_of("web");
}
