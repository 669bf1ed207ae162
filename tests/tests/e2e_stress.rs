//! containerd with the runtime's shim under load, and killed at any moment: nothing may be left, and no exit code be wrong.
//!
//! `ORLOP_STRESS="CONTAINERS EXECS KILLS"` says how much; a run of all tests makes little of it, `make e2e` much.
use std::collections::BTreeMap;
use std::time::Duration;

use orlop_tests::engine::Suite;
use orlop_tests::engine::containerd::Containerd;
use orlop_tests::random::in_lanes;
use orlop_tests::{Fifo, Running, cgroup, need, need_engine, on_each_suite, on_suite, runtime, spec};
use rustix::process::Signal;
use serde_json::json;

on_each_suite!(up_and_down, exit_codes, containerd_killed, killed_while_making, shims_killed);
on_suite!(installed, up_and_down, exit_codes, containerd_killed);

/// How many tasks are led at a time.
const LANES: usize = 4;

/// Starts containerd, or ends the test with SKIP.
macro_rules! containerd {
    ($suite:expr) => {{
        need_engine!($suite, "containerd", "ctr");
        let cpu = cgroup::controller("cpu").is_some();
        need!(cpu, "ctr asks for CPU shares, and there is no cpu controller here");
        need!(runtime::is_orlop(), "the shim is orlop's");
        Containerd::with_shim($suite)
    }};
}

/// One of the three numbers of `ORLOP_STRESS`.
fn much(suite: Suite, which: usize) -> usize {
    let usual = match suite {
        // The VM is ten times as slow.
        Suite::Installed if need::in_vm() => "6 20 2",
        Suite::Installed => "16 60 4",
        _ => "200 1000 20",
    };
    let said = std::env::var("ORLOP_STRESS").unwrap_or_else(|_| usual.to_owned());
    said.split_whitespace().nth(which).and_then(|word| word.parse().ok()).expect("three numbers")
}

/// What there is in the place, counted.
fn ledger(containerd: &Containerd) -> BTreeMap<&'static str, String> {
    let count = |script: &str| {
        let script = format!("cd {}; {script}", containerd.room.home().display());
        containerd.room.command("sh").args(["-c", &script]).output().stdout
    };
    BTreeMap::from([
        ("shims", count("pidof containerd-shim-orlop-v2")),
        ("sockets", count("ls /run/containerd/s")),
        ("mounts", count("wc -l </proc/self/mountinfo")),
        ("state", count("find state /run/containerd -not -type s | sort")),
        ("fifos", count("find fifos -type p")),
        ("cgroups", format!("{:?}", cgroup::named(&format!("{}/box", containerd.room.id)))),
        ("descriptors of containerd", count("ls /proc/$(pidof containerd)/fd | wc -l")),
    ])
}

/// Many containers, some at a time; each is started, asked for something, and removed.
fn up_and_down(suite: Suite) {
    let containerd = containerd!(suite);
    let lead = |number: usize| {
        let id = format!("box{number}");
        let code = (number * 37 + 11) % 256;
        if number.is_multiple_of(2) {
            let run = containerd.run(&["--rm"], &id, &["/bin/sh", "-c", &format!("exit {code}")]);
            assert_eq!(run.output().code, code as i32, "{id}");
        } else {
            containerd.run(&["--detach"], &id, &["/bin/sleep", "1000"]).ok();
            let exec = containerd.exec(&id, "x", &["/bin/sh", "-c", &format!("exit {code}")]);
            assert_eq!(exec.output().code, code as i32, "exec in {id}");
            containerd.remove(&id);
        }
    };
    // The first few make what containerd keeps.
    in_lanes(LANES, 2 * LANES, lead);
    let before = ledger(&containerd);
    in_lanes(LANES, much(suite, 0), lead);
    assert_eq!(ledger(&containerd), before);
}

/// Many processes added to one container; the shim has no more descriptors afterwards.
fn exit_codes(suite: Suite) {
    let containerd = containerd!(suite);
    containerd.run(&["--detach"], "box", &["/bin/sleep", "1000"]).ok();
    let descriptors = || {
        let count = "ls /proc/$(pidof containerd-shim-orlop-v2)/fd | wc -l";
        containerd.room.command("sh").args(["-c", count]).ok().stdout
    };
    let lead = |number: usize| {
        let id = format!("x{number}");
        let code = (number * 61 + 7) % 256;
        let (script, expected) = match number % 10 {
            9 => ("kill -9 $$".to_owned(), 128 + 9),
            _ => (format!("exit {code}"), code),
        };
        let out = containerd.exec("box", &id, &["/bin/sh", "-c", &script]).output();
        assert_eq!(out.code, expected as i32, "{id}: {out}");
    };
    in_lanes(LANES, LANES, lead);
    let before = descriptors();
    in_lanes(LANES, much(suite, 1), lead);
    assert_eq!(descriptors(), before);
    containerd.remove("box");
    containerd.assert_nothing_left_of("box");
}

