//! The foreground as a person at a terminal meets it: keys, sizes, signals, the last words, and the terminal afterwards.
//!
//! This program plays the person. It starts itself once more as what `orlop run` is between launch and exit: a [`Proxy`]
//! and a [`Foreground`] around a shell on a terminal of its own, which stands for the container.

use std::error::Error;
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

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<ExitCode> {
    if std::env::args().nth(1).as_deref() == Some("orlop") {
        return orlop();
    }
    person().map(|()| ExitCode::SUCCESS)
}

/// What `orlop run` does once the container's process is there.
fn orlop() -> Outcome<ExitCode> {
    let foreground = Foreground::new(true)?;
    let pty = openpty(None, None)?;
    let end = || pty.slave.try_clone().map(Stdio::from);
    let mut shell = Command::new("setsid");
    shell.args(["--ctty", "bash", "-c", CONTAINER]).stdin(end()?).stdout(end()?).stderr(end()?);
    let child = with_no_signal_blocked(&mut shell).spawn()?;
    drop((shell, pty.slave));
    let pid = child.id() as i32;
    let pidfd: OwnedFd = orlop_sys::process::pidfd_open(pid)?.into();
    let proxy = Proxy::new(pty.master)?;
    Ok(ExitCode::from(foreground.wait(pid, &pidfd, Some(proxy))? as u8))
}

/// What a person does, and sees.
fn person() -> Outcome<()> {
    // Whatever is not seen in time never comes.
    nix::unistd::alarm::set(60);
    let pty = openpty(None, None)?;
    set_size(Fd::of(&pty.slave), 40, 100)?;
    let before = tcgetattr(&pty.slave)?;
    let end = || pty.slave.try_clone().map(Stdio::from);
    let mut command = Command::new(std::env::current_exe()?);
    let mut orlop = command.arg("orlop").stdin(end()?).stdout(end()?).stderr(end()?).spawn()?;
    drop(command);
    let mut screen = Screen { terminal: File::from(pty.master.try_clone()?), seen: String::new() };
    let pid = Pid::from_raw(orlop.id() as i32);

    screen.wait_for("ready")?;
    let raw = tcgetattr(&pty.slave)?;
    assert!(!raw.local_flags.intersects(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG), "not raw");
    screen.terminal.write_all(b"hello\r")?;
    screen.wait_for("got hello")?;
    screen.wait_for("size 40 100")?;
    screen.wait_for("waiting")?;
    set_size(Fd::of(&pty.master), 50, 120)?;
    kill(pid, Signal::SIGWINCH)?;
    screen.wait_for("size 50 120")?;
    kill(pid, Signal::SIGTERM)?;
    screen.wait_for("\r\n20000\r\n")?;
    assert_eq!(orlop.wait()?.code(), Some(7));
    assert_eq!(tcgetattr(&pty.slave)?, before, "the terminal is not as it was");
    assert_eq!(size(Fd::from(pty.slave.as_fd()))?, (50, 120));
    Ok(())
}

/// What the person sees.
struct Screen {
    terminal: File,
    seen: String,
}

impl Screen {
    fn wait_for(&mut self, text: &str) -> Outcome<()> {
        let mut buffer = [0; 4096];
        while !self.seen.contains(text) {
            let n = self.terminal.read(&mut buffer)?;
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
        let end = self.seen.find(text).map_or(0, |at| at + text.len());
        self.seen.drain(..end);
        Ok(())
    }
}
