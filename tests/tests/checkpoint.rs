//! `checkpoint` and `restore`: processes that go on where they were, in a container like any other.
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use orlop_tests::terminal::{ConsoleSocket, Terminal};
use orlop_tests::{Container, Fifo, Invocation, cgroup, criu, need, spec};
use rustix::process::Signal;
use serde_json::json;

/// What counts the lines it is sent, and says how many there were: only the very same process knows the next number.
const COUNTER: &str =
    "trap 'exit 7' TERM; n=0; while read word </ask; do n=$((n+1)); echo $word $n >/said; done";

/// A container, and the fifos to talk with the process in it.
struct Counter {
    container: Container,
    ask: Fifo,
    said: Fifo,
}

impl Counter {
    fn new() -> Self {
        let container = Container::sh(COUNTER);
        let (ask, said) = (container.fifo("ask"), container.fifo("said"));
        Self { container, ask, said }
    }

    /// Set up by the closure, and running.
    fn up(change: impl FnOnce(&mut Container)) -> Self {
        let mut counter = Self::new();
        change(&mut counter.container);
        counter.container.up();
        counter.counts(1);
        counter
    }

    #[track_caller]
    fn counts(&mut self, n: u32) {
        self.ask.tell("word");
        assert_eq!(self.said.line(), format!("word {n}"));
    }

    /// Checkpoints it, which ends it.
    #[track_caller]
    fn save(&self, flags: &[&str]) {
        checkpoint(&self.container, flags).ok();
        assert_eq!(self.container.wait(), 128 + 9, "CRIU has ended what it saved");
        let gone = self.container.command::<&str>("state", &[]).output();
        gone.fails_with("does not exist");
        self.container.assert_no_leaks();
    }

    /// Restores it.
    #[track_caller]
    fn restore(&self, flags: &[&str]) {
        restore_detached(&self.container, flags).ok();
        self.container.adopt();
        assert_eq!(self.container.status(), "running");
        assert_eq!(self.container.state()["pid"], self.container.pid());
    }

    /// Ends it as it would have ended by itself.
    #[track_caller]
    fn ends_as_it_would_have(&self) {
        self.container.kill("TERM");
        // The shell acts on signals between commands.
        fs::write(self.ask.path(), "\n").expect("the fifo has a reader");
        assert_eq!(self.container.wait(), 7);
        assert_eq!(self.container.status(), "stopped");
        self.container.delete();
    }
}

/// Where a container's images are.
fn images(container: &Container) -> PathBuf {
    container.home().join("images")
}

/// Where CRIU's logs are.
fn work(container: &Container) -> PathBuf {
    container.home().join("work")
}

fn with_criu(container: &Container, command: &str) -> Invocation {
    let paths = [images(container), work(container)];
    let invocation = container.runtime().env("PATH", criu::path()).arg(command);
    let [images, work] = paths;
    invocation.arg("--image-path").arg(images).arg("--work-path").arg(work)
}

fn checkpoint(container: &Container, flags: &[&str]) -> Invocation {
    with_criu(container, "checkpoint").args(flags).arg(&container.id)
}

/// `restore` with the container's bundle.
fn restore(container: &Container, flags: &[&str]) -> Invocation {
    with_criu(container, "restore")
        .arg("--bundle")
        .arg(container.bundle.path())
        .args(flags)
        .arg(&container.id)
}

/// In the way that containerd calls it.
fn restore_detached(container: &Container, flags: &[&str]) -> Invocation {
    let pid_file = container.pid_file();
    let pid_file = pid_file.to_str().expect("a path of ours");
    restore(container, &[&["--detach", "--no-subreaper", "--pid-file", pid_file], flags].concat())
}

