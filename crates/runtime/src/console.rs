//! Terminals of containers: handing one to a caller who asked for it, or being its other end ourselves.
//!
//! Init makes the pseudo-terminal inside the container and sends us the master. It goes on to the `--console-socket` of
//! whoever will hold it ([`send_to_console_socket`]), or stays here while we wait in the foreground ([`Proxy`]).

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, sendmsg, socket,
};
use nix::sys::stat::Mode;

use crate::error::{Doing, Error, Result};

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
    let doing = || format!("connect to the console socket {}", path.display());
    let stream = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).doing(doing)?;
    let (address, _parent) = address(path).doing(doing)?;
    connect(stream.as_raw_fd(), &address).doing(doing)?;
    Ok(stream)
}

/// Sends the master of a terminal to the console socket
/// ([unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html), `SCM_RIGHTS`): one message that carries the descriptor,
/// and the terminal's name as text, which nobody may rely on.
///
/// # Errors
///
/// [`Error::Kernel`].
pub fn send_master(console_socket: &impl AsFd, master: &impl AsFd) -> Result<()> {
    let name = [IoSlice::new(b"/dev/ptmx")];
    let fds = [master.as_fd().as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&fds)];
    let socket = console_socket.as_fd().as_raw_fd();
    sendmsg::<UnixAddr>(socket, &name, &rights, MsgFlags::MSG_NOSIGNAL, None)
        .map(drop)
        .doing(|| "send the terminal to the console socket".to_owned())
}

/// [`connect_console_socket`], then [`send_master`].
///
/// # Errors
///
/// As those.
pub fn send_to_console_socket(path: &Path, master: &impl AsFd) -> Result<()> {
    send_master(&connect_console_socket(path)?, master)
}

/// The address of a socket, and the descriptor that the address goes through if the path is longer than the 107 bytes
/// that an address can hold.
fn address(path: &Path) -> nix::Result<(UnixAddr, Option<OwnedFd>)> {
    if path.as_os_str().len() <= 107 {
        return Ok((UnixAddr::new(path)?, None));
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::EINVAL) };
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let parent = openat(AT_FDCWD, parent, flags, Mode::empty())?;
    let mut short = format!("/proc/self/fd/{}/", parent.as_raw_fd()).into_bytes();
    short.extend_from_slice(name.as_bytes());
    Ok((UnixAddr::new(short.as_slice())?, Some(parent)))
}

#[cfg(test)]
mod tests;
