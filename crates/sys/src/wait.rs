//! How children ended.

use crate::file::retry;
use crate::raw::{Result, call};
use crate::{Fd, process};
use core::fmt;
use core::mem::MaybeUninit;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It exited with this status, 0 to 255.
    Exited(i32),
    /// A signal with this number killed it.
    Killed(i32),
}

impl How {
    /// The exit status as shells tell it: 128 + n for a signal.
    pub const fn status(self) -> i32 {
        match self {
            Self::Exited(status) => status,
            Self::Killed(signal) => 128 + signal,
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exit status {status}"),
            // In the words of shells, and of runc: a system call filter did this.
            Self::Killed(libc::SIGSYS) => f.write_str("killed by signal 31 (bad system call)"),
            Self::Killed(signal) => write!(f, "killed by signal {signal}"),
        }
    }
}

/// Waits until the child of this pidfd has ended, and reaps it
/// ([waitid(2)](https://man7.org/linux/man-pages/man2/waitid.2.html), `P_PIDFD`, Linux 5.4). `ECHILD`: not a child of ours,
/// or reaped already.
pub fn wait(pidfd: Fd) -> Result<How> {
    waitid(libc::P_PIDFD, pidfd.raw(), 0).map(|ended| ended.map_or(How::Exited(0), |(_, how)| how))
}

/// Reaps any child that has ended, without waiting: its process id, and how it ended
/// (waitid(2), `P_ALL`, `WNOHANG`). `ECHILD`: there are no children.
pub fn reap_any() -> Result<Option<(i32, How)>> {
    waitid(libc::P_ALL, 0, libc::WNOHANG)
}

/// Waits until the child of this pidfd has ended, and leaves it unreaped: its number is still its own (waitid(2), `WNOWAIT`).
/// `ECHILD`: not a child of ours, or reaped already.
pub fn await_end(pidfd: Fd) -> Result<How> {
    let ended = waitid(libc::P_PIDFD, pidfd.raw(), libc::WNOWAIT)?;
    Ok(ended.map_or(How::Exited(0), |(_, how)| how))
}

/// Reaps the child with this process id, once it has ended (waitid(2), `P_PID`).
pub fn reap(pid: i32) -> Result<()> {
    waitid(libc::P_PID, pid, 0).map(drop)
}

/// Kills the children of ours that are in the process group of this child of ours, which has not been reaped, and reaps
/// them, whether they knew of each other or not: how another than itself ended, if there was one (waitid(2), `P_PGID`).
pub fn end_group(leader: i32) -> Result<Option<How>> {
    // `ESRCH`: it ended before it led a group.
    process::kill_child(-leader, libc::SIGKILL)
        .or_else(|e| if e.is(libc::ESRCH) { Ok(()) } else { Err(e) })?;
    let mut of_another = None;
    loop {
        match waitid(libc::P_PGID, leader, 0) {
            Ok(Some((pid, how))) if pid != leader => of_another = Some(how),
            Ok(_) => {}
            Err(e) if e.is(libc::ECHILD) => return Ok(of_another),
            Err(e) => return Err(e),
        }
    }
}

fn waitid(kind: libc::idtype_t, id: i32, flags: i32) -> Result<Option<(i32, How)>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let args = [kind as usize, id as usize, info.as_mut_ptr() as usize, (libc::WEXITED | flags) as usize, 0];
    // SAFETY: the call writes at most one `siginfo_t` to the pointer; no `rusage` is asked for.
    retry(|| unsafe { call(libc::SYS_waitid, args) })?;
    // SAFETY: a `siginfo_t` is numbers only; it was zeroed, and perhaps filled.
    let info = unsafe { info.assume_init() };
    // SAFETY: waitid fills the fields of SIGCHLD, or leaves them zero.
    let pid = unsafe { info.si_pid() };
    // SAFETY: as above.
    let status = unsafe { info.si_status() };
    let how = if info.si_code == libc::CLD_EXITED { How::Exited(status) } else { How::Killed(status) };
    Ok((pid != 0).then_some((pid, how)))
}
