//! The network and the IPC namespace, which may be made by somebody else meanwhile.

use crate::Machine;
use crate::machine::Outcome;
use orlop_program::Slot;
use orlop_sys::{net, process, socket};

/// Enters the new network namespace and brings its loopback interface up, and the IPC namespace if that comes with it.
pub fn enter(machine: &mut Machine<'_>) -> Outcome {
    if let Some(sender) = machine.take(Slot::NETWORK) {
        for kind in [libc::CLONE_NEWNET, libc::CLONE_NEWIPC] {
            let mut more = [0];
            match socket::receive_with_fd(sender.fd(), &mut more)? {
                // The host side is gone.
                (0, _) => process::exit(1),
                (_, Some(namespace)) => process::setns(namespace.fd(), kind)?,
                // It could not be made there. Here it can, or this is where it is said why not.
                (_, None) => process::unshare(kind)?,
            }
            if more == [0] {
                break;
            }
        }
    }
    Ok(net::bring_loopback_up(net::socket()?.fd())?)
}
