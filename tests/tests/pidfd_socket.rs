//! `--pidfd-socket`: a handle on the process for whoever asks for one.
use std::ffi::OsStr;

use orlop_tests::Container;
use orlop_tests::terminal::ConsoleSocket;
use rustix::process::{Signal, pidfd_send_signal};

fn flags(socket: &ConsoleSocket) -> [&OsStr; 2] {
    [OsStr::new("--pidfd-socket"), socket.path().as_os_str()]
}

#[test]
fn create_and_run_send_a_pidfd_of_the_containers_process() {
    for (command, extra) in [("create", None), ("run", Some("--detach"))] {
        let container = Container::lasting();
        let socket = ConsoleSocket::listen(container.home());
        let pid_file = container.pid_file();
        let mut all: Vec<&OsStr> = vec![OsStr::new("--pid-file"), pid_file.as_os_str()];
        all.extend(flags(&socket));
        all.extend(extra.map(OsStr::new));
        container.with_bundle(command, &all).ok();
        container.adopt();
        let pidfd = socket.receive_descriptor();
        assert!(["created", "running"].contains(&container.status().as_str()));
        pidfd_send_signal(&pidfd, Signal::KILL).expect("it is the process's");
        assert_eq!(container.wait(), 137, "{command}");
        assert_eq!(container.status(), "stopped");
    }
}

#[test]
fn exec_sends_a_pidfd_of_its_own_process() {
    let container = Container::lasting();
    container.up();
    let socket = ConsoleSocket::listen(container.home());
    let path = socket.path().to_string_lossy().into_owned();
    let process = container.exec_detached(&["--pidfd-socket", &path], &["sleep", "1000"]);
    let pidfd = socket.receive_descriptor();
    pidfd_send_signal(&pidfd, Signal::TERM).expect("it is the process's");
    assert_eq!(process.reap(), Some(143));
    assert_eq!(container.status(), "running");
}

#[test]
fn a_socket_that_nobody_listens_on_stops_it_early() {
    let container = Container::sh("echo ran");
    let out = container.with_bundle("run", &["--pidfd-socket", "/no/such/socket"]).output();
    out.fails_with("connect to the pidfd socket /no/such/socket");
    container.assert_no_leaks();
    let container = Container::lasting();
    container.up();
    let out = container.exec_command(&["--pidfd-socket", "/no/such/socket"], &["echo", "ran"]).output();
    out.fails_with("connect to the pidfd socket");
}
