//! `checkpoint` and `restore`: processes that go on where they were, in a container like any other.
use std::fs;
use std::path::{Path, PathBuf};

use orlop_tests::criu::{COUNTER, Counter, checkpoint, images, restore, restore_detached, work};
use orlop_tests::{Container, Invocation, cgroup, criu, need, need_criu};
use rustix::process::Signal;
use serde_json::json;

#[test]
fn a_restored_container_goes_on_where_it_was_and_is_one_like_any_other() {
    need_criu!();
    let mut counter = Counter::up(|_| ());
    for n in [2, 4] {
        counter.counts(n);
        counter.save(&[]);
        counter.restore(&[]);
        counter.counts(n + 1);
    }
    let container = &counter.container;
    assert_eq!(container.exec(&["sh", "-c", "echo $$ >/dev/null; cat /proc/1/comm"]).ok().stdout, "sh\n");
    container.command::<&str>("pause", &[]).ok();
    assert_eq!(container.status(), "paused");
    container.command::<&str>("resume", &[]).ok();
    counter.counts(6);
    counter.ends_as_it_would_have();
}

#[test]
fn a_container_that_is_left_running_goes_on_and_can_be_saved_again() {
    need_criu!();
    let mut counter = Counter::up(|_| ());
    checkpoint(&counter.container, &["--leave-running"]).ok();
    assert_eq!(counter.container.status(), "running");
    counter.counts(2);
    counter.save(&[]);
    counter.restore(&[]);
    counter.counts(3);
}

#[test]
fn a_paused_container_can_be_saved() {
    need_criu!();
    let mut counter = Counter::up(|_| ());
    counter.container.command::<&str>("pause", &[]).ok();
    checkpoint(&counter.container, &["--leave-running"]).ok();
    assert_eq!(counter.container.status(), "paused");
    counter.save(&[]);
    counter.restore(&[]);
    counter.counts(2);
}

#[test]
fn a_checkpoint_can_build_on_an_earlier_one() {
    need_criu!();
    need!(criu::has("mem_dirty_track"), "this kernel does not track which pages change");
    let mut counter = Counter::up(|_| ());
    let container = &counter.container;
    let earlier = container.home().join("earlier");
    let command = || container.runtime().env("PATH", criu::path()).args(["checkpoint", "--image-path"]);
    command().arg(&earlier).args(["--pre-dump", &container.id]).ok();
    assert_eq!(container.status(), "running");
    counter.counts(2);
    counter.save(&["--parent-path", "../earlier"]);
    assert!(images(&counter.container).join("parent").exists());
    counter.restore(&[]);
    counter.counts(3);
}

#[test]
fn where_memory_is_not_tracked_a_pre_dump_is_refused() {
    need_criu!();
    need!(!criu::has("mem_dirty_track"), "this kernel tracks which pages change");
    let mut counter = Counter::up(|_| ());
    let out = checkpoint(&counter.container, &["--pre-dump"]).output();
    out.fails_with("does not track which memory pages change");
    counter.counts(2);
}

#[test]
fn restore_in_the_foreground_forwards_signals_and_ends_as_the_container_does() {
    need_criu!();
    let mut counter = Counter::up(|_| ());
    counter.save(&[]);
    let running = restore(&counter.container, &[]).spawn();
    counter.counts(2);
    running.signal(Signal::TERM);
    counter.ask.tell("word");
    assert_eq!(running.wait().code, 7);
    counter.container.assert_no_leaks();
}