/// Ends the test with SKIP where CRIU does not work.
macro_rules! need_criu {
    () => {
        need!(criu::trouble().is_none(), "{}", criu::trouble().unwrap_or_default());
    };
}

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
fn pipes_are_replaced_by_those_of_whoever_restores() {
    need_criu!();
    let mut container = Container::sh("while read word; do echo got $word; done");
    container.set("/root/readonly", false);
    let pipe = || std::io::pipe().expect("a pipe");
    let ((stdin, _keep), (_lost, stdout)) = (pipe(), pipe());
    let stdout_too = stdout.try_clone().expect("a copy");
    let pid_file = container.pid_file();
    let flags = ["--detach".as_ref(), "--pid-file".as_ref(), pid_file.as_os_str()];
    container.with_bundle("run", &flags).stdin(stdin).stdout(stdout).stderr(stdout_too).ok();
    container.adopt();
    checkpoint(&container, &[]).ok();
    container.wait();

    let ((stdin, feed), (mut out, stdout)) = (pipe(), pipe());
    let stdout_too = stdout.try_clone().expect("a copy");
    restore_detached(&container, &[]).stdin(stdin).stdout(stdout).stderr(stdout_too).ok();
    container.adopt();
    std::io::Write::write_all(&mut { feed }, b"words\n").expect("the container reads");
    let mut said = String::new();
    std::io::Read::read_to_string(&mut out, &mut said).expect("a pipe with an end");
    assert_eq!(said, "got words\n");
    assert_eq!(container.wait(), 0);
}

#[test]
fn a_terminal_is_sent_to_the_console_socket_of_whoever_restores() {
    need_criu!();
    let mut container = Container::sh("n=0; while read word; do n=$((n+1)); echo got $word $n; done");
    container.set("/process/terminal", true);
    let socket = ConsoleSocket::listen(container.home());
    let flag = socket.path().to_str().expect("a path of ours").to_owned();
    let pid_file = container.pid_file();
    let flags = ["--console-socket".as_ref(), flag.as_ref(), "--pid-file".as_ref(), pid_file.as_os_str()];
    container.with_bundle("create", &flags).ok();
    container.adopt();
    let mut terminal = socket.receive();
    container.start();
    terminal.type_in("one\n");
    terminal.expect("got one 1");
    checkpoint(&container, &[]).ok();
    container.wait();
    restore_detached(&container, &["--console-socket", &flag]).ok();
    container.adopt();
    let mut terminal = socket.receive();
    terminal.type_in("two\n");
    terminal.expect("got two 2");
}

#[test]
fn in_the_foreground_the_terminal_is_ours() {
    need_criu!();
    let mut container = Container::sh("read a; echo first $a; read b; echo got $a and $b; exit 5");
    container.set("/process/terminal", true);
    let (mut ours, theirs) = Terminal::open();
    let on = |command: Invocation| {
        let copy = || theirs.try_clone().expect("a descriptor can be copied");
        command.within(&["setsid", "--ctty"]).stdin(copy()).stdout(copy()).stderr(copy())
    };
    let pid_file = container.pid_file();
    let running = on(container.with_bundle("run", &["--pid-file".as_ref(), pid_file.as_os_str()])).spawn();
    ours.type_in("one\n");
    ours.expect("first one");
    checkpoint(&container, &[]).ok();
    assert_eq!(running.wait().code, 128 + 9);
    let running = on(restore(&container, &[])).spawn();
    ours.type_in("two\n");
    ours.expect("got one and two");
    assert_eq!(running.wait().code, 5);
}

#[test]
fn a_joined_network_namespace_is_joined_again() {
    need_criu!();
    let holder = Container::lasting();
    holder.up();
    let path = format!("/proc/{}/ns/net", holder.pid());
    let mut counter = Counter::up(|container| {
        let namespaces = container.bundle.config["linux"]["namespaces"].as_array_mut().expect("a list");
        let network = namespaces.iter_mut().find(|one| one["type"] == "network").expect("one of them");
        network["path"] = json!(path);
    });
    let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/net")).expect("a living process");
    counter.save(&[]);
    counter.restore(&[]);
    assert_eq!(namespace(counter.container.pid()), namespace(holder.pid()));
    counter.counts(2);
}

#[test]
fn a_network_namespace_of_its_own_has_a_loopback_interface_that_is_up() {
    need_criu!();
    let counter = Counter::up(|_| ());
    counter.save(&[]);
    counter.restore(&[]);
    let flags = counter.container.exec(&["ip", "link", "show", "lo"]).ok().stdout;
    assert!(flags.contains("UP,"), "{flags}");
}

