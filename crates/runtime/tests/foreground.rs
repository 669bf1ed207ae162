//! The foreground as a person at a terminal meets it: keys, sizes, signals, the last words, and the terminal afterwards.
//!
//! This program plays the person. It starts itself once more as what `orlop run` is between launch and exit: a [`Proxy`]
//! and a [`Foreground`] around a shell on a terminal of its own, which stands for the container.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Command, ExitCode, Stdio};

use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use orlop_runtime::console::Proxy;
use orlop_runtime::wait::Foreground;
use orlop_sys::Fd;
use orlop_sys::command::with_no_signal_blocked;
use orlop_sys::terminal::{set_size, size};

const CONTAINER: &str = r#"
    stty -echo; echo ready; read line; echo "got $line"; echo "size $(stty size)"
    trap 'echo "size $(stty size)"' WINCH
    trap 'seq 1 20000; exit 7' TERM
    echo waiting; while :; do sleep 0.05; done"#;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("orlop") {
        return orlop();
    }
    person();
    ExitCode::SUCCESS
}

/// What `orlop run` does once the container's process is there.
fn orlop() -> ExitCode {
    let foreground = Foreground::new(true).unwrap();
    let pty = openpty(None, None).unwrap();
    let end = || Stdio::from(pty.slave.try_clone().unwrap());
    let mut shell = Command::new("setsid");
    shell.args(["--ctty", "bash", "-c", CONTAINER]).stdin(end()).stdout(end()).stderr(end());
    #[expect(clippy::zombie_processes, reason = "it is waited for by its pidfd")]
    let child = with_no_signal_blocked(&mut shell).spawn().unwrap();
    drop((shell, pty.slave));
    let pid = child.id() as i32;
    let pidfd: OwnedFd = orlop_sys::process::pidfd_open(pid).unwrap().into();
    let proxy = Proxy::new(pty.master).unwrap();
    ExitCode::from(foreground.wait(pid, &pidfd, Some(proxy)).unwrap() as u8)
}

/// What a person does, and sees.
fn person() {
    // Whatever is not seen in time never comes.
    nix::unistd::alarm::set(60);
    let pty = openpty(None, None).unwrap();
    set_size(Fd::of(&pty.slave), 40, 100).unwrap();
    let before = tcgetattr(&pty.slave).unwrap();
    let end = || Stdio::from(pty.slave.try_clone().unwrap());
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut orlop = command.arg("orlop").stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
    drop(command);
    let mut screen = Screen { terminal: File::from(pty.master.try_clone().unwrap()), seen: String::new() };
    let pid = Pid::from_raw(orlop.id() as i32);

    screen.wait_for("ready");
    let raw = tcgetattr(&pty.slave).unwrap();
    assert!(!raw.local_flags.intersects(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG), "not raw");
    screen.terminal.write_all(b"hello\r").unwrap();
    screen.wait_for("got hello");
    screen.wait_for("size 40 100");
    screen.wait_for("waiting");
    set_size(Fd::of(&pty.master), 50, 120).unwrap();
    kill(pid, Signal::SIGWINCH).unwrap();
    screen.wait_for("size 50 120");
    kill(pid, Signal::SIGTERM).unwrap();
    screen.wait_for("\r\n20000\r\n");
    assert_eq!(orlop.wait().unwrap().code(), Some(7));
    assert_eq!(tcgetattr(&pty.slave).unwrap(), before, "the terminal is not as it was");
    assert_eq!(size(Fd::from(pty.slave.as_fd())).unwrap(), (50, 120));
}

/// What the person sees.
struct Screen {
    terminal: File,
    seen: String,
}

impl Screen {
    fn wait_for(&mut self, text: &str) {
        let mut buffer = [0; 4096];
        while !self.seen.contains(text) {
            let n = self.terminal.read(&mut buffer).unwrap();
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
        let end = self.seen.find(text).unwrap() + text.len();
        self.seen.drain(..end);
    }
}
