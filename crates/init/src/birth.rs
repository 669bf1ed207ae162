//! Coming into a PID namespace, which is entered by birth only.
//!
//! Who may trace processes there can look into whatever appears among them, whether it is dumpable or not. So nothing of the
//! host side's may: neither its memory nor its file (CVE-2019-5736). What is born there is a copy of init, whose file is the
//! sealed one in memory.

use crate::Machine;
use crate::machine::{Outcome, wait_for_word};
use crate::report;
use orlop_program::Slot;
use orlop_program::message::Message;
use orlop_sys::process;

/// Goes on as a process of the namespace in the slot, if there is one; the process that was before ends.
pub fn enter(machine: &mut Machine<'_>) -> Outcome {
    let Some(namespace) = machine.take(Slot::BIRTH) else { return Ok(()) };
    process::setns(namespace.fd(), libc::CLONE_NEWPID)?;
    let host = machine.slot(Slot::HOST);
    match process::fork_sibling()? {
        // It is the host side's child, and does nothing before the host side knows it.
        None => wait_for_word(host),
        Some(pid) => {
            // If nobody hears it, the other one ends, too: its next word does not come.
            report::send(host, &Message::Born(pid), None).ok();
            process::exit(0)
        }
    }
}
