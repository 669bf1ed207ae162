//! What `std::process::Command` leaves out.

use crate::mount::Attributes;
use crate::{Fd, Result, file, mount, process};
use std::ffi::CString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::vec::Vec;

/// Lets the program start with no signal blocked, whatever this process blocks: the standard library hands the mask down.
pub fn with_no_signal_blocked(command: &mut Command) -> &mut Command {
    before_exec(command, process::unblock_signals)
}

/// Lets the program inherit descriptors, under the numbers that they have here.
pub fn with_descriptors(command: &mut Command, numbers: Vec<i32>) -> &mut Command {
    before_exec(command, move || {
        numbers.iter().try_for_each(|number| file::set_close_on_exec(Fd::from_raw(*number), false))
    })
}

/// Lets the program run in a mount namespace of its own, in which a directory is a mount: the one that is there already,
/// with all that is mounted below it, mounted onto itself. Mounts of the host still arrive; none goes there.
pub fn with_directory_as_mount(command: &mut Command, directory: CString) -> &mut Command {
    before_exec(command, move || {
        process::unshare(libc::CLONE_NEWNS)?;
        let slave = Attributes { propagation: libc::MS_SLAVE, ..Attributes::default() };
        mount::mount_setattr(Fd::CWD, c"/", true, &slave)?;
        let tree = mount::clone_tree(Fd::CWD, &directory, true)?;
        let place = file::openat(Fd::CWD, &directory, libc::O_PATH | libc::O_DIRECTORY, 0)?;
        mount::move_mount(tree.fd(), place.fd())
    })
}

fn before_exec(
    command: &mut Command,
    work: impl Fn() -> Result<()> + Send + Sync + 'static,
) -> &mut Command {
    let work = move || work().map_err(|e| io::Error::from_raw_os_error(e.errno()));
    // SAFETY: between fork and exec the closures above make system calls only and do not allocate.
    unsafe { command.pre_exec(work) }
}
