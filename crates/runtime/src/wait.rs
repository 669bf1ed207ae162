//! Waiting in the foreground for a container's process: signals go on to it, its terminal is ours, its orphans are
//! reaped, and how it ended is how we end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use orlop_sys::Fd;
use orlop_sys::process::pidfd_send_signal;
use orlop_sys::wait::{How, reap_any, wait};

use crate::console::{Proxy, Ready, Wants};
use crate::error::{Doing, Result};

/// Signals that tell of a fault of this program itself: they are neither blocked nor forwarded.
const OUR_OWN: [Signal; 7] = [
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGTRAP,
    Signal::SIGSYS,
    Signal::SIGABRT,
];

/// Signals that arrive at this process from now on, for the container.
///
/// Make it before the launch: then no signal is lost in between. Init unblocks all signals before it executes the
/// container's program, and so do hooks.
#[derive(Debug)]
pub struct Foreground {
    signals: SignalFd,
}

impl Foreground {
    /// Blocks every signal and collects it instead ([signalfd(2)](https://man7.org/linux/man-pages/man2/signalfd.2.html)).
    ///
    /// `subreaper`: orphans of the container become children of this process
    /// ([PR_SET_CHILD_SUBREAPER(2const)](https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html)).
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`](crate::Error::Kernel).
    pub fn new(subreaper: bool) -> Result<Self> {
        if subreaper {
            nix::sys::prctl::set_child_subreaper(true).doing(|| "become a subreaper".to_owned())?;
        }
        let mut set = SigSet::all();
        for signal in OUR_OWN {
            set.remove(signal);
        }
        let doing = || "collect signals".to_owned();
        set.thread_block().doing(doing)?;
        let signals =
            SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).doing(doing)?;
        Ok(Self { signals })
    }

    /// Where signals arrive.
    pub(crate) fn signals(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }

    /// Waits until the process has ended, and returns its exit status, 128 + n if signal n killed it. The process is a
    /// child of this one: `pid` and `pidfd` are both its.
    ///
    /// Every signal is forwarded, but for SIGCHLD, SIGURG and SIGWINCH, which resizes the console.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`](crate::Error::Kernel).
    pub fn wait(&self, pid: i32, pidfd: &OwnedFd, mut console: Option<Proxy>) -> Result<i32> {
        let mut ended = None;
        while ended.is_none() {
            let (signalled, over, ready) = self.poll(pidfd, console.as_ref())?;
            if let Some(console) = &mut console {
                console.serve(ready);
            }
            if signalled {
                ended = self.take_signals(pid, pidfd, console.as_ref())?;
            }
            if over && ended.is_none() {
                ended = Some(wait(Fd::of(pidfd)).doing(|| format!("wait for process {pid}"))?);
            }
        }
        if let Some(console) = &mut console {
            console.drain();
        }
        let how = ended.unwrap_or(How::Exited(0));
        tracing::debug!(pid, %how, "the container's process has ended");
        Ok(how.status())
    }

    /// Waits for a signal, the end of the process, or work of the console.
    fn poll(&self, pidfd: &OwnedFd, console: Option<&Proxy>) -> Result<(bool, bool, Ready)> {
        let wants = console.map(Proxy::wants).unwrap_or_default();
        let (stdin, stdout) = (std::io::stdin(), std::io::stdout());
        let mut fds = vec![
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(pidfd.as_fd(), PollFlags::POLLIN),
        ];
        // Descriptors of which nothing is wanted must not be polled: they would report their hang-up for ever.
        let Wants { stdin_readable, master_readable, master_writable, stdout_writable } = wants;
        let mut interest = |fd, wanted: bool, events| {
            wanted.then(|| {
                fds.push(PollFd::new(fd, events));
                fds.len() - 1
            })
        };
        let master = console.map_or(pidfd.as_fd(), |console| console.master().as_fd());
        let stdin_readable = interest(stdin.as_fd(), stdin_readable, PollFlags::POLLIN);
        let master_readable = interest(master, master_readable, PollFlags::POLLIN);
        let master_writable = interest(master, master_writable, PollFlags::POLLOUT);
        let stdout_writable = interest(stdout.as_fd(), stdout_writable, PollFlags::POLLOUT);
        loop {
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) => break,
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e).doing(|| "wait for the container's process".to_owned()),
            }
        }
        let any = |index: Option<usize>| index.is_some_and(|index| fds[index].any() == Some(true));
        let ready = Ready {
            stdin_readable: any(stdin_readable),
            master_readable: any(master_readable),
            master_writable: any(master_writable),
            stdout_writable: any(stdout_writable),
        };
        Ok((any(Some(0)), any(Some(1)), ready))
    }

    /// Deals with what has arrived; how the process ended, if it was reaped by the way.
    fn take_signals(&self, pid: i32, pidfd: &OwnedFd, console: Option<&Proxy>) -> Result<Option<How>> {
        let mut ended = None;
        while let Some(info) = self.signals.read_signal().doing(|| "read signals".to_owned())? {
            match info.ssi_signo as i32 {
                libc::SIGCHLD => ended = reap(pid)?.or(ended),
                libc::SIGWINCH => console.map_or((), Proxy::resize),
                libc::SIGURG => {}
                signal => forward(signal, pid, pidfd),
            }
        }
        Ok(ended)
    }
}

/// Sends a signal on. A process that has just ended needs it no more.
fn forward(signal: i32, pid: i32, pidfd: &OwnedFd) {
    match pidfd_send_signal(Fd::of(pidfd), signal) {
        Err(e) if !e.is(libc::ESRCH) => tracing::warn!("forward signal {signal} to process {pid}: {e}"),
        _ => tracing::debug!(signal, pid, "forwarded a signal"),
    }
}

/// Reaps every child that has ended; how the process with this id ended, if it was among them.
fn reap(pid: i32) -> Result<Option<How>> {
    let mut ended = None;
    loop {
        match reap_any() {
            Ok(Some((child, how))) if child == pid => ended = Some(how),
            Ok(Some(_)) => {}
            Ok(None) => return Ok(ended),
            Err(e) if e.is(libc::ECHILD) => return Ok(ended),
            Err(e) => return Err(e).doing(|| "reap children".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_sys::command::with_no_signal_blocked;
    use std::process::Command;

    #[test]
    fn the_exit_status_is_that_of_the_process_or_128_and_the_signal() {
        let foreground = Foreground::new(false).unwrap();
        for (script, status) in
            [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137), ("kill -RTMIN $$", 162)]
        {
            let mut command = Command::new("/bin/bash");
            #[expect(clippy::zombie_processes, reason = "it is waited for by its pidfd")]
            let child = with_no_signal_blocked(command.args(["-c", script])).spawn().unwrap();
            let pid = child.id() as i32;
            let pidfd: OwnedFd = orlop_sys::process::pidfd_open(pid).unwrap().into();
            assert_eq!(foreground.wait(pid, &pidfd, None).unwrap(), status, "{script}");
        }
    }
}
