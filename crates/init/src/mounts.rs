//! Mounts: new file systems and bind mounts, by the new mount API.
//!
//! A mount is made detached, gets its attributes while nobody can see it, and is then attached to a target that was found
//! by descriptor. No mount is ever visible without its `nosuid`, `ro` and the like.

use crate::Machine;
use crate::machine::{Outcome, wait_for_word};
use crate::report::{self, Fault};
use crate::root;
use crate::target;
use core::ffi::CStr;
use orlop_program::message::Message;
use orlop_program::source::Source;
use orlop_program::{List, Slot, Str};
use orlop_sys::mount::Attributes;
use orlop_sys::name::Name;
use orlop_sys::{Error, Fd, OwnedFd, Result, file, mount, process, socket};

/// The permissions of a directory that is made to mount something there.
pub const MOUNT_POINT: u32 = 0o755;

/// Where something is mounted.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// Path in the root.
    pub path: Str<'a>,
    /// No part of it may be a symbolic link.
    pub real: bool,
}

/// A detached mount of a new file system. The index of an option that fails is the fault's part.
pub fn make<'a>(
    fstype: &CStr,
    options: impl Iterator<Item = (Str<'a>, Option<Str<'a>>)>,
    attributes: u64,
) -> core::result::Result<OwnedFd, Fault> {
    complete(begin(fstype, options)?, attributes)
}

/// A new file system, before it is a mount: nearly all of the work.
pub fn begin<'a>(
    fstype: &CStr,
    options: impl Iterator<Item = (Str<'a>, Option<Str<'a>>)>,
) -> core::result::Result<OwnedFd, Fault> {
    configured(mount::fsopen(fstype)?, options)
}

/// Makes a detached mount of a file system.
pub fn complete(context: OwnedFd, attributes: u64) -> core::result::Result<OwnedFd, Fault> {
    mount::fsmount(context.fd(), attributes).map_err(|e| Fault::from(e).in_context(context))
}

/// Sets every option, and makes the superblock.
fn configured<'a>(
    context: OwnedFd,
    options: impl Iterator<Item = (Str<'a>, Option<Str<'a>>)>,
) -> core::result::Result<OwnedFd, Fault> {
    for (part, (key, value)) in (0..).zip(options) {
        if let Err(e) = mount::fsconfig(context.fd(), key.c_str(), value.map(|v| v.c_str())) {
            return Err(Fault::from(e).of_part(part).in_context(context));
        }
    }
    match mount::fsconfig_create(context.fd()) {
        Ok(()) => Ok(context),
        Err(e) => Err(Fault::from(e).in_context(context)),
    }
}

/// A detached mount of a new file system, with the permissions of the directory in slot `like`, if there is one.
pub fn fresh<'a>(
    machine: &Machine<'_>,
    fstype: Str<'a>,
    options: List<'a, (Str<'a>, Option<Str<'a>>)>,
    attributes: u64,
    like: Option<Slot>,
) -> core::result::Result<OwnedFd, Fault> {
    let context = mount::fsopen(fstype.c_str())?;
    if let Some(covered) = like.filter(|slot| machine.has(*slot)) {
        let mode = file::fstat(machine.slot(covered))?.mode;
        // Four octal digits, as C has them.
        let digit = |shift: u32| b'0' + (mode >> shift & 7) as u8;
        let text = [digit(9), digit(6), digit(3), digit(0), 0];
        let text =
            CStr::from_bytes_with_nul(&text).map_err(|_| Error::of(libc::SYS_fsconfig, libc::EINVAL))?;
        mount::fsconfig(context.fd(), c"mode", Some(text))?;
    }
    complete(configured(context, options.iter())?, attributes)
}

/// The next detached mount that the host side has made.
pub fn received(machine: &Machine<'_>) -> core::result::Result<OwnedFd, Fault> {
    match socket::receive_with_fd(machine.slot(Slot::HOST), &mut [0])? {
        (_, Some(made)) => Ok(made),
        // The host side is gone, or could not.
        (_, None) => process::exit(1),
    }
}

/// Maps the ids of a detached mount as a user namespace has them.
pub fn map_ids(machine: &mut Machine<'_>, made: &OwnedFd, by: Slot, recursive: bool) -> Result<()> {
    let namespace = machine.take(by).ok_or(Error::of(libc::SYS_mount_setattr, libc::EBADF))?;
    let userns = namespace.fd().raw() as u64;
    let change = Attributes { set: libc::MOUNT_ATTR_IDMAP, userns, ..Attributes::default() };
    mount::mount_setattr(made.fd(), c"", recursive, &change)
}

