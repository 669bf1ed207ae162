//! `--pidfd-socket`, and crun's annotation for it: whoever listens there is sent a pidfd of the new process, by which it can
//! be waited for and sent signals without ever meeting another process with the same number.

use std::os::fd::OwnedFd;
use std::path::Path;

use orlop_sys::Fd;

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

    /// Sends the pidfd that the process was made with: a number could be another's by now.
    pub(crate) fn send(&self, pidfd: Fd) -> Result<()> {
        orlop_sys::socket::send(Fd::of(&self.0), b"pidfd", Some(pidfd))
            .doing(|| "send the process to the pidfd socket".to_owned())
    }
}
