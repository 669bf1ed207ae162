//! The process `criu swrk`, and the conversation with it.

use std::ffi::CString;
use std::os::fd::{AsFd as _, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::{Signal, killpg};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::Pid;
use orlop_sys::command::{Mount, with_descriptors, with_mounts, with_no_signal_blocked};
use orlop_sys::process::pidfd_open;
use orlop_sys::{Fd, socket};

use super::CriuError;
use super::rpc::{self, Kind, Notify, Response};
use super::wire::Message;
use crate::error::{Doing, Result};
use crate::reactor::await_any;

/// More than any response of CRIU's is long.
const MAX: usize = 16 * 1024;

/// How to start it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setup<'a> {
    /// It has our standard input, output and error: restored processes may get them.
    pub(crate) streams: bool,
    /// Descriptors that it inherits, under the numbers that they have here.
    pub(crate) inherit: &'a [OwnedFd],
    /// It runs in a mount namespace of its own, in which these are mounted: what, or a tmpfs, and where.
    pub(crate) mounts: &'a [(Option<PathBuf>, PathBuf)],
}

/// A running `criu swrk`, which takes one request. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Swrk {
    child: Child,
    pidfd: OwnedFd,
    /// `None` once there is nothing more to say.
    socket: Option<OwnedFd>,
    /// It has no processes of others to let go of, so it can be ended at any time.
    expendable: bool,
    /// It has a process group of its own, and was not waited for.
    has_group: bool,
}

/// What is done while CRIU waits, with the descriptor that came with the notification.
pub(crate) type OnNotify<'a> = &'a mut dyn FnMut(&Notify, Option<OwnedFd>) -> Result<()>;

impl Swrk {
    pub(super) fn start(program: &Path, setup: Setup<'_>) -> Result<Self> {
        let doing = || format!("start {}", program.display());
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .doing(doing)?;
        let mut command = Command::new(program);
        // With what it starts, so that nothing of that outlives it. Restored processes may have to stay in our group.
        if !setup.streams {
            command.process_group(0);
        }
        command.arg("swrk").arg(theirs.as_raw_fd().to_string());
        if !setup.streams {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        }
        with_no_signal_blocked(&mut command);
        if !setup.mounts.is_empty() {
            let mounts = setup.mounts.iter().map(|(source, target)| {
                Ok(Mount { source: source.as_deref().map(c_path).transpose()?, target: c_path(target)? })
            });
            with_mounts(&mut command, mounts.collect::<Result<_>>()?);
        }
        let numbers = setup.inherit.iter().chain([&theirs]).map(AsRawFd::as_raw_fd).collect();
        let mut child = with_descriptors(&mut command, numbers).spawn().doing(doing)?;
        match pidfd_open(child.id() as i32) {
            Ok(pidfd) => Ok(Self {
                child,
                pidfd: pidfd.into(),
                socket: Some(ours),
                expendable: false,
                has_group: !setup.streams,
            }),
            Err(e) => {
                // Nobody has asked it for anything yet.
                child.kill().and_then(|()| child.wait()).ok();
                Err(e).doing(doing)
            }
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// A request without options, during which CRIU has nothing to tell.
    ///
    /// # Errors
    ///
    /// [`CriuError::Failed`].
    pub(crate) fn ask(self, kind: Kind) -> Result<Response> {
        self.send(&rpc::request(kind, None))?;
        self.receive().map(|(response, _)| response)
    }

    /// Has it do something, and waits until it has ended. If `on_notify` fails, CRIU takes everything back.
    ///
    /// # Errors
    ///
    /// [`CriuError::Failed`], without the log; or what `on_notify` returns.
    pub(crate) fn perform(mut self, kind: Kind, opts: &Message, on_notify: OnNotify<'_>) -> Result<()> {
        self.expendable = kind == Kind::Restore;
        self.send(&rpc::request(kind, Some(opts)))?;
        let mut trouble = None;
        let response = loop {
            match self.receive() {
                Ok((Response { success: true, notify: Some(notify), .. }, fd)) => {
                    tracing::debug!(script = notify.script, pid = notify.pid, "CRIU tells how far it is");
                    let done = if trouble.is_none() { on_notify(&notify, fd) } else { Ok(()) };
                    trouble = trouble.or(done.err());
                    self.send(&rpc::notified(trouble.is_none()))?;
                }
                Ok((response, _)) => break response,
                Err(e) => return Err(trouble.unwrap_or(e)),
            }
        };
        match trouble {
            Some(e) => return Err(e),
            None if !response.success || !response.answers(kind) => return Err(failed(&response).into()),
            None => {}
        }
        self.socket = None;
        self.has_group = false;
        let status = self.child.wait().doing(|| "wait for criu".to_owned())?;
        // After a pre-dump it waits for the dump, and takes the end of the conversation for a failure.
        if status.success() || kind == Kind::PreDump {
            Ok(())
        } else {
            Err(CriuError::failed(format!("it ended with {status}")).into())
        }
    }

    fn send(&self, message: &Message) -> Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        match socket::send(Fd::of(socket), message.bytes(), None) {
            // Why it is gone, or that it is, is what we hear next.
            Err(e) if e.is(libc::EPIPE) || e.is(libc::ECONNRESET) => Ok(()),
            sent => sent.doing(|| "tell criu what to do".to_owned()),
        }
    }

    fn receive(&self) -> Result<(Response, Option<OwnedFd>)> {
        let ended = || CriuError::failed("it ended without an answer".to_owned());
        let socket = self.socket.as_ref().ok_or_else(ended)?;
        if !self.speaks(socket)? {
            return Err(ended().into());
        }
        let mut buffer = vec![0; MAX];
        let (n, fd) = match socket::receive_with_fd(Fd::of(socket), &mut buffer) {
            Err(e) if e.is(libc::ECONNRESET) => (0, None),
            received => received.doing(|| "hear what criu says".to_owned())?,
        };
        if n == 0 {
            return Err(ended().into());
        }
        Ok((Response::read(&buffer[..n]), fd.map(OwnedFd::from)))
    }
}

impl Swrk {
    /// Waits until CRIU says something, or has ended without. What it has made has the other end of the socket too, so that its
    /// own end alone does not close that.
    fn speaks(&self, socket: &OwnedFd) -> Result<bool> {
        let fds = &mut [socket, &self.pidfd].map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN));
        await_any(fds).doing(|| "wait for criu".to_owned())?;
        Ok(fds[0].any().unwrap_or(false))
    }

    /// Waits until it has ended, as far as the kernel lets us; it stays to be waited for.
    fn ends(&self) -> bool {
        await_any(&mut [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)]).is_ok()
    }
}

