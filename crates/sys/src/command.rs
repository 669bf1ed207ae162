//! What `std::process::Command` leaves out.

use crate::mount::Attributes;
use crate::{Fd, OwnedFd, Result, file, mount, process};
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

/// Lets the program inherit descriptors as 3, 4 and so on, at most four.
///
/// What this process has at these numbers is not touched, as they are exchanged between fork and exec; but something must be
/// there, or the standard library may put there what it needs itself.
pub fn with_descriptors_from_3(command: &mut Command, ours: Vec<std::os::fd::OwnedFd>) -> &mut Command {
    before_exec(command, move || {
        // Out of the way first: one of them may have the number that another is to get.
        let mut high = [const { None }; 4];
        for (copy, fd) in high.iter_mut().zip(&ours) {
            *copy = Some(file::dup_from(Fd::of(fd), 16)?);
        }
        let mut pairs = high.iter().flatten().zip(3..);
        pairs.try_for_each(|(fd, number)| file::dup_over(fd.fd(), number))
    })
}

/// A mount for [`with_mounts`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What is there already, with all that is mounted below it; `None` for a new tmpfs.
    pub source: Option<CString>,
    /// The directory it goes to; made if it is missing.
    pub target: CString,
}

/// Lets the program run in a mount namespace of its own, with these mounts. Mounts of the host still arrive; none goes there.
pub fn with_mounts(command: &mut Command, mounts: Vec<Mount>) -> &mut Command {
    before_exec(command, move || {
        process::unshare(libc::CLONE_NEWNS)?;
        let slave = Attributes { propagation: libc::MS_SLAVE, ..Attributes::default() };
        mount::mount_setattr(Fd::CWD, c"/", true, &slave)?;
        mounts.iter().try_for_each(Mount::attach)
    })
}

impl Mount {
    fn attach(&self) -> Result<()> {
        let tree = match &self.source {
            Some(source) => mount::clone_tree(Fd::CWD, source, true)?,
            None => new_tmpfs()?,
        };
        let open = || file::openat(Fd::CWD, &self.target, libc::O_PATH | libc::O_DIRECTORY, 0);
        let place = match open() {
            Err(e) if e.is(libc::ENOENT) => {
                file::mkdirat(Fd::CWD, &self.target, 0o700)?;
                open()?
            }
            found => found?,
        };
        mount::move_mount(tree.fd(), place.fd())
    }
}

fn new_tmpfs() -> Result<OwnedFd> {
    let context = mount::fsopen(c"tmpfs")?;
    mount::fsconfig_create(context.fd())?;
    mount::fsmount(context.fd(), 0)
}

fn before_exec(command: &mut Command, work: impl Fn() -> Result<()> + Send + Sync + 'static) -> &mut Command {
    let work = move || work().map_err(|e| io::Error::from_raw_os_error(e.errno()));
    // SAFETY: between fork and exec the closures above make system calls only and do not allocate.
    unsafe { command.pre_exec(work) }
}
