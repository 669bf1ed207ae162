//! Network devices of the host that move into the container's network namespace (`config-linux.md#network-devices`).
//!
//! Done from outside while the new process waits: only the host side has rights over the host's devices. The kernel takes a
//! device's addresses away when it moves, so they are read before and given back after. A namespace that goes away gives
//! physical devices back to the host, so nothing is to be done at the end.

use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use orlop_compile::NetDevice;

use crate::error::{Doing, Error, Result};
use crate::netlink::{Netlink, Request, attributes, word};

/// The length of `struct ifinfomsg`: where a link's attributes begin.
const LINK: usize = 16;
/// The length of `struct ifaddrmsg`: where an address's attributes begin.
const ADDRESS: usize = 8;
/// The parts of an address that survive: not what only describes its state.
const KEPT_FLAGS: u32 =
    libc::IFA_F_NODAD | libc::IFA_F_HOMEADDRESS | libc::IFA_F_NOPREFIXROUTE | libc::IFA_F_MCAUTOJOIN;
/// How many indices are tried, where the one that the device has on the host belongs to another one in the container.
const TRIES: u32 = 256;

/// Moves devices into the network namespace of a process: the one that it joins, which it may not have done yet, or the new one
/// that it was made with.
///
/// # Errors
///
/// [`Error::Kernel`], with the device's place in the config: there is none of this name, it cannot be moved, or the container
/// has one of the new name already.
pub(crate) fn move_all(devices: &[NetDevice], pid: i32, joined: Option<&OwnedFd>) -> Result<()> {
    if devices.is_empty() {
        return Ok(());
    }
    let open = |path: &str| File::open(path).map(OwnedFd::from).doing(|| format!("open {path}"));
    let own = open("/proc/thread-self/ns/net")?;
    let new = if joined.is_none() { Some(open(&format!("/proc/{pid}/ns/net"))?) } else { None };
    let Some(theirs) = joined.or(new.as_ref()) else { return Ok(()) };
    let here = Netlink::open().doing(|| "talk to the kernel about network devices".to_owned())?;
    let there = Netlink::open_in(theirs, &own)
        .doing(|| "talk to the kernel about the container's network devices".to_owned())?;
    for device in devices {
        let moved = Mover { here: &here, there: &there, namespace: theirs, device }.run();
        moved.map_err(|e| match device.origin.pointer() {
            Some(pointer) => e.at(pointer.to_string()),
            None => e,
        })?;
    }
    Ok(())
}

/// One device on its way.
struct Mover<'a> {
    here: &'a Netlink,
    there: &'a Netlink,
    namespace: &'a OwnedFd,
    device: &'a NetDevice,
}

impl Mover<'_> {
    fn run(&self) -> Result<()> {
        let NetDevice { name, new_name, .. } = self.device;
        let link = self.here.get(by_name(name)).doing(|| format!("link not found for interface {name}"))?;
        let index = word(&link, 4);
        let addresses = self.addresses(index).doing(|| format!("read the addresses of {name}"))?;
        // The kernel renames what it has moved already: a name that is taken is found out before.
        if !new_name.contains('%') && self.there.get(by_name(new_name)).is_ok() {
            let taken: Result<()> = Err(Errno::EEXIST).doing(|| self.doing());
            return taken.map_err(|e| e.with_hint("give it another name, or one that ends in %d"));
        }
        let index = self.move_link(index).doing(|| self.doing()).map_err(hint)?;
        for address in addresses {
            self.there.call(address.on(index)).doing(|| format!("give {new_name} its addresses back"))?;
        }
        self.there.call(up(index)).doing(|| format!("bring {new_name} up in the container"))
    }

    fn doing(&self) -> String {
        let NetDevice { name, new_name, .. } = self.device;
        let renamed = if name == new_name { String::new() } else { format!(" as {new_name}") };
        format!("fail to move network device {name} to the container's network namespace{renamed}")
    }

    /// Moves and renames it; its index there. It is ours to choose, and how we find a device whose name the kernel chooses.
    fn move_link(&self, index: u32) -> nix::Result<u32> {
        let request = |new: u32| {
            of_index(index, 0)
                .with(libc::IFLA_NET_NS_FD, &self.namespace.as_raw_fd().to_ne_bytes())
                .with(libc::IFLA_NEW_IFINDEX, &new.to_ne_bytes())
                .with(libc::IFLA_IFNAME, &c_name(&self.device.new_name))
        };
        let tried =
            (index..index.saturating_add(TRIES)).map(|new| self.here.call(request(new)).map(|()| new));
        tried.into_iter().find(|tried| *tried != Err(Errno::EBUSY)).unwrap_or(Err(Errno::EBUSY))
    }

    /// The addresses that the container is to have too: permanent ones of global scope, not what the kernel or a server gave
    /// for a while, or for this network only.
    fn addresses(&self, index: u32) -> nix::Result<Vec<Address>> {
        let all = self.here.dump(Request::new(libc::RTM_GETADDR, &[0; ADDRESS]))?;
        Ok(all.into_iter().map(Address).filter(|address| address.is_of(index) && address.stays()).collect())
    }
}

