//! New network namespaces: how to name one to another process, and the one thing that it needs from us.

use crate::raw::{Result, call};
use crate::{Fd, OwnedFd};

/// A socket by which this thread's network namespace is asked and told
/// ([netdevice(7)](https://man7.org/linux/man-pages/man7/netdevice.7.html)).
pub fn socket() -> Result<OwnedFd> {
    let args = [libc::AF_INET as usize, (libc::SOCK_DGRAM | libc::SOCK_CLOEXEC) as usize, 0];
    // SAFETY: numbers only.
    unsafe { call(libc::SYS_socket, args) }.map(OwnedFd::made)
}

/// The network namespace that a socket belongs to (`SIOCGSKNS`, Linux 4.9); `/proc` would have to make the thread's directory
/// for it. `EPERM`: it takes `CAP_NET_ADMIN` there.
pub fn namespace_of(socket: Fd) -> Result<OwnedFd> {
    const SIOCGSKNS: usize = 0x894c;
    // SAFETY: numbers only; the call makes a descriptor.
    unsafe { call(libc::SYS_ioctl, [socket.raw() as usize, SIOCGSKNS, 0]) }.map(OwnedFd::made)
}

/// Brings the interface `lo` up, unless it is ([netdevice(7)](https://man7.org/linux/man-pages/man7/netdevice.7.html),
/// `SIOCGIFFLAGS`, `SIOCSIFFLAGS`).
pub fn bring_loopback_up(socket: Fd) -> Result<()> {
    #[repr(C)]
    struct Request {
        name: [u8; 16],
        flags: i16,
        rest: [u8; 22],
    }
    let mut request = Request { name: [0; 16], flags: 0, rest: [0; 22] };
    request.name[..2].copy_from_slice(b"lo");
    #[allow(clippy::unnecessary_cast)] // the request's type differs between C libraries
    let ask = |what, request: &mut Request| {
        let args = [socket.raw() as usize, what as usize, core::ptr::from_mut(request) as usize];
        // SAFETY: `Request` is laid out as `struct ifreq` (40 bytes), which the requests read and write.
        unsafe { call(libc::SYS_ioctl, args) }
    };
    ask(libc::SIOCGIFFLAGS, &mut request)?;
    if i32::from(request.flags) & libc::IFF_UP != 0 {
        return Ok(());
    }
    request.flags |= (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    ask(libc::SIOCSIFFLAGS, &mut request).map(drop)
}
