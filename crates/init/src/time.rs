//! The time namespace.

use crate::Machine;
use crate::machine::Outcome;
use crate::procfs;
use orlop_program::Slot;
use orlop_sys::{Error, file, process};

/// Makes a time namespace, sets the offsets of its clocks, and enters it.
///
/// unshare(2) makes one for children only, whose offsets can be written until somebody is in it. Its maker can enter it by
/// setns(2), as init shares its memory with nobody (time_namespaces(7)).
pub fn enter(machine: &mut Machine<'_>, proc: Slot, offsets: &[u8]) -> Outcome {
    let proc = machine.take(proc).ok_or(Error::of(libc::SYS_openat, libc::EBADF))?;
    process::unshare(libc::CLONE_NEWTIME)?;
    if !offsets.is_empty() {
        let file = file::openat(proc.fd(), c"self/timens_offsets", libc::O_WRONLY, 0)?;
        procfs::write_all(&file, offsets)?;
    }
    let namespace = file::openat(proc.fd(), c"self/ns/time_for_children", libc::O_RDONLY, 0)?;
    Ok(process::setns(namespace.fd(), libc::CLONE_NEWTIME)?)
}
