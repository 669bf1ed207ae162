//! The one thing a new network namespace needs from us.

use crate::OwnedFd;
use crate::raw::{Result, call};

/// Brings the interface `lo` up, unless it is ([netdevice(7)](https://man7.org/linux/man-pages/man7/netdevice.7.html),
/// `SIOCGIFFLAGS`, `SIOCSIFFLAGS`).
pub fn bring_loopback_up() -> Result<()> {
    #[repr(C)]
    struct Request {
        name: [u8; 16],
        flags: i16,
        rest: [u8; 22],
    }
    let args = [libc::AF_INET as usize, (libc::SOCK_DGRAM | libc::SOCK_CLOEXEC) as usize, 0];
    // SAFETY: numbers only.
    let socket = unsafe { call(libc::SYS_socket, args) }.map(OwnedFd::made)?;
    let mut request = Request { name: [0; 16], flags: 0, rest: [0; 22] };
    request.name[..2].copy_from_slice(b"lo");
    #[allow(clippy::unnecessary_cast)] // the request's type differs between C libraries
    let ask = |what, request: &mut Request| {
        let args = [socket.fd().raw() as usize, what as usize, core::ptr::from_mut(request) as usize];
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
