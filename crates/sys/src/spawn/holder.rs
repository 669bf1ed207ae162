//! A process that holds a new user namespace, and does nothing else.

use super::clone::{CloneArgs, clone3};
use super::{Gate, Stack};
use crate::raw::Result;
use crate::{Fd, OwnedFd, file, process, wait};
use core::ptr;

/// A process in a user namespace of its own: a namespace's maps are written through a process that is in it. It ends when
/// this value is dropped, or with us; the namespace lives on while somebody has a descriptor for it.
#[derive(Debug)]
pub struct Holder {
    pid: i32,
    pidfd: OwnedFd,
    _ours: OwnedFd,
}

impl Holder {
    /// Makes both, by clone3(2) with `CLONE_NEWUSER`. `ENOSPC`: there are too many user namespaces, or may be none.
    pub fn new() -> Result<Self> {
        let Gate { ours, theirs } = Gate::new()?;
        let mut stack = Stack::new();
        let mut pidfd = -1_i32;
        let args = CloneArgs {
            flags: (libc::CLONE_NEWUSER | libc::CLONE_PIDFD) as u64,
            pidfd: ptr::from_mut(&mut pidfd) as u64,
            exit_signal: libc::SIGCHLD as u64,
            stack: ptr::from_mut(&mut stack) as u64,
            stack_size: size_of::<Stack>() as u64,
            ..CloneArgs::default()
        };
        let ends = [ours.fd(), theirs.fd()];
        // SAFETY: `args` describes a stack that nothing else uses; `hold` never returns and only makes system calls; the
        // new process has a copy of this memory.
        let pid = unsafe { clone3(&args, hold, ptr::from_ref(&ends).cast()) }? as i32;
        Ok(Self { pid, pidfd: OwnedFd::made(pidfd as usize), _ours: ours })
    }

    /// The process's id.
    pub const fn pid(&self) -> i32 {
        self.pid
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // It does nothing that could be lost, and is ours to reap.
        process::pidfd_send_signal(self.pidfd.fd(), libc::SIGKILL).ok();
        wait::wait(self.pidfd.fd()).ok();
    }
}

/// The process: waits until the other end is gone.
///
/// # Safety
///
/// `ends` are two descriptors, ours and theirs, in memory of this process.
unsafe extern "C" fn hold(ends: *const ()) -> ! {
    // SAFETY: the caller's contract.
    let [ours, theirs] = unsafe { ends.cast::<[Fd; 2]>().read() };
    // SAFETY: this process's copy of the caller's end, which nothing here uses.
    drop(unsafe { OwnedFd::from_raw(ours.raw()) });
    file::read(theirs, &mut [0]).ok();
    process::exit(0)
}
