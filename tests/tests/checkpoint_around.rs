//! `checkpoint` and `restore`: what is around the processes, such as streams, terminals, mounts and namespaces.
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use orlop_tests::criu::{COUNTER, Counter, checkpoint, restore, restore_detached};
use orlop_tests::terminal::{ConsoleSocket, Terminal};
use orlop_tests::{Container, Invocation, need_criu, spec};
use serde_json::json;

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
fn connections_inside_are_kept_if_that_is_asked_for() {
    need_criu!();
    // Port 7000 is 1B58.
    let mut container = Container::sh(
        "nc -l -p 7000 -e cat & until grep -q :1B58 /proc/net/tcp /proc/net/tcp6; do :; done
         (while read w; do echo $w; done) </ask | nc 127.0.0.1 7000 >/said",
    );
    container.set("/root/readonly", false);
    let (mut ask, mut said) = (container.fifo("ask"), container.fifo("said"));
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