/// An address, as the kernel tells of it.
struct Address(Vec<u8>);

impl Address {
    fn is_of(&self, index: u32) -> bool {
        word(&self.0, 4) == index
    }

    fn stays(&self) -> bool {
        let global = self.0.get(3) == Some(&libc::RT_SCOPE_UNIVERSE);
        global && self.flags() & libc::IFA_F_PERMANENT != 0
    }

    fn flags(&self) -> u32 {
        let all = attributes(&self.0, ADDRESS).find(|(kind, _)| *kind == libc::IFA_FLAGS);
        all.map_or_else(|| self.0.get(2).copied().unwrap_or_default().into(), |(_, flags)| word(flags, 0))
    }

    /// The request that gives it to another device.
    fn on(&self, index: u32) -> Request {
        const SAME: [u16; 3] = [libc::IFA_ADDRESS, libc::IFA_LOCAL, libc::IFA_BROADCAST];
        let (family, prefix) =
            (self.0.first().copied().unwrap_or_default(), self.0.get(1).copied().unwrap_or_default());
        let mut structure = [family, prefix, 0, libc::RT_SCOPE_UNIVERSE, 0, 0, 0, 0];
        structure[4..].copy_from_slice(&index.to_ne_bytes());
        let request = Request::new(libc::RTM_NEWADDR, &structure);
        let request = attributes(&self.0, ADDRESS)
            .filter(|(kind, _)| SAME.contains(kind))
            .fold(request, |request, (kind, value)| request.with(kind, value));
        request.with(libc::IFA_FLAGS, &(self.flags() & KEPT_FLAGS).to_ne_bytes())
    }
}

fn by_name(name: &str) -> Request {
    Request::new(libc::RTM_GETLINK, &[0; LINK]).with(libc::IFLA_IFNAME, &c_name(name))
}

/// A change of the device with this index, to these flags (`IFF_…`) besides those it has.
fn of_index(index: u32, flags: u32) -> Request {
    let mut structure = [0; LINK];
    structure[4..8].copy_from_slice(&index.to_ne_bytes());
    structure[8..12].copy_from_slice(&flags.to_ne_bytes());
    structure[12..16].copy_from_slice(&flags.to_ne_bytes());
    Request::new(libc::RTM_NEWLINK, &structure)
}

fn up(index: u32) -> Request {
    of_index(index, libc::IFF_UP.cast_unsigned())
}

fn c_name(name: &str) -> Vec<u8> {
    [name.as_bytes(), b"\0"].concat()
}

fn hint(error: Error) -> Error {
    match error.errno() {
        Some(libc::EINVAL) => {
            error.with_hint("some devices, such as lo and bridges, cannot leave their namespace")
        }
        Some(libc::EPERM) => error.with_hint("this needs CAP_NET_ADMIN over the host's network"),
        _ => error,
    }
}