/// Puts a detached mount into its place.
pub fn attach(machine: &mut Machine<'_>, made: OwnedFd, target: Target<'_>, keep: Option<Slot>) -> Outcome {
    let place = if target.real {
        target::real_directory(machine.root(), target.path.bytes())?
    } else {
        target::place(machine.root(), target.path.bytes(), true)?
    };
    mount::move_mount(made.fd(), place.fd())?;
    if let Some(slot) = keep {
        machine.keep(slot, made);
    }
    Ok(())
}

/// A detached copy of a bind mount's source.
pub(crate) fn source(
    machine: &mut Machine<'_>,
    source: Source<'_>,
    recursive: bool,
) -> core::result::Result<OwnedFd, Fault> {
    match source {
        Source::Path(path) => Ok(of_host(machine, path.c_str(), recursive)?),
        Source::Tree(slot) => machine.take(slot).ok_or(Error::of(libc::SYS_open_tree, libc::EBADF).into()),
        Source::MappedByHost(path, number) => {
            let tree = mount::clone_tree(Fd::CWD, path.c_str(), recursive)?;
            let host = machine.slot(Slot::HOST);
            report::send(host, &Message::MapIds(number), Some(tree.fd()))?;
            wait_for_word(host)?;
            Ok(tree)
        }
        Source::Mapped(path, by, all) => {
            let tree = mount::clone_tree(Fd::CWD, path.c_str(), recursive)?;
            map_ids(machine, &tree, by, all)?;
            Ok(tree)
        }
    }
}

/// A detached copy of what is mounted at a path of the host.
fn of_host(machine: &Machine<'_>, path: &CStr, recursive: bool) -> Result<OwnedFd> {
    let tree = mount::clone_tree(Fd::CWD, path, recursive);
    let Some(propagation) = machine.among_hosts else { return tree };
    match tree {
        // An unbindable mount, which is none in a private copy of the namespace.
        Err(e) if e.is(libc::EINVAL) => root::from_copy(path, recursive, propagation),
        tree => {
            // Else what is mounted in the container would travel to where it comes from.
            tree.and_then(|tree| root::set_propagation(tree.fd(), c"", propagation, true).map(|()| tree))
        }
    }
}

/// Mounts what is elsewhere already.
pub fn bind(
    machine: &mut Machine<'_>,
    from: Source<'_>,
    recursive: bool,
    changes: (Attributes, Attributes),
    target: Str<'_>,
) -> Outcome {
    let tree = source(machine, from, recursive)?;
    match (attach_bound(machine, &tree, changes, target), from, machine.among_hosts) {
        // Files of mount namespaces are among the mounts, which before Linux 7.2 only a copy of the namespace leaves out.
        (Err(fault), Source::Path(path), Some(propagation)) if fault.is(libc::ELOOP) => {
            let tree = root::from_copy(path.c_str(), recursive, propagation)?;
            attach_bound(machine, &tree, changes, target)
        }
        (done, ..) => done,
    }
}

/// Puts a detached tree into its place, with its attributes.
fn attach_bound(
    machine: &Machine<'_>,
    tree: &OwnedFd,
    (own, all): (Attributes, Attributes),
    target: Str<'_>,
) -> Outcome {
    // What is asked for the whole tree holds for its top too, whatever else is asked for that (as with runc).
    for (change, recursive) in [(own, false), (all, true)] {
        if change != Attributes::default() {
            mount::mount_setattr(tree.fd(), c"", recursive, &change)?;
        }
    }
    let is_directory = file::fstat(tree.fd())?.is(libc::S_IFDIR);
    let place = target::place(machine.root(), target.bytes(), is_directory)?;
    mount::move_mount(tree.fd(), place.fd()).map_err(Fault::from)
}

/// Sets the propagation of a mount in the root.
pub fn propagation(machine: &Machine<'_>, target: Str<'_>, propagation: u64, recursive: bool) -> Outcome {
    let change = Attributes { propagation, ..Attributes::default() };
    change_at(machine, target, recursive, &change)
}

/// Changes the attributes of a mount in the root.
pub fn attributes(machine: &Machine<'_>, target: Str<'_>, set: u64, clear: u64) -> Outcome {
    change_at(machine, target, false, &Attributes { set, clear, ..Attributes::default() })
}

/// Unmounts what is at a path. There is no call for a descriptor, so it is done by name from the verified parent.
pub fn unmount(machine: &Machine<'_>, target: Str<'_>) -> Outcome {
    let mut name = Name::new();
    let (parent, last) = target::split(target.bytes());
    let parent = target::existing_directory(machine.root(), parent)?;
    file::fchdir(parent.fd())?;
    mount::umount2(name.set(last)?, libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW).map_err(Fault::from)
}

fn change_at(machine: &Machine<'_>, target: Str<'_>, recursive: bool, change: &Attributes) -> Outcome {
    let mut name = Name::new();
    let mounted = file::open_path_in_root(machine.root(), name.set(target.bytes())?)?;
    mount::mount_setattr(mounted.fd(), c"", recursive, change).map_err(Fault::from)
}
