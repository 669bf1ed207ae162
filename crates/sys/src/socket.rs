//! Messages between the host side and init, with a descriptor where one has to cross.

use crate::file::retry;
use crate::raw::{Result, call};
use crate::{Fd, OwnedFd};
use core::ptr;

/// A control message that carries exactly one value, laid out as cmsg(3) wants it.
#[repr(C)]
struct Control<T> {
    header: libc::cmsghdr,
    data: T,
}

impl<T> Control<T> {
    /// One to be filled by the kernel, or by us.
    const fn new(data: T) -> Self {
        // SAFETY: a `cmsghdr` is numbers only; zero is a value of it.
        Self { header: unsafe { core::mem::zeroed() }, data }
    }

    /// The length of header and value, without what pads them to the next header.
    const fn len() -> usize {
        size_of::<libc::cmsghdr>() + size_of::<T>()
    }

    /// Whether the kernel has filled it with a whole value of this kind.
    #[allow(clippy::unnecessary_cast)] // the length's type differs between C libraries
    const fn carries(&self, kind: i32) -> bool {
        let header = &self.header;
        header.cmsg_len as usize >= Self::len()
            && header.cmsg_level == libc::SOL_SOCKET
            && header.cmsg_type == kind
    }
}

/// Sends one message, with a descriptor or without
/// ([sendmsg(2)](https://man7.org/linux/man-pages/man2/sendmsg.2.html)). A closed peer is `EPIPE`, never a signal.
pub fn send(socket: Fd, bytes: &[u8], fd: Option<Fd>) -> Result<()> {
    let mut iov = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = Control::new(fd.map_or(-1, Fd::raw));
    control.header.cmsg_len = Control::<i32>::len() as _;
    control.header.cmsg_level = libc::SOL_SOCKET;
    control.header.cmsg_type = libc::SCM_RIGHTS;
    // SAFETY: a `msghdr` is numbers and pointers; zero and null are values of it.
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    message.msg_iov = ptr::from_mut(&mut iov);
    message.msg_iovlen = 1;
    if fd.is_some() {
        message.msg_control = ptr::from_mut(&mut control).cast();
        message.msg_controllen = size_of_val(&control) as _;
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
    let mut control = Control::new(-1_i32);
    let n = receive_with(socket, bytes, &mut control)?;
    Ok((n, control.carries(libc::SCM_RIGHTS).then(|| OwnedFd::made(control.data as usize))))
}

/// Receives one message, and what comes with it.
fn receive_with<T>(socket: Fd, bytes: &mut [u8], control: &mut Control<T>) -> Result<usize> {
    let mut iov = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: a `msghdr` is numbers and pointers; zero and null are values of it.
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    message.msg_iov = ptr::from_mut(&mut iov);
    message.msg_iovlen = 1;
    message.msg_controllen = size_of_val(control) as _;
    message.msg_control = ptr::from_mut(control).cast();
    let args = [socket.raw() as usize, ptr::from_mut(&mut message) as usize, libc::MSG_CMSG_CLOEXEC as usize];
    // SAFETY: bytes and control are the caller's and are written for at most their lengths; what the kernel writes into a
    // control message, of any kind, is numbers, as all of `Control`'s values are.
    retry(|| unsafe { call(libc::SYS_recvmsg, args) })
}

/// Whether messages to this socket come with who has sent them, or not any more
/// ([unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html), `SO_PASSCRED`).
pub fn tell_senders(socket: Fd, tell: bool) -> Result<()> {
    let value = i32::from(tell);
    let args = [
        socket.raw() as usize,
        libc::SOL_SOCKET as usize,
        libc::SO_PASSCRED as usize,
        ptr::from_ref(&value) as usize,
        size_of::<i32>(),
    ];
    // SAFETY: the value is only read.
    unsafe { call(libc::SYS_setsockopt, args) }.map(drop)
}

/// Receives one message, and the process id of who has sent it as this process sees it, if [`tell_senders`] asked for that
/// before it was sent. 0 bytes: the peer has closed.
pub fn receive_with_sender(socket: Fd, bytes: &mut [u8]) -> Result<(usize, Option<i32>)> {
    let mut control = Control::new(libc::ucred { pid: 0, uid: 0, gid: 0 });
    let n = receive_with(socket, bytes, &mut control)?;
    Ok((n, control.carries(libc::SCM_CREDENTIALS).then_some(control.data.pid)))
}

/// The next connection to a listening socket
/// ([accept4(2)](https://man7.org/linux/man-pages/man2/accept.2.html), close-on-exec).
pub fn accept(listener: Fd) -> Result<OwnedFd> {
    let args = [listener.raw() as usize, 0, 0, libc::SOCK_CLOEXEC as usize];
    // SAFETY: no address is asked for.
    retry(|| unsafe { call(libc::SYS_accept4, args) }).map(OwnedFd::made)
}
