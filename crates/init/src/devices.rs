//! Device nodes and symbolic links, made by name in a directory that was opened and checked before.

use crate::machine::Outcome;
use crate::report::Fault;
use crate::{Machine, mounts, target};
use core::ffi::CStr;
use orlop_program::source::Source;
use orlop_program::{Slot, Str};
use orlop_sys::{Error, Fd, Result, file, mount};

const PERMISSIONS: u32 = 0o7777;

/// `/dev/null`: character device 1:3.
pub(crate) const NULL_DEVICE: u64 = 1 << 8 | 3;

/// What a device node is to be.
pub struct Node {
    /// Type and permission bits.
    pub mode: u32,
    /// Number.
    pub device: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Opens a directory for the steps that work in it.
pub fn open_dir(machine: &mut Machine<'_>, path: Str<'_>, slot: Slot) -> Outcome {
    let dir = target::directory(machine.root(), path.bytes(), 0o755)?;
    machine.keep(slot, dir);
    Ok(())
}

/// Makes a device node.
pub fn node(dir: Fd, name: &CStr, node: &Node) -> Outcome {
    match file::mknodat(dir, name, node.mode, node.device) {
        Ok(()) => {}
        Err(e) if e.is(libc::EEXIST) => return check(dir, name, node.mode, node.device),
        Err(e) => return Err(e.into()),
    }
    if (node.uid, node.gid) != (0, 0) {
        file::fchownat(dir, name, node.uid, node.gid, libc::AT_SYMLINK_NOFOLLOW)?;
        // A change of owner takes set-id bits away, and the mode was made under our own umask of 0.
        file::fchmodat(dir, name, node.mode & PERMISSIONS)?;
    }
    Ok(())
}

/// What is there already must be that very device, not something an image put in its place.
fn check(dir: Fd, name: &CStr, mode: u32, device: u64) -> Outcome {
    let found = file::openat(dir, name, libc::O_PATH | libc::O_NOFOLLOW, 0)?;
    is_device(found.fd(), mode, device).map_err(Fault::from)
}

/// Whether a descriptor is this device; `EEXIST` if it is something else.
pub(crate) fn is_device(fd: Fd, mode: u32, device: u64) -> Result<()> {
    let status = file::fstat(fd)?;
    let fifo = mode & libc::S_IFMT == libc::S_IFIFO;
    if status.is(mode & libc::S_IFMT) && (fifo || status.rdev == device) {
        Ok(())
    } else {
        Err(Error::of(libc::SYS_mknodat, libc::EEXIST))
    }
}

/// Mounts the host's node, where nodes cannot be made.
pub fn bind(
    machine: &mut Machine<'_>,
    dir: Slot,
    name: &CStr,
    source: Source<'_>,
    mode: u32,
    device: u64,
) -> Outcome {
    let tree = mounts::source(machine, source, false)?;
    is_device(tree.fd(), mode, device)?;
    let dir = machine.slot(dir);
    match file::mknodat(dir, name, libc::S_IFREG | 0o644, 0) {
        Err(e) if !e.is(libc::EEXIST) => return Err(e.into()),
        _ => {}
    }
    let place = file::openat(dir, name, libc::O_PATH | libc::O_NOFOLLOW, 0)?;
    mount::move_mount(tree.fd(), place.fd()).map_err(Fault::from)
}

/// Makes a symbolic link.
pub fn symlink(dir: Fd, name: &CStr, target: &CStr, replace: bool) -> Outcome {
    match file::symlinkat(target, dir, name) {
        Err(e) if e.is(libc::EEXIST) && replace => {
            file::unlinkat(dir, name, 0)?;
            file::symlinkat(target, dir, name).map_err(Fault::from)
        }
        Err(e) if !e.is(libc::EEXIST) => Err(e.into()),
        _ => Ok(()),
    }
}