#[test]
fn bind_mounts_are_made_again_with_their_places() {
    need_criu!();
    let mut counter = Counter::new();
    let container = &mut counter.container;
    let source = container.home().join("source");
    let inner = container.home().join("inner");
    for dir in [&source, &inner] {
        fs::create_dir(dir).expect("a new directory");
        fs::write(dir.join("file"), dir.to_str().expect("a path of ours")).expect("a new file");
    }
    let rootfs = container.bundle.rootfs();
    fs::create_dir(rootfs.join("real")).expect("a new directory");
    symlink("/real", rootfs.join("link")).expect("a new link");
    let bind = |from: &str, to: &str| json!({"source": from, "destination": to, "options": ["bind", "ro"]});
    let (source, inner) =
        (source.to_str().expect("ours").to_owned(), inner.to_str().expect("ours").to_owned());
    container.push("/mounts", json!({"source": source, "destination": "/data", "options": ["bind"]}));
    container.push("/mounts", bind(&inner, "/data/deep/er"));
    container.push("/mounts", bind(&source, "/link"));
    container.push("/mounts", bind(&format!("{source}/file"), "/etc/one"));
    container.up();
    counter.counts(1);
    counter.save(&[]);
    // As on another machine: places are made again.
    fs::remove_dir_all(PathBuf::from(&source).join("deep")).expect("made by create");
    fs::remove_file(counter.container.bundle.rootfs().join("etc/one")).expect("made by create");
    counter.restore(&[]);
    let container = &counter.container;
    let read = |path: &str| container.exec(&["cat", path]).ok().stdout;
    assert_eq!(read("/data/file"), source);
    assert_eq!(read("/data/deep/er/file"), inner);
    assert_eq!(read("/real/file"), source);
    assert_eq!(read("/etc/one"), source);
    assert_ne!(container.exec(&["touch", "/real/file"]).code, 0, "it is still read-only");
    container.exec(&["touch", "/data/file"]).ok();
    counter.counts(2);
}

#[test]
fn what_is_in_a_tmpfs_is_part_of_it() {
    need_criu!();
    let counter = Counter::up(|container| {
        container.push("/mounts", json!({"type": "tmpfs", "source": "tmpfs", "destination": "/scratch"}));
    });
    counter.container.exec(&["sh", "-c", "echo kept >/scratch/file; echo kept >/dev/shm/file"]).ok();
    counter.save(&[]);
    counter.restore(&[]);
    let out = counter.container.exec(&["cat", "/scratch/file", "/dev/shm/file"]).ok();
    assert_eq!(out.lines(), ["kept", "kept"]);
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
    let unified = cgroup::hierarchies().iter().all(|one| one.unified);
    let modes: &[&[&str]] =
        if unified { &[&[], &["soft"], &["full"], &["ignore"]] } else { &[&[], &["ignore"]] };
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
fn a_container_in_a_user_namespace_is_restored_in_one() {
    need_criu!();
    let mut counter = Counter::new();
    spec::add_user_namespace(&mut counter.container.bundle.config, &[(0, 100_000, 65_536)]);
    // Its root has no right to open files of ours again.
    let null = || fs::OpenOptions::new().read(true).write(true).open("/dev/null").expect("it is there");
    let pid_file = counter.container.pid_file();
    let flags = ["--detach".as_ref(), "--pid-file".as_ref(), pid_file.as_os_str()];
    counter.container.with_bundle("run", &flags).stdout(null()).stderr(null()).ok();
    counter.container.adopt();
    counter.counts(1);
    counter.save(&[]);
    restore_detached(&counter.container, &[]).stdout(null()).stderr(null()).ok();
    counter.container.adopt();
    counter.counts(2);
    let map = fs::read_to_string(format!("/proc/{}/uid_map", counter.container.pid())).expect("it lives");
    assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "100000", "65536"]);
}

