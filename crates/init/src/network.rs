//! The network namespace, which may be made by somebody else meanwhile.

use crate::Machine;
use crate::machine::Outcome;
use orlop_program::Slot;
use orlop_sys::{net, process, socket};

/// Enters the new network namespace, and brings its loopback interface up.
pub fn enter(machine: &mut Machine<'_>) -> Outcome {
    if let Some(sender) = machine.take(Slot::NETWORK) {
        match socket::receive_with_fd(sender.fd(), &mut [0])? {
            // The host side is gone.
            (0, _) => process::exit(1),
            (_, Some(namespace)) => process::setns(namespace.fd(), libc::CLONE_NEWNET)?,
            // It could not be made there. Here it can, or this is where it is said why not.
            (_, None) => process::unshare(libc::CLONE_NEWNET)?,
        }
    }
    Ok(net::bring_loopback_up(net::socket()?.fd())?)
}
