//! What signals mean to a server. SIGTERM and SIGINT end it, and its containers live on. SIGUSR1 has it log what it knows
//! and waits for. Others that would end it mean nothing.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::Server;

const END: [Signal; 2] = [Signal::SIGTERM, Signal::SIGINT];
const REPORT: Signal = Signal::SIGUSR1;
/// Nobody means a server by them.
const HARMLESS: [Signal; 2] = [Signal::SIGHUP, Signal::SIGUSR2];

/// Signals that have come and were not looked at yet.
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Collects signals from now on, in this thread and those that it starts. Containers, hooks and loggers have none blocked.
    ///
    /// # Errors
    ///
    /// signalfd(2) fails.
    pub(crate) fn collect() -> io::Result<Self> {
        END.into_iter().chain([REPORT]).chain(HARMLESS).collect::<SigSet>().thread_block()?;
        let set: SigSet = END.into_iter().chain([REPORT]).collect();
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Server {
    pub(super) fn signalled(&mut self) {
        while let Ok(Some(signal)) = self.signals.0.read_signal() {
            if signal.ssi_signo == REPORT as u32 {
                self.report();
            } else {
                tracing::info!("signal {} ends the shim; its containers live on", signal.ssi_signo);
                self.quit();
            }
        }
    }

    /// Logs what is known and waited for: for whoever wonders why nothing happens.
    fn report(&self) {
        let (peers, calls) = (self.peers.len(), self.peers.values().map(super::Peer::calls).sum::<usize>());
        tracing::info!("report: {peers} connections with {calls} calls that are not answered");
        tracing::info!("report: jobs: {}; events: {}", self.jobs, self.publisher);
        if let Some(sandbox) = &self.sandbox {
            tracing::info!("report: {sandbox}");
        }
        for line in self.report_tasks() {
            tracing::info!("report: {line}");
        }
        tracing::info!("report: that is all");
    }
}
