//! Terminals of containers: handing one to a caller who asked for it, or being its other end ourselves.
//!
//! Init makes the pseudo-terminal inside the container and sends us the master. It goes on to the `--console-socket` of
//! whoever will hold it ([`send_to_console_socket`]), or stays here while we wait in the foreground ([`Proxy`]).

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use crate::error::{Error, Result};
use crate::socket;

mod host;
mod proxy;

pub use host::our_size;
pub use proxy::Proxy;
pub(crate) use proxy::{Ready, Wants};

/// Who holds the master of a terminal that nobody was sent.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one, and it does not stay long")]
pub(crate) enum Console {
    /// We do, in the foreground.
    Ours(Proxy),
    /// Our caller does.
    Held(OwnedFd),
}

impl Console {
    /// The terminal is there. In the foreground it is taken over at once, so that the program finds one of the right size.
    pub(crate) fn new(master: OwnedFd, held: bool) -> Result<Self> {
        if held { Ok(Self::Held(master)) } else { Proxy::new(master).map(Self::Ours) }
    }

    pub(crate) fn proxy(self) -> Option<Proxy> {
        if let Self::Ours(proxy) = self { Some(proxy) } else { None }
    }

    pub(crate) fn master(self) -> Option<OwnedFd> {
        if let Self::Held(master) = self { Some(master) } else { None }
    }
}

/// Whether options and config agree about the terminal.
///
/// # Errors
///
/// [`Error::Usage`], in runc's words: a terminal that nobody would hold, or a socket that would get none.
pub fn check(terminal: bool, detach: bool, console_socket: bool) -> Result<()> {
    if detach && terminal && !console_socket {
        Err(Error::usage("cannot allocate tty if orlop will detach without setting console socket"))
    } else if console_socket && !(detach && terminal) {
        Err(Error::usage("cannot use console socket if orlop will not detach or allocate tty"))
    } else {
        Ok(())
    }
}

/// Connects to a console socket, which its owner listens on: do this before the launch, to fail early.
///
/// # Errors
///
/// [`Error::Kernel`]: there is none, or nobody listens.
pub fn connect_console_socket(path: &Path) -> Result<OwnedFd> {
    socket::connect(path, "connect to the console socket")
}

/// Sends the master of a terminal to the console socket: one message that carries the descriptor, and the terminal's name
/// as text, which nobody may rely on.
///
/// # Errors
///
/// [`Error::Kernel`].
pub fn send_master(console_socket: &impl AsFd, master: &impl AsFd) -> Result<()> {
    socket::send_with(master, console_socket, b"/dev/ptmx", "send the terminal to the console socket")
}

/// [`connect_console_socket`], then [`send_master`].
///
/// # Errors
///
/// As those.
pub fn send_to_console_socket(path: &Path, master: &impl AsFd) -> Result<()> {
    send_master(&connect_console_socket(path)?, master)
}

#[cfg(test)]
mod tests;
