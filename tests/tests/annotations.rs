//! Annotations that engines rely on, and sockets that the caller hands over by its environment.
use std::fs;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::time::Duration;

use orlop_tests::{Container, cgroup, need};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::json;

#[test]
fn original_groups_are_kept() {
    let mut container = Container::new(&["id", "-G"]);
    container.set("/annotations/run.oci.keep_original_groups", "1");
    container.bundle.save();
    // With root's groups exchanged for one that nobody else has.
    let run = container.with_bundle::<&str>("run", &[]).within(&["setpriv", "--groups", "4242"]);
    assert_eq!(run.ok().stdout, "0 4242\n");
    let exec = Container::lasting();
    exec.up();
    let groups = exec.exec_command(&[], &["id", "-G"]).within(&["setpriv", "--groups", "4242"]);
    assert_eq!(groups.ok().stdout, "0\n", "without the annotation they are not");
}

#[test]
fn what_hooks_write_goes_to_files() {
    let mut container = Container::new(&["true"]);
    let (out, err) = (container.home().join("hook.out"), container.home().join("hook.err"));
    container.set("/annotations/run.oci.hooks.stdout", out.to_string_lossy().as_ref());
    container.set("/annotations/run.oci.hooks.stderr", err.to_string_lossy().as_ref());
    let hook = json!({ "path": "/bin/sh", "args": ["sh", "-c", "echo out; echo err >&2"] });
    container.set("/hooks/createRuntime", json!([hook]));
    container.set("/hooks/createContainer", json!([hook]));
    container.set("/hooks/poststop", json!([hook]));
    container.run().ok();
    assert_eq!(fs::read_to_string(out).expect("it was made"), "out\nout\nout\n");
    assert_eq!(fs::read_to_string(err).expect("it was made"), "err\nerr\nerr\n");
}

#[test]
fn a_raw_filter_takes_the_place_of_the_profile() {
    need!(cfg!(target_arch = "x86_64"), "the filter is for x86_64");
    // Of mkdir(2), number 83, it returns "argument list too long", and it allows the rest.
    let filter = "IAAAAAAAAAAVAAABUwAAAAYAAAAHAAUABgAAAAAA/38=";
    let mut container = Container::new(&["mkdir", "/tmp/x"]);
    container.set("/linux/seccomp", json!({ "defaultAction": "SCMP_ACT_KILL" }));
    container.set("/annotations/run.oci.seccomp_bpf_data", filter);
    container.run().fails_with("Argument list too long");
    let mut container = Container::new(&["true"]);
    container.set("/annotations/run.oci.seccomp_bpf_data", "BgAA");
    container.run().fails_with("/annotations/run.oci.seccomp_bpf_data");
}

#[test]
fn unknown_system_calls_are_errors_if_asked() {
    let mut container = Container::new(&["true"]);
    let rule = json!({ "names": ["opne"], "action": "SCMP_ACT_ERRNO" });
    container.set("/linux/seccomp", json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule] }));
    let out = container.run().ok();
    assert!(out.stderr.contains("\"opne\\\" is ignored") || out.stderr.contains("opne"), "{out}");
    container.set("/annotations/run.oci.seccomp_fail_unknown_syscall", "1");
    container.run().fails_with("/linux/seccomp/syscalls/0/names/0: unknown system call \"opne\"");
}

#[test]
fn the_process_gets_a_cgroup_of_its_own_below() {
    for create in [true, false] {
        let mut container = Container::lasting();
        container.push("/linux/namespaces", json!({ "type": "cgroup" }));
        container.set("/annotations/run.oci.delegate-cgroup", "payload/main");
        if create {
            container.up();
        } else {
            let file = container.pid_file();
            let flags = ["--detach".as_ref(), "--pid-file".as_ref(), file.as_os_str()];
            container.with_bundle("run", &flags).ok();
            container.adopt();
        }
        let own = cgroup::unified_directory(container.pid()).expect("a cgroup on version 2");
        assert!(own.ends_with(format!("{}/payload/main", container.id)), "{}", own.display());
        let line = container.exec(&["grep", "^0:", "/proc/self/cgroup"]).ok().stdout;
        assert_eq!(line, "0::/payload/main\n", "the namespace's root is the container's cgroup");
    }
    for path in ["", "/", "..", "a/../../b", "/payload"] {
        let mut container = Container::new(&["true"]);
        container.set("/annotations/run.oci.delegate-cgroup", path);
        container.run().fails_with("/annotations/run.oci.delegate-cgroup");
    }
}

