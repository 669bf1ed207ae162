//! `--pidfd-socket`: whoever listens there is sent a pidfd of the new process, by which it can be waited for and sent signals
//! without ever meeting another process with the same number.

use std::os::fd::OwnedFd;
use std::path::Path;

use orlop_sys::process;

use crate::error::{Doing, Result};
use crate::socket;

/// A connection to the socket.
#[derive(Debug)]
pub(crate) struct PidfdSocket(OwnedFd);

impl PidfdSocket {
    /// Connects: before the launch, to fail early.
    pub(crate) fn connect(path: &Path) -> Result<Self> {
        socket::connect(path, "connect to the pidfd socket").map(Self)
    }

    /// Sends a pidfd of a child that nobody has waited for yet, so that the number is still its own.
    pub(crate) fn send(&self, pid: i32) -> Result<()> {
        let pidfd = process::pidfd_open(pid).doing(|| format!("open process {pid}"))?;
        socket::send_with(&pidfd, &self.0, b"pidfd", "send the process to the pidfd socket")
    }
}
