//! What the runtime was started with, and what must not reach the container through it.
use std::fs;

use orlop_tests::command::patience;
use orlop_tests::spec::{HOST_ID, add_user_namespace};
use orlop_tests::{Container, ProcessHandle, ledger, need};
use rustix::process::Signal;
use serde_json::json;

/// A wrapper that runs a command with every signal ignored that a caller may ignore, and a mask that denies others all.
const ODD_CALLER: [&str; 4] = ["sh", "-c", "trap '' CHLD PIPE HUP INT TERM; umask 077; exec \"$@\"", "sh"];

#[test]
fn ignored_signals_of_the_caller_are_not_ignored_in_the_container() {
    let container = Container::sh("grep -E 'Sig(Ign|Blk)' /proc/self/status; exit 7");
    let out = container.with_bundle::<&str>("run", &[]).within(&ODD_CALLER).output();
    assert_eq!(out.stdout, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n", "{out}");
    assert_eq!(out.code, 7, "{out}");
}

#[test]
fn a_broken_pipe_ends_a_program() {
    let container = Container::sh("(yes; echo $? >&2) | head -n 1");
    let out = container.run();
    assert_eq!(out.stderr, "141\n", "128 + SIGPIPE: {out}");
}

#[test]
fn the_callers_umask_changes_no_mode_in_the_container() {
    let script = "umask; stat -c %a /dev/null /dev/tty /new /mnt/file; echo x >/dev/null && echo written";
    let mut container = Container::sh(script);
    container.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    container.push("/mounts", json!({"destination": "/new", "type": "tmpfs", "options": ["mode=755"]}));
    let source = container.home().join("file");
    fs::write(&source, "").expect("a new file");
    let source = source.to_string_lossy().into_owned();
    container
        .push("/mounts", json!({"destination": "/mnt/file", "source": source, "options": ["bind"]}))
        .push("/mounts", json!({"destination": "/made/deep", "type": "tmpfs"}));
    let out = container.with_bundle::<&str>("run", &[]).within(&ODD_CALLER).output();
    assert_eq!(out.lines()[..3], ["0022", "666", "666"], "{out}");
    assert_eq!(out.lines().last(), Some(&"written"), "{out}");
    let made = fs::metadata(container.bundle.rootfs().join("made")).expect("a mount point was made");
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&made.permissions()) & 0o777, 0o755);
}

#[test]
fn the_oom_score_of_a_process_is_not_the_runtimes_own() {
    let own = fs::read_to_string("/proc/self/oom_score_adj").expect("procfs is mounted");
    let script = "cat /proc/self/oom_score_adj; echo up >/up; exec sleep 1000";
    for in_user_namespace in [false, true] {
        let mut container = Container::lasting();
        if in_user_namespace {
            add_user_namespace(&mut container.bundle.config, &[(0, HOST_ID, 65536)]);
        }
        container.set("/process/oomScoreAdj", 567);
        let mut up = container.fifo("up");
        container.up();
        let exec = container.exec_command(&[], &["sh", "-c", script]).spawn();
        up.line();
        let runtime = fs::read_to_string(format!("/proc/{}/oom_score_adj", exec.pid())).expect("it waits");
        assert_eq!(runtime, own, "the runtime's, while it waits");
        exec.signal(Signal::TERM);
        assert_eq!(exec.wait().stdout, "567\n");
    }
}

#[test]
fn a_runtime_that_is_killed_while_the_new_process_waits_for_it_leaves_no_process() {
    need!(need::program("strace"), "strace is not installed (hack/setup.sh test)");
    let mut container = Container::lasting();
    // The new process waits for its id mappings, and then for a word, which never comes.
    add_user_namespace(&mut container.bundle.config, &[(0, HOST_ID, 65536)]);
    container.set("/process/terminal", false);
    let kill = ["strace", "--quiet=all", "--trace=sendmsg", "--inject=sendmsg:signal=SIGKILL:when=1"];
    let out = container.with_bundle::<&str>("run", &[]).within(&kill).output();
    assert_eq!(out.code, 128 + 9, "{out}");
    for process in ledger::processes(&container.id) {
        let pid = process.split(' ').next().and_then(|word| word.parse().ok()).expect("a number");
        let ends = ProcessHandle::open(pid).is_none_or(|process| process.wait(patience()));
        assert!(ends, "left behind: {process}");
    }
}
