//! `process.terminal`: through a console socket, and on a terminal that someone sits at.
use std::os::fd::OwnedFd;

use orlop_tests::terminal::{ConsoleSocket, Terminal};
use orlop_tests::{Container, Invocation};
use serde_json::json;

/// A container on a terminal.
fn with_terminal(script: &str) -> Container {
    let mut container = Container::sh(script);
    container.set("/process/terminal", true);
    container
}

/// Creates and starts with a console socket; returns the terminal.
fn up(container: &Container) -> Terminal {
    let socket = ConsoleSocket::listen(container.home());
    let pid_file = container.pid_file();
    let flags = ["--console-socket".as_ref(), socket.path(), "--pid-file".as_ref(), &pid_file];
    container.with_bundle("create", &flags).ok();
    container.adopt();
    let terminal = socket.receive();
    container.start();
    terminal
}

/// Puts a command on the other side of a terminal, as the session leader of its own.
fn on(command: Invocation, terminal: &OwnedFd) -> Invocation {
    let copy = || terminal.try_clone().expect("a descriptor can be copied");
    command.within(&["setsid", "--ctty"]).stdin(copy()).stdout(copy()).stderr(copy())
}

#[test]
fn the_console_socket_receives_the_terminal_and_the_program_is_on_it() {
    let container =
        with_terminal("tty; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo on a terminal; read x; echo got $x");
    let mut terminal = up(&container);
    terminal.expect("on a terminal");
    terminal.type_in("words\n");
    let said = terminal.expect("got words");
    assert!(said.contains("/dev/"), "tty names it: {said}");
    assert_eq!(container.wait(), 0);
}

#[test]
fn the_terminal_is_the_controlling_terminal_of_a_session_of_its_own() {
    let container =
        with_terminal("ps -o pid,sid,tty 2>/dev/null || cat /proc/self/stat; echo >/dev/tty ok; read x");
    let mut terminal = up(&container);
    terminal.expect("ok");
    // ^C reaches the foreground process group: only a controlling terminal does that.
    terminal.type_in("\x03");
    assert_eq!(container.wait(), 128 + 2, "{}", terminal.rest());
}

#[test]
fn dev_console_is_the_terminal() {
    let container =
        with_terminal("[ -c /dev/console ] && echo to the console >/dev/console; ls -l /dev/console");
    let mut terminal = up(&container);
    terminal.expect("to the console");
    assert_eq!(container.wait(), 0);
}

#[test]
fn console_size_is_the_initial_size() {
    let mut container = with_terminal("stty size");
    container.set("/process/consoleSize", json!({"height": 33, "width": 111}));
    let mut terminal = up(&container);
    terminal.expect("33 111");
    container.wait();
}

#[test]
fn a_terminal_without_a_console_socket_is_refused_by_create() {
    let container = with_terminal("true");
    let out = container.with_bundle::<&str>("create", &[]).output();
    assert_ne!(out.code, 0, "{out}");
    container.assert_no_leaks();
}

#[test]
fn a_console_socket_without_a_terminal_is_refused() {
    let container = Container::sh("true");
    let socket = ConsoleSocket::listen(container.home());
    let flags = ["--console-socket".as_ref(), socket.path()];
    let out = container.with_bundle("create", &flags).output();
    assert_ne!(out.code, 0, "{out}");
    container.assert_no_leaks();
}

#[test]
fn run_on_a_terminal_is_interactive() {
    let container = with_terminal("echo ready; read x; echo got $x; exit 3");
    let (mut terminal, other) = Terminal::open();
    let running = on(container.with_bundle::<&str>("run", &[]), &other).spawn();
    drop(other);
    terminal.expect("ready");
    terminal.type_in("words\n");
    terminal.expect("got words");
    assert_eq!(running.wait().code, 3);
}

#[test]
fn run_on_a_terminal_takes_its_size_and_follows_its_changes() {
    let script = "trap 'stty size' WINCH; stty size; echo ready; while :; do sleep 1000 & wait $!; done";
    let container = with_terminal(script);
    let (mut terminal, other) = Terminal::open();
    terminal.resize(30, 90);
    let running = on(container.with_bundle::<&str>("run", &[]), &other).spawn();
    drop(other);
    terminal.expect("ready");
    // A runtime may set the size a moment after the start: then the signal says so.
    terminal.expect("30 90");
    terminal.resize(44, 123);
    terminal.expect("44 123");
    container.kill("KILL");
    assert_eq!(running.wait().code, 128 + 9);
}

#[test]
fn control_c_reaches_the_program_not_the_runtime() {
    let container =
        with_terminal("trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 1000 & wait $!; done");
    let (mut terminal, other) = Terminal::open();
    let running = on(container.with_bundle::<&str>("run", &[]), &other).spawn();
    drop(other);
    terminal.expect("ready");
    terminal.type_in("\x03");
    terminal.expect("caught");
    assert_eq!(running.wait().code, 9);
}

#[test]
fn exec_with_a_terminal_is_interactive() {
    let container = Container::lasting();
    container.up();
    let (mut terminal, other) = Terminal::open();
    let command = container.exec_command(&["--tty"], &["sh", "-c", "tty && read x && echo got $x && exit 4"]);
    let running = on(command, &other).spawn();
    drop(other);
    terminal.expect("/dev/pts/");
    terminal.type_in("words\n");
    terminal.expect("got words");
    assert_eq!(running.wait().code, 4);
}

#[test]
fn exec_with_a_console_socket_sends_the_terminal() {
    let container = Container::lasting();
    container.up();
    let socket = ConsoleSocket::listen(container.home());
    let path = socket.path().to_string_lossy().into_owned();
    let flags = ["--tty", "--console-socket", &path];
    let process = container.exec_detached(&flags, &["sh", "-c", "read x; echo got $x; exit 6"]);
    let mut terminal = socket.receive();
    terminal.type_in("words\n");
    terminal.expect("got words");
    assert_eq!(process.reap(), Some(6));
}