impl Drop for Swrk {
    fn drop(&mut self) {
        if self.socket.take().is_some() && self.expendable {
            // Else it could wait for processes that have ended and are ours to wait for.
            self.child.kill().ok();
        }
        if self.has_group && self.ends() {
            // Its number is its group's as long as nobody has waited for it. If it was killed, what it has started may not know.
            killpg(Pid::from_raw(self.pid()), Signal::SIGKILL).ok();
        }
        // It ends when nobody speaks with it any more, once it has let go of the processes that it had stopped.
        self.child.wait().ok();
    }
}

fn c_path(path: &Path) -> Result<CString> {
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL);
    name.doing(|| format!("mount {}", path.display()))
}

/// In CRIU's words, as far as it has some beyond its log.
fn failed(response: &Response) -> CriuError {
    let errno = match response.errno {
        0 => String::new(),
        n => format!(", {}", orlop_sys::names::errno(n)),
    };
    match response.message.trim() {
        "" => CriuError::failed(format!("it refused or gave up{errno}")),
        message => CriuError::failed(format!("{message}{errno}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollTimeout, poll};

    #[test]
    fn one_that_ends_without_a_word_is_not_waited_for_and_nothing_outlives_it() {
        let directory = tempfile::tempdir().unwrap();
        let (program, started) = (directory.path().join("criu"), directory.path().join("started"));
        // What it starts has the socket, too. Another process writes this one's file: while ours had it open, a fork of another
        // test's would keep it from being executed.
        let write = r#"printf '#!/bin/sh\nsleep 1000 &\necho $! >%s\n' "$2" >"$1" && chmod 755 "$1""#;
        let written = Command::new("sh").args(["-c", write, "sh"]).args([&program, &started]).status();
        assert!(written.unwrap().success());
        let Err(e) = Swrk::start(&program, Setup::default()).unwrap().ask(Kind::Version) else {
            panic!("it has said nothing")
        };
        assert!(e.to_string().contains("ended without an answer"), "{e}");
        let number: i32 = std::fs::read_to_string(&started).unwrap().trim().parse().unwrap();
        let Ok(pidfd) = pidfd_open(number).map(OwnedFd::from) else { return };
        let ended = poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], PollTimeout::from(30_000_u16));
        assert_eq!(ended, Ok(1), "it was killed");
    }
}