#[test]
fn a_log_file_outside_goes_on_in_the_one_of_whoever_restores() {
    need_criu!();
    let mut counter = Counter::new();
    counter.container.set("/process/args", json!(["sh", "-c", format!("echo first; {COUNTER}")]));
    let home = counter.container.home().to_owned();
    let open = |name: &str| {
        fs::OpenOptions::new().create(true).append(true).open(home.join(name)).expect("a file of ours")
    };
    let container = &counter.container;
    let pid_file = container.pid_file();
    let flags = ["--detach".as_ref(), "--pid-file".as_ref(), pid_file.as_os_str()];
    container.with_bundle("run", &flags).stdout(open("log")).stderr(open("log")).ok();
    container.adopt();
    counter.counts(1);
    counter.save(&[]);
    let (out, err) = (open("other"), open("other"));
    restore_detached(&counter.container, &[]).stdout(out).stderr(err).ok();
    counter.container.adopt();
    counter.container.exec(&["sh", "-c", "echo between >/proc/1/fd/1"]).ok();
    let read = |name: &str| fs::read_to_string(home.join(name)).expect("a file of ours");
    assert_eq!((read("log").as_str(), read("other").as_str()), ("first\n", "between\n"));
}

#[test]
fn connections_can_be_closed_or_kept() {
    need_criu!();
    // Both ends are in the container, so the connection is restored as a whole.
    let script = "nc -l -p 7000 -e cat & sleep 0.2; mkfifo /tmp/in; (while read w; do echo $w; done) </ask | \
                  nc 127.0.0.1 7000 >/said";
    let mut container = Container::sh(&format!("while ! ip link show lo | grep -q UP; do :; done; {script}"));
    let (mut ask, mut said) = (container.fifo("ask"), container.fifo("said"));
    container.push("/mounts", json!({"type": "tmpfs", "source": "tmpfs", "destination": "/tmp"}));
    container.up();
    ask.tell("one");
    assert_eq!(said.line(), "one");
    checkpoint(&container, &[]).output().fails_with("criu failed: ");
    assert_eq!(container.status(), "running");
    checkpoint(&container, &["--tcp-established"]).ok();
    container.wait();
    restore_detached(&container, &["--tcp-established"]).ok();
    container.adopt();
    ask.tell("two");
    assert_eq!(said.line(), "two");
}

#[test]
fn a_job_of_a_shell_is_restored_to_the_terminal_of_whoever_restores() {
    need_criu!();
    let container = Container::sh("read a; echo first $a; read b; echo got $a and $b; exit 5");
    let (mut ours, theirs) = Terminal::open();
    let on = |command: Invocation| {
        let copy = || theirs.try_clone().expect("a descriptor can be copied");
        command.within(&["setsid", "--ctty"]).stdin(copy()).stdout(copy()).stderr(copy())
    };
    let running = on(container.with_bundle::<&str>("run", &[])).spawn();
    ours.type_in("one\n");
    ours.expect("first one");
    checkpoint(&container, &["--shell-job", "--leave-running"]).ok();
    checkpoint(&container, &["--shell-job"]).ok();
    assert_eq!(running.wait().code, 128 + 9);
    let running = on(restore(&container, &["--shell-job"])).spawn();
    ours.type_in("two\n");
    ours.expect("got one and two");
    assert_eq!(running.wait().code, 5);
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
    // As the shell does it: the descriptor gets a number that the command inherits.
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
    let mut other = Container::new(&["true"]);
    other.bundle.config = counter.container.bundle.config.clone();
    other.bundle.save();
    let pid_file = other.pid_file();
    let command = other.runtime().env("PATH", criu::path()).arg("restore").arg("--image-path");
    let command = command.arg(images(&counter.container)).arg("--work-path").arg(images(&counter.container));
    let command =
        command.arg("--bundle").arg(counter.container.bundle.path()).arg("--pid-file").arg(&pid_file);
    command.args(["--detach", "--lazy-pages", "--manage-cgroups-mode", "ignore", &other.id]).ok();
    other.adopt();
    assert_eq!(other.status(), "running");
    daemon.wait().ok();
    source.wait().ok();
}
