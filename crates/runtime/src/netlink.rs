//! As much of [rtnetlink(7)](https://man7.org/linux/man-pages/man7/rtnetlink.7.html) as it takes to move a network device:
//! requests, their attributes, and what the kernel answers.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use orlop_sys::{Fd, process};

/// The length of `struct nlmsghdr`.
const HEADER: usize = 16;
/// The length of `struct nlattr`.
const ATTRIBUTE: usize = 4;
const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const ACK: u16 = libc::NLM_F_ACK as u16;

/// A socket to the part of the kernel that knows the devices of one network namespace.
pub(crate) struct Netlink(OwnedFd);

impl Netlink {
    /// For the namespace that we are in.
    pub(crate) fn open() -> nix::Result<Self> {
        let protocol = Some(SockProtocol::NetlinkRoute);
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol).map(Self)
    }

    /// For another namespace: a socket stays with the one that it was made in, so this thread goes there and comes back.
    pub(crate) fn open_in(namespace: &OwnedFd, own: &OwnedFd) -> nix::Result<Self> {
        let enter = |namespace| {
            let entered = process::setns(Fd::of(namespace), libc::CLONE_NEWNET);
            entered.map_err(|e| Errno::from_raw(e.errno()))
        };
        enter(namespace)?;
        let made = Self::open();
        // Only if this fails is this thread in the wrong namespace; the launch that it is part of then ends, by this error.
        enter(own)?;
        made
    }

    /// Sends a request that the kernel answers with success or an error only.
    pub(crate) fn call(&self, request: Request) -> nix::Result<()> {
        self.exchange(&request.finish(REQUEST | ACK), |_| {})
    }

    /// Sends a request for one object; its message.
    pub(crate) fn get(&self, request: Request) -> nix::Result<Vec<u8>> {
        let mut found = Vec::new();
        self.exchange(&request.finish(REQUEST | ACK), |message| message.clone_into(&mut found))?;
        Ok(found)
    }

    /// Sends a request for all objects of a kind; each object's message.
    pub(crate) fn dump(&self, request: Request) -> nix::Result<Vec<Vec<u8>>> {
        let mut found = Vec::new();
        self.exchange(&request.finish(REQUEST | libc::NLM_F_DUMP as u16), |message| {
            found.push(message.to_owned());
        })?;
        Ok(found)
    }

    /// Sends a message, and hears everything up to its acknowledgement or the end of a dump.
    fn exchange(&self, message: &[u8], mut each: impl FnMut(&[u8])) -> nix::Result<()> {
        let socket = self.0.as_fd().as_raw_fd();
        send(socket, message, MsgFlags::empty())?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let n = recv(socket, &mut buffer, MsgFlags::empty())?;
            let mut rest = buffer.get(..n).unwrap_or_default();
            while let Some((kind, payload)) =
                next(&mut rest, HEADER, |header| (word(header, 0), half(header, 4)))
            {
                match i32::from(kind) {
                    libc::NLMSG_ERROR => {
                        return match word(payload, 0).cast_signed() {
                            0 => Ok(()),
                            errno => Err(Errno::from_raw(-errno)),
                        };
                    }
                    libc::NLMSG_DONE => return Ok(()),
                    _ => each(payload),
                }
            }
        }
    }
}

/// A request on its way: a header, a structure of the request's own, attributes.
pub(crate) struct Request(Vec<u8>);

impl Request {
    /// A request of a kind (`RTM_…`), with its structure.
    pub(crate) fn new(kind: u16, structure: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(structure);
        Self(bytes)
    }

    /// Adds an attribute.
    #[must_use]
    pub(crate) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        // Names and numbers: far below what fits.
        let length = u16::try_from(ATTRIBUTE + value.len()).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn finish(mut self, flags: u16) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0[6..8].copy_from_slice(&flags.to_ne_bytes());
        self.0
    }
}

/// The attributes of an object, after its structure of this length.
pub(crate) fn attributes(message: &[u8], structure: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = message.get(structure..).unwrap_or_default();
    std::iter::from_fn(move || next(&mut rest, ATTRIBUTE, |h| (u32::from(half(h, 0)), half(h, 2))))
}

/// Takes the next thing that begins with a header, which says how long it is, header included, and of which kind.
fn next<'a>(
    rest: &mut &'a [u8],
    header: usize,
    read: impl Fn(&[u8]) -> (u32, u16),
) -> Option<(u16, &'a [u8])> {
    let (length, kind) = read(rest.get(..header)?);
    let length = length as usize;
    let payload = rest.get(header..length)?;
    *rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, payload))
}

/// Two bytes as a number; 0 where there are none.
fn half(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_ne_bytes)
}

/// Four bytes as a number; 0 where there are none.
pub(crate) fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_come_back_as_they_were_put() {
        let request =
            Request::new(libc::RTM_NEWLINK, &[7; 16]).with(3, b"eth0\0").with(28, &5_u32.to_ne_bytes());
        let bytes = request.finish(REQUEST);
        assert_eq!((word(&bytes, 0) as usize, half(&bytes, 4)), (bytes.len(), libc::RTM_NEWLINK));
        let found: Vec<_> = attributes(&bytes[HEADER..], 16).collect();
        assert_eq!(found, [(3, &b"eth0\0"[..]), (28, &5_u32.to_ne_bytes()[..])]);
    }

    #[test]
    fn what_is_cut_short_ends() {
        let bytes = Request::new(1, &[]).with(3, b"eth0\0").finish(0);
        for end in HEADER..bytes.len() - 3 {
            assert_eq!(attributes(&bytes[HEADER..end], 0).count(), 0);
        }
        assert_eq!(attributes(&[0; 64], 0).count(), 0, "a length of nothing is no attribute");
    }

    #[test]
    fn the_kernel_answers() {
        let netlink = Netlink::open().unwrap();
        let lo = Request::new(libc::RTM_GETLINK, &[0; 16]).with(libc::IFLA_IFNAME, b"lo\0");
        let lo = netlink.get(lo).unwrap();
        assert_eq!(word(&lo, 4), 1, "lo is the first device of every namespace");
        let name = attributes(&lo, 16).find(|(kind, _)| *kind == libc::IFLA_IFNAME).map(|(_, name)| name);
        assert_eq!(name, Some(&b"lo\0"[..]));
        let missing = Request::new(libc::RTM_GETLINK, &[0; 16]).with(libc::IFLA_IFNAME, b"no-such-dev\0");
        assert_eq!(netlink.get(missing), Err(Errno::ENODEV));
        assert!(netlink.dump(Request::new(libc::RTM_GETLINK, &[0; 16])).unwrap().contains(&lo));
    }
}