/// Some time below 200 ms, another for every number: what is killed then may be doing anything.
fn moment(number: usize) -> Duration {
    Duration::from_millis((number as u64 * 83 + 17) % 200)
}

/// Kills the shim that serves: its socket is on its command line.
const KILL_SERVER: &str = "killed=; until [ $killed ]; do for pid in $(pidof containerd-shim-orlop-v2); do \
    grep -q -- -socket /proc/$pid/cmdline 2>/dev/null && kill -KILL $pid && killed=1; done; done; true";

/// Waits until no shim is left.
const AWAIT_END: &str = "while pidof containerd-shim-orlop-v2 >/dev/null; do sleep 0.1; done";

/// Removes every container, in whatever state it is.
fn remove_all(containerd: &Containerd) {
    for id in containerd.ctr(&["containers", "list", "--quiet"]).ok().lines() {
        containerd.ctr(&["task", "delete", "--force", id]).output();
        containerd.ctr(&["containers", "delete", id]).ok();
    }
}

/// Kills containerd under a command of ctr's, boots it again, and removes every container.
fn crash_under(containerd: &mut Containerd, command: Running) {
    containerd.crash(Signal::KILL);
    drop(command.wait());
    containerd.boot();
    remove_all(containerd);
}

/// containerd is killed at any moment of a container's life. When it is back, all can be taken away.
fn containerd_killed(suite: Suite) {
    let mut containerd = containerd!(suite);
    containerd.run(&["--rm"], "box", &["/bin/true"]).ok();
    for number in 0..much(suite, 2) {
        let id = format!("box{number}");
        let run = containerd.run(&["--rm"], &id, &["/bin/sh", "-c", "sleep 0.1; exit 3"]).spawn();
        std::thread::sleep(moment(number));
        crash_under(&mut containerd, run);
    }
    // A shim that was started, but not used when containerd died, ends by itself.
    containerd.room.command("sh").args(["-c", AWAIT_END]).ok();
    containerd.assert_nothing_left_of("box");
}

/// containerd is killed while a container is made, and is back before that is done.
fn killed_while_making(suite: Suite) {
    let mut containerd = containerd!(suite);
    let mut reached = Fifo::make(&containerd.room.home().join("reached"));
    let script = format!("echo here >{}; sleep 2", reached.path().display());
    let mut config = spec::default();
    config["root"]["path"] = json!(containerd.room.rootfs());
    config["process"]["args"] = json!(["/bin/sleep", "1000"]);
    config["linux"]["cgroupsPath"] = json!(format!("/{}/box", containerd.room.id));
    config["hooks"] = json!({ "createRuntime": [{ "path": "/bin/sh", "args": ["sh", "-c", script] }] });
    let config = containerd.room.file("config.json", &config.to_string());
    let run = containerd.run_config(&["--detach"], "box", &config).spawn();
    reached.line();
    crash_under(&mut containerd, run);
    containerd.room.command("sh").args(["-c", AWAIT_END]).ok();
    containerd.assert_nothing_left_of("box");
}

/// Shims are killed at any moment. containerd hears of it, and all can be taken away.
fn shims_killed(suite: Suite) {
    let containerd = containerd!(suite);
    for number in 0..much(suite, 2) {
        let id = format!("box{number}");
        let run = containerd.run(&["--rm"], &id, &["/bin/sh", "-c", "exec sleep 1000"]).spawn();
        std::thread::sleep(moment(number));
        containerd.room.command("sh").args(["-c", KILL_SERVER]).ok();
        assert_ne!(run.wait().code, 0);
        remove_all(&containerd);
        containerd.room.command("sh").args(["-c", AWAIT_END]).ok();
        // Of one that is killed before containerd has called it, containerd deletes nothing. Its socket is replaced by the next
        // shim for the same container.
        containerd.room.assert_nothing_left_of(&format!("{}/box", containerd.room.id));
    }
}
