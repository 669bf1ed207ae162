//! Standard streams of processes that a caller holds: pipes, or nothing.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

use crate::error::{Doing, Result};

/// `/dev/null`, for either direction.
///
/// # Errors
///
/// It cannot be opened.
pub fn null() -> Result<OwnedFd> {
    let null = File::options().read(true).write(true).open("/dev/null");
    null.map(OwnedFd::from).doing(|| "open /dev/null".to_owned())
}

/// A pipe: its end for reading, and the one for writing. Neither is inherited.
///
/// # Errors
///
/// There are no more descriptors.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe2(OFlag::O_CLOEXEC).doing(|| "make a pipe".to_owned())
}

/// Reading from or writing to it does not wait from now on, for nobody who has this open file.
///
/// # Errors
///
/// As [fcntl(2)](https://man7.org/linux/man-pages/man2/fcntl.2.html) says.
pub fn not_blocking(fd: impl AsFd) -> Result<()> {
    let doing = || "change a descriptor's flags".to_owned();
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL).doing(doing)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).doing(doing).map(drop)
}
