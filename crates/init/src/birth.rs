//! Coming into a PID namespace, which is entered by birth only.
//!
//! Who may trace processes there can look into whatever appears among them, whether it is dumpable or not. So nothing of the
//! host side's may: neither its memory nor its file (CVE-2019-5736). What is born there is init once more, whose file is the
//! sealed one in memory.

use crate::Machine;
use crate::machine::Outcome;
use crate::report;
use orlop_program::Slot;
use orlop_program::message::Message;
use orlop_sys::process;
use orlop_sys::sibling::go_on_as_sibling;

/// Goes on as a process of the namespace in the slot, if there is one; this process ends.
pub fn enter(machine: &mut Machine<'_>) -> Outcome {
    let Some(namespace) = machine.take(Slot::BIRTH) else { return Ok(()) };
    process::setns(namespace.fd(), libc::CLONE_NEWPID)?;
    // By its group the host side finds one that is killed before it has said a word. It leaves that with its new session.
    process::lead_group()?;
    go_on_as_sibling()?;
    // A child of the host side's, which says so itself: the process before could be killed before it has.
    Ok(report::send(machine.slot(Slot::HOST), &Message::Born, None)?)
}