#[test]
fn limits_hold_and_the_hosts_cgroups_stay_as_they_are() {
    need_criu!();
    need!(cgroup::controller("pids").is_some(), "no pids controller");
    let options = || {
        let text = fs::read_to_string("/proc/self/mounts").expect("procfs is mounted");
        text.lines().filter(|line| line.contains(" cgroup2 ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let before = options();
    let modes: [&[&str]; 4] = [&[], &["soft"], &["full"], &["ignore"]];
    for mode in modes {
        let flags: Vec<&str> = mode.iter().flat_map(|mode| ["--manage-cgroups-mode", mode]).collect();
        let mut counter = Counter::up(|container| {
            container.set("/linux/resources/pids/limit", 37);
        });
        let limit = |counter: &Counter| cgroup::read(counter.container.pid(), "pids", "pids.max", "pids.max");
        assert_eq!(limit(&counter).trim(), "37");
        counter.save(&flags);
        counter.restore(&flags);
        assert_eq!(limit(&counter).trim(), "37", "{mode:?}");
        let (_, directory) = cgroup::directory(counter.container.pid(), "pids");
        assert!(directory.ends_with(&counter.container.id), "{mode:?}: {}", directory.display());
        counter.counts(2);
        counter.ends_as_it_would_have();
    }
    assert_eq!(options(), before, "CRIU changes options of the cgroup2 file system that it mounts");
}

#[test]
fn a_process_in_a_cgroup_below_the_containers_comes_back_there() {
    need_criu!();
    let pids = cgroup::controller("pids");
    need!(
        pids.is_some_and(|(version, _)| version == cgroup::Version::V1),
        "no version 1 hierarchy here has the pids controller"
    );
    let mut counter = Counter::up(|container| {
        container.set("/process/args", json!(["sh", "-c", format!("sleep 1000 & {COUNTER}")]));
    });
    let own = |counter: &Counter| cgroup::directory(counter.container.pid(), "pids").1;
    let processes = |directory: &Path| {
        let text = fs::read_to_string(directory.join("cgroup.procs")).expect("a cgroup");
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let first = counter.container.pid().to_string();
    let other = processes(&own(&counter)).into_iter().find(|pid| *pid != first).expect("the one that sleeps");
    let below = own(&counter).join("below");
    fs::create_dir(&below).expect("a new cgroup");
    fs::write(below.join("cgroup.procs"), other).expect("it moves");
    counter.save(&[]);
    assert!(!below.exists(), "it went with the container");
    counter.restore(&[]);
    assert_eq!((processes(&own(&counter)).len(), processes(&below).len()), (1, 1));
    counter.counts(2);
    counter.ends_as_it_would_have();
}

#[test]
fn hooks_run_while_the_namespaces_are_made_anew() {
    need_criu!();
    let mut counter = Counter::up(|_| ());
    counter.save(&[]);
    let home = counter.container.home().to_str().expect("ours").to_owned();
    let script = format!("cat >{home}/told");
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}]);
    counter.container.set("/hooks/createRuntime", hook).bundle.save();
    counter.restore(&[]);
    let state = fs::read_to_string(format!("{home}/told")).expect("the hook has run");
    let state: serde_json::Value = serde_json::from_str(&state).expect("JSON");
    assert_eq!(state["pid"], counter.container.pid());
    counter.counts(2);
}

#[test]
fn a_restore_whose_hook_fails_leaves_nothing() {
    need_criu!();
    let mut counter = Counter::up(|_| ());
    counter.save(&[]);
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", "echo no network >&2; exit 3"]}]);
    counter.container.set("/hooks/createRuntime", hook).bundle.save();
    let out = restore_detached(&counter.container, &[]).output();
    out.fails_with("/hooks/createRuntime/0").fails_with("no network");
    counter.container.assert_no_leaks();
}

#[test]
fn an_annotation_names_a_configuration_file_of_crius() {
    need_criu!();
    let counter = Counter::up(|container| {
        let file = container.home().join("criu.conf");
        fs::write(&file, "log-file=other.log\n").expect("a new file");
        container.set("/annotations/org.criu.config", file.to_str().expect("ours"));
    });
    counter.save(&[]);
    assert!(work(&counter.container).join("other.log").exists());
    assert!(!work(&counter.container).join("dump.log").exists());
}

#[test]
fn a_container_that_does_not_run_cannot_be_saved() {
    need_criu!();
    let container = Container::sh("exit 0");
    checkpoint(&container, &[]).output().fails_with("does not exist");
    container.create();
    checkpoint(&container, &[]).output().fails_with("cannot be checkpointed in created state");
    container.start();
    container.wait();
    checkpoint(&container, &[]).output().fails_with("cannot be checkpointed in stopped state");
}

#[test]
fn an_id_that_is_taken_cannot_be_restored_to() {
    need_criu!();
    let mut counter = Counter::up(|_| ());
    checkpoint(&counter.container, &["--leave-running"]).ok();
    restore_detached(&counter.container, &[]).output().fails_with("container with given ID already exists");
    counter.counts(2);
}

#[test]
fn what_is_no_checkpoint_is_refused_and_leaves_nothing() {
    need_criu!();
    let counter = Counter::new();
    let container = &counter.container;
    container.bundle.save();
    restore_detached(container, &[]).output().fails_with("images: ");
    fs::create_dir(images(container)).expect("a new directory");
    restore_detached(container, &[]).output().fails_with("this is no checkpoint of a container");
    fs::write(images(container).join("descriptors.json"), "[\"/dev/null\"]").expect("a new file");
    let out = restore_detached(container, &[]).output();
    let log = work(container).join("restore.log");
    out.fails_with("criu failed: ").fails_with(log.to_str().expect("ours")).fails_with("Error (");
    container.assert_no_leaks();
}

#[test]
fn a_damaged_checkpoint_leaves_nothing() {
    need_criu!();
    let counter = Counter::up(|_| ());
    counter.save(&[]);
    let process = images(&counter.container).join("core-1.img");
    fs::write(&process, "something else").expect("one of the images");
    restore_detached(&counter.container, &[]).output().fails_with("criu failed: ");
    counter.container.assert_no_leaks();
}

#[test]
fn without_criu_the_error_says_what_is_missing() {
    need!(need::root(), "checkpoint needs root");
    need!(!PathBuf::from("/usr/sbin/criu").exists(), "CRIU is installed");
    let container = Container::lasting();
    container.up();
    let without =
        container.command("checkpoint", &["--image-path", "/nowhere/at/all"]).env("PATH", "/nowhere");
    without.output().fails_with("exec: \"criu\": executable file not found in $PATH");
    assert_eq!(container.status(), "running");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    need_criu!();
    let mut counter = Counter::up(|_| ());
    for (flags, why) in [
        (&["--parent-path", "/tmp"][..], "--parent-path must be relative"),
        (&["--parent-path", "nothing"], "--parent-path"),
        (&["--page-server", "nowhere"], "not an address and a port"),
        (&["--manage-cgroups-mode", "gently"], "gently"),
        (&["--empty-ns", "pid"], "pid"),
        (&["--network-lock", "chain"], "chain"),
        (&["--status-fd", "77"], "--status-fd 77"),
    ] {
        checkpoint(&counter.container, flags).output().fails_with(why);
    }
    restore(&counter.container, &["--no-pivot"]).output().fails_with("--no-pivot");
    counter.counts(2);
}

#[test]
fn memory_can_follow_later() {
    need_criu!();
    need!(criu::has("uffd-noncoop"), "userfaultfd(2) of this kernel lacks what CRIU needs");
    let counter = Counter::up(|_| ());
    let (mut ready, writer) = std::io::pipe().expect("a pipe");
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its number").port();
    let server = format!("127.0.0.1:{port}");
    let source = checkpoint(
        &counter.container,
        &["--lazy-pages", "--page-server", &server, "--status-fd", "0", "--manage-cgroups-mode", "ignore"],
    );
    let source = source.stdin(writer).spawn();
    let mut byte = [1];
    std::io::Read::read_exact(&mut ready, &mut byte).expect("CRIU is ready");
    assert_eq!(byte, [0]);

    let daemon = Invocation::new("criu", &counter.container.io()).env("PATH", criu::path());
    let port = port.to_string();
    let flags = ["lazy-pages", "--page-server", "--address", "127.0.0.1", "--port", &port, "-D"];
    let daemon = daemon.args(flags).arg(images(&counter.container)).spawn();
    // The source is still there under its own id.
    let other = Container::new(&["true"]);
    let pid_file = other.pid_file();
    let command = other.runtime().env("PATH", criu::path()).arg("restore").arg("--image-path");
    let command = command.arg(images(&counter.container)).arg("--work-path").arg(images(&counter.container));
    let command =
        command.arg("--bundle").arg(counter.container.bundle.path()).arg("--pid-file").arg(&pid_file);
    let restored =
        command.args(["--detach", "--lazy-pages", "--manage-cgroups-mode", "ignore", &other.id]).output();
    let log = fs::read_to_string(work(&counter.container).join("dump.log")).expect("CRIU has one");
    need!(
        !log.contains("page-pipe: splice: -1: Bad file descriptor"),
        "CRIU's page server fails on this kernel, which looks at descriptors even if there is nothing to splice(2)"
    );
    restored.ok();
    other.adopt();
    assert_eq!(other.status(), "running");
    daemon.wait().ok();
    source.wait().ok();
}
