//! What `std::process::Command` leaves out.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Lets the program start with no signal blocked, whatever this process blocks: the standard library hands the mask down.
pub fn with_no_signal_blocked(command: &mut Command) -> &mut Command {
    let unblock = || crate::process::unblock_signals().map_err(|e| io::Error::from_raw_os_error(e.errno()));
    // SAFETY: between fork and exec the closure makes one system call and does not allocate.
    unsafe { command.pre_exec(unblock) }
}