#[test]
fn a_receiver_gets_the_pidfd() {
    let mut container = Container::lasting();
    let path = container.home().join("pidfd.sock");
    let listener = UnixListener::bind(&path).expect("a new socket");
    container.set("/annotations/run.oci.pidfd_receiver", path.to_string_lossy().as_ref());
    container.create();
    let (stream, _) = listener.accept().expect("the runtime has connected");
    let mut text = [0; 16];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(&stream, &mut [IoSliceMut::new(&mut text)], &mut control, RecvFlags::empty()).expect("a message");
    let fd = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    let fd = fd.expect("a descriptor");
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).expect("it is open");
    assert!(info.contains(&format!("Pid:\t{}\n", container.pid())), "{info}");
}

#[test]
fn orders_that_nobody_follows_are_refused_or_warned_of() {
    for key in ["run.oci.handler", "run.oci.seccomp.receiver"] {
        let mut container = Container::new(&["true"]);
        container.bundle.config["annotations"][key] = json!("x");
        container.run().fails_with(&format!("the annotation {key} is not supported yet"));
    }
    let mut container = Container::new(&["true"]);
    container.bundle.config["annotations"] = json!({ "run.oci.colour": "red", "org.example": "x" });
    let out = container.run().ok();
    assert!(out.stderr.contains("run.oci.colour has no meaning") && out.stderr.contains("ORL-0911"), "{out}");
    assert!(!out.stderr.contains("org.example"), "{out}");
}

#[test]
fn a_container_gets_a_notify_socket_and_the_caller_hears_of_it() {
    for command in ["run", "start"] {
        let container = Container::sh("test -S $NOTIFY_SOCKET && echo $NOTIFY_SOCKET > /up; exec sleep 1000");
        let mut up = container.fifo("up");
        let host = container.home().join("notify.sock");
        let listener = UnixDatagram::bind(&host).expect("a new socket");
        listener.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        let file = container.pid_file();
        let with = |command: &str, flags: &[&str]| {
            let flags = [flags, &["--pid-file", file.to_str().expect("a path of ours")]].concat();
            container.with_bundle(command, &flags).env("NOTIFY_SOCKET", &host)
        };
        let waiting = if command == "run" {
            with("run", &["--detach"]).spawn()
        } else {
            with("create", &[]).ok();
            container.command::<&str>("start", &[]).env("NOTIFY_SOCKET", &host).spawn()
        };
        assert_eq!(up.line(), "/run/notify/notify.sock");
        // Nothing in busybox sends a datagram to a Unix socket: the test does it, from the other side of the mount.
        let inside = container.state_root().join(&container.id).join("notify/notify.sock");
        let speaker = UnixDatagram::unbound().expect("a socket");
        speaker.send_to(b"STATUS=nearly\n", &inside).expect("the container's socket takes it");
        speaker.send_to(b"STATUS=now\nREADY=1\n", &inside).expect("the container's socket takes it");
        let mut buffer = [0; 256];
        let n = listener.recv(&mut buffer).expect("a message");
        container.adopt();
        let expected = format!("READY=1\nMAINPID={}\n", container.pid());
        assert_eq!(String::from_utf8_lossy(&buffer[..n]), expected, "{command}");
        // The barrier: its descriptor comes with the message, and is closed where nobody takes it.
        let n = listener.recv(&mut buffer).expect("a message");
        assert_eq!(&buffer[..n], b"BARRIER=1");
        waiting.wait().ok();
        container.kill("KILL");
        container.wait();
        container.delete();
    }
}

#[test]
fn a_container_that_ends_without_a_word_is_not_waited_for() {
    let container = Container::new(&["true"]);
    let host = container.home().join("notify.sock");
    let listener = UnixDatagram::bind(&host).expect("a new socket");
    listener.set_nonblocking(true).expect("our own socket");
    container.with_bundle::<&str>("run", &[]).env("NOTIFY_SOCKET", &host).ok();
    assert!(listener.recv(&mut [0; 16]).is_err(), "nobody has said anything");
    let missing = container.home().join("missing.sock");
    let run = container.with_bundle::<&str>("run", &[]).env("NOTIFY_SOCKET", &missing);
    run.output().fails_with("connect to NOTIFY_SOCKET");
}
