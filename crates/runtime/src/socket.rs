//! Sockets of callers, which are sent descriptors: a terminal's master, a pidfd, a filter's notification descriptor.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect as connect_to, send,
    sendmsg, socket,
};
use nix::sys::stat::Mode;

use crate::error::{Doing, Result};

/// Connects to a stream socket that its owner listens on. `what` is how an error begins, such as "connect to the console
/// socket".
///
/// # Errors
///
/// [`Error::Kernel`](crate::Error::Kernel): there is none, or nobody listens.
pub(crate) fn connect(path: &Path, what: &str) -> Result<OwnedFd> {
    let doing = || format!("{what} {}", path.display());
    let stream = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).doing(doing)?;
    let (address, _parent) = address(path).doing(doing)?;
    connect_to(stream.as_raw_fd(), &address).doing(doing)?;
    Ok(stream)
}

/// Sends text, and with its first byte a descriptor
/// ([unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html), `SCM_RIGHTS`). `what` is how an error reads.
///
/// # Errors
///
/// [`Error::Kernel`](crate::Error::Kernel).
pub(crate) fn send_with(fd: &impl AsFd, stream: &impl AsFd, text: &[u8], what: &str) -> Result<()> {
    let fds = [fd.as_fd().as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&fds)];
    let (stream, flags) = (stream.as_fd().as_raw_fd(), MsgFlags::MSG_NOSIGNAL);
    let sent = sendmsg::<UnixAddr>(stream, &[IoSlice::new(text)], &rights, flags, None);
    let mut sent = sent.doing(|| what.to_owned())?;
    // A stream may take a long text in several pieces.
    while let Some(rest) = text.get(sent..).filter(|rest| !rest.is_empty()) {
        sent += send(stream, rest, flags).doing(|| what.to_owned())?;
    }
    Ok(())
}

/// The address of a socket, and the descriptor that the address goes through if the path is longer than the 107 bytes
/// that an address can hold.
pub(crate) fn address(path: &Path) -> nix::Result<(UnixAddr, Option<OwnedFd>)> {
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
