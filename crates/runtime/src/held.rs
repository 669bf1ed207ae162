//! Processes that an embedder of this library holds: it gives them their streams, keeps their terminal, waits for their end.
//!
//! A [`Runtime`] may be used by several threads at once; which of them calls does not matter, as no state of the process is
//! changed but that others may no longer look into it (`PR_SET_DUMPABLE`). What an embedder has in its environment, a hook
//! without `env` inherits, and `LISTEN_FDS` in it means what it means to the command: better start without it.

use std::os::fd::OwnedFd;

use orlop_sys::process::{pidfd_open, pidfd_send_signal};
use orlop_sys::spawn::Child;
use orlop_sys::wait::wait;

use crate::console::Console;
use crate::create::Made;
use crate::error::Result;
use crate::id::ContainerId;
use crate::options::{CreateOptions, RestoreOptions};
use crate::restore;
use crate::runtime::Runtime;

/// What becomes standard input, output and error of a process: close-on-exec, and above 2. With a terminal they are not
/// used, but while it is being set up.
#[derive(Debug)]
pub struct Stdio {
    /// Standard input.
    pub stdin: OwnedFd,
    /// Standard output.
    pub stdout: OwnedFd,
    /// Standard error.
    pub stderr: OwnedFd,
}

impl Stdio {
    pub(crate) const fn each(&self) -> [&OwnedFd; 3] {
        [&self.stdin, &self.stdout, &self.stderr]
    }
}

/// A process that the caller holds: a child of its own, for it to wait for.
#[derive(Debug)]
pub struct Held {
    /// Its id, as the caller sees it. Valid until it is waited for.
    pub pid: i32,
    /// A descriptor for it: readable when it has ended, and what to wait for it with ([`orlop_sys::wait::wait`]).
    pub pidfd: OwnedFd,
    /// The master of its terminal, if it has one.
    pub terminal: Option<OwnedFd>,
}

impl Held {
    pub(crate) fn new(child: Child, console: Option<Console>) -> Self {
        Self { pid: child.pid, pidfd: child.pidfd.into(), terminal: console.and_then(Console::master) }
    }
}

/// Ends and waits for the children of this thread. An embedder whose attempt to make a process has failed has none that it
/// knows of; but a helper that is killed at the wrong moment cannot tell which process it has made, and one that nobody waits
/// for keeps its PID namespace from ending. In the process's first thread this does nothing: that may have others.
pub fn end_children_of_thread() {
    if nix::unistd::gettid() == nix::unistd::getpid() {
        return;
    }
    let text = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    for pid in text.split_whitespace().filter_map(|pid| pid.parse().ok()) {
        // Until we wait for it the number is its own.
        let Ok(pidfd) = pidfd_open(pid) else { continue };
        tracing::warn!("process {pid} is nobody's, and ended");
        pidfd_send_signal(pidfd.fd(), libc::SIGKILL).ok();
        wait(pidfd.fd()).ok();
    }
}

impl Runtime {
    /// Makes a container that waits for [`Runtime::start`], and whose first process the caller holds. Of the options, the
    /// console socket means nothing.
    ///
    /// # Errors
    ///
    /// As [`Runtime::create`].
    pub fn create_held(&self, id: &ContainerId, options: &CreateOptions, stdio: &Stdio) -> Result<Held> {
        let mut order = self.order(id, options, orlop_compile::Mode::Create)?;
        order.held = Some(stdio);
        let Made { child, console, .. } = self.make(&order).map_err(|e| order.locate(e))?;
        Ok(Held::new(child, console))
    }

    /// Makes a container of what [`Runtime::checkpoint`] saved. It runs, and the caller holds its first process. Of the
    /// options of `create`, the console socket means nothing.
    ///
    /// # Errors
    ///
    /// As [`Runtime::restore`].
    pub fn restore_held(
        &self,
        id: &ContainerId,
        create: &CreateOptions,
        options: &RestoreOptions,
        stdio: &Stdio,
    ) -> Result<Held> {
        restore::check(create)?;
        let mut order = self.order(id, create, orlop_compile::Mode::Run)?;
        order.held = Some(stdio);
        let Made { child, console, .. } = self.remake(&order, options).map_err(|e| order.locate(e))?;
        Ok(Held::new(child, console))
    }

    /// Makes a container that runs, in the state directory that it has since `created`. Nothing is left behind where that
    /// fails, but the directory.
    ///
    /// # Errors
    ///
    /// As [`Runtime::create`].
    pub(crate) fn run_held(
        &self,
        id: &ContainerId,
        options: &CreateOptions,
        stdio: &Stdio,
        created: &str,
    ) -> Result<Held> {
        let mut order = self.order(id, options, orlop_compile::Mode::Run)?;
        order.held = Some(stdio);
        order.supervised = Some(created);
        let made = self.make(&order).map_err(|e| order.locate(e))?;
        if let Err(e) = order.started(&made) {
            let container = self.load(id)?;
            return Err(order.locate(container.ended_by(e)));
        }
        Ok(Held::new(made.child, made.console))
    }
}
