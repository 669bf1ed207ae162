//! Messages between the host side and init, with a descriptor where one has to cross.

use crate::file::retry;
use crate::raw::{Result, call};
use crate::{Fd, OwnedFd};
use core::ptr;

/// A control message that carries exactly one descriptor, laid out as cmsg(3) wants it.
#[repr(C)]
struct OneFd {
    header: libc::cmsghdr,
    fd: i32,
    /// To the alignment of the next header.
    pad: i32,
}

/// Sends one message, with a descriptor or without
/// ([sendmsg(2)](https://man7.org/linux/man-pages/man2/sendmsg.2.html)). A closed peer is `EPIPE`, never a signal.
pub fn send(socket: Fd, bytes: &[u8], fd: Option<Fd>) -> Result<()> {
    let mut iov = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = OneFd {
        // SAFETY: a `cmsghdr` is numbers only; zero is a value of it.
        header: unsafe { core::mem::zeroed() },
        fd: fd.map_or(-1, Fd::raw),
        pad: 0,
    };
    control.header.cmsg_len = (size_of::<libc::cmsghdr>() + size_of::<i32>()) as _;
    control.header.cmsg_level = libc::SOL_SOCKET;
    control.header.cmsg_type = libc::SCM_RIGHTS;
    // SAFETY: a `msghdr` is numbers and pointers; zero and null are values of it.
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    message.msg_iov = ptr::from_mut(&mut iov);
    message.msg_iovlen = 1;
    if fd.is_some() {
        message.msg_control = ptr::from_mut(&mut control).cast();
        message.msg_controllen = size_of::<OneFd>() as _;
    }
    let args = [socket.raw() as usize, ptr::from_ref(&message) as usize, libc::MSG_NOSIGNAL as usize];
    // SAFETY: the message's parts live on this stack and are only read.
    retry(|| unsafe { call(libc::SYS_sendmsg, args) }).map(drop)
}

/// Receives one message ([recvfrom(2)](https://man7.org/linux/man-pages/man2/recv.2.html)); 0 bytes: the peer has closed.
pub fn receive(socket: Fd, bytes: &mut [u8], flags: i32) -> Result<usize> {
    let args = [socket.raw() as usize, bytes.as_mut_ptr() as usize, bytes.len(), flags as usize, 0, 0];
    // SAFETY: `bytes` is written for at most its length; no address is asked for.
    retry(|| unsafe { call(libc::SYS_recvfrom, args) })
}

/// Receives one message, and the descriptor it carries, if it carries one
/// ([recvmsg(2)](https://man7.org/linux/man-pages/man2/recv.2.html), close-on-exec). 0 bytes: the peer has closed. There is room
/// for one descriptor only; the kernel drops others.
pub fn receive_with_fd(socket: Fd, bytes: &mut [u8]) -> Result<(usize, Option<OwnedFd>)> {
    let mut iov = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: a `cmsghdr` and two ints are numbers only; zero is a value of them.
    let mut control: OneFd = unsafe { core::mem::zeroed() };
    // SAFETY: a `msghdr` is numbers and pointers; zero and null are values of it.
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    message.msg_iov = ptr::from_mut(&mut iov);
    message.msg_iovlen = 1;
    message.msg_control = ptr::from_mut(&mut control).cast();
    message.msg_controllen = size_of::<OneFd>() as _;
    let args = [socket.raw() as usize, ptr::from_mut(&mut message) as usize, libc::MSG_CMSG_CLOEXEC as usize];
    // SAFETY: bytes and control live on the caller's and this stack and are written for at most their lengths.
    let n = retry(|| unsafe { call(libc::SYS_recvmsg, args) })?;
    let header = &control.header;
    let whole = header.cmsg_len as usize >= size_of::<libc::cmsghdr>() + size_of::<i32>();
    let carried = whole && header.cmsg_level == libc::SOL_SOCKET && header.cmsg_type == libc::SCM_RIGHTS;
    Ok((n, carried.then(|| OwnedFd::made(control.fd as usize))))
}

/// The next connection to a listening socket
/// ([accept4(2)](https://man7.org/linux/man-pages/man2/accept.2.html), close-on-exec).
pub fn accept(listener: Fd) -> Result<OwnedFd> {
    let args = [listener.raw() as usize, 0, 0, libc::SOCK_CLOEXEC as usize];
    // SAFETY: no address is asked for.
    retry(|| unsafe { call(libc::SYS_accept4, args) }).map(OwnedFd::made)
}
