//! Namespaces, pidfds, sessions, limits, and exec.

use crate::raw::{Error, Result, call};
use crate::{Fd, OwnedFd, file};
use core::ffi::CStr;

/// [setns(2)](https://man7.org/linux/man-pages/man2/setns.2.html). `fd`: a namespace, or (Linux 5.8) a pidfd with several
/// `CLONE_NEW…` in `kinds`. `EINVAL`: the namespace is of another kind than asked for.
pub fn setns(fd: Fd, kinds: i32) -> Result<()> {
    // SAFETY: numbers only; memory is not touched.
    unsafe { call(libc::SYS_setns, [fd.raw() as usize, kinds as usize]) }.map(drop)
}

/// The user namespace that a namespace belongs to
/// (`NS_GET_USERNS`, [ioctl_nsfs(2)](https://man7.org/linux/man-pages/man2/ioctl_nsfs.2.html), Linux 4.9). `EPERM`: it is out of
/// the caller's sight.
pub fn owner(namespace: Fd) -> Result<OwnedFd> {
    const NS_GET_USERNS: usize = 0xb701;
    // SAFETY: the request has no argument.
    unsafe { call(libc::SYS_ioctl, [namespace.raw() as usize, NS_GET_USERNS, 0]) }.map(OwnedFd::made)
}

/// [unshare(2)](https://man7.org/linux/man-pages/man2/unshare.2.html), for namespaces only: `CLONE_FILES` and `CLONE_FS`
/// would break what other code relies on and are refused.
pub fn unshare(kinds: i32) -> Result<()> {
    if kinds & (libc::CLONE_FILES | libc::CLONE_FS | libc::CLONE_VM | libc::CLONE_THREAD) != 0 {
        return Err(Error::of(libc::SYS_unshare, libc::EINVAL));
    }
    // SAFETY: namespaces only, which no memory or descriptor of this process depends on.
    unsafe { call(libc::SYS_unshare, [kinds as usize]) }.map(drop)
}

/// The caller's process id: [getpid(2)](https://man7.org/linux/man-pages/man2/getpid.2.html).
pub fn getpid() -> i32 {
    // SAFETY: there is nothing to it.
    unsafe { call(libc::SYS_getpid, []) }.unwrap_or_default() as i32
}

/// [pidfd_open(2)](https://man7.org/linux/man-pages/man2/pidfd_open.2.html), Linux 5.3.
pub fn pidfd_open(pid: i32) -> Result<OwnedFd> {
    // SAFETY: numbers only.
    unsafe { call(libc::SYS_pidfd_open, [pid as usize, 0]) }.map(OwnedFd::made)
}

/// The inode of a pidfd: a number that no other process gets before the machine is booted again (Linux 6.9;
/// [pidfd_open(2)](https://man7.org/linux/man-pages/man2/pidfd_open.2.html)). `None` where the kernel gives all pidfds one inode,
/// and on 32-bit machines, where numbers come again.
pub fn pidfd_inode(pidfd: Fd) -> Result<Option<u64>> {
    // PID_FS_MAGIC in include/uapi/linux/magic.h.
    const PID_FS_MAGIC: i64 = 0x5049_4446;
    if !cfg!(target_pointer_width = "64") || file::fstatfs_type(pidfd)? != PID_FS_MAGIC {
        return Ok(None);
    }
    file::fstat(pidfd).map(|status| Some(status.ino))
}

/// The caller's mount namespace
/// (`PIDFD_GET_MNT_NAMESPACE`, [ioctl_pidfd(2)](https://man7.org/linux/man-pages/man2/PIDFD_GET_INFO.2const.html), Linux 6.11).
pub fn mount_namespace() -> Result<OwnedFd> {
    const PIDFD_GET_MNT_NAMESPACE: usize = 0xff03;
    let own = pidfd_open(getpid())?;
    // SAFETY: the request has no argument.
    unsafe { call(libc::SYS_ioctl, [own.fd().raw() as usize, PIDFD_GET_MNT_NAMESPACE, 0]) }.map(OwnedFd::made)
}

/// [pidfd_send_signal(2)](https://man7.org/linux/man-pages/man2/pidfd_send_signal.2.html), Linux 5.1. `ESRCH`: it is dead.
pub fn pidfd_send_signal(pidfd: Fd, signal: i32) -> Result<()> {
    // SAFETY: no `siginfo` is passed.
    unsafe { call(libc::SYS_pidfd_send_signal, [pidfd.raw() as usize, signal as usize, 0, 0]) }.map(drop)
}

/// The same to every process of the group that this one leads (`PIDFD_SIGNAL_PROCESS_GROUP`, Linux 6.9; before, `EINVAL`).
/// `ESRCH`: there is no such group.
pub fn pidfd_send_signal_to_group(pidfd: Fd, signal: i32) -> Result<()> {
    const PROCESS_GROUP: usize = 4;
    // SAFETY: no `siginfo` is passed.
    unsafe { call(libc::SYS_pidfd_send_signal, [pidfd.raw() as usize, signal as usize, 0, PROCESS_GROUP]) }
        .map(drop)
}

/// A copy of another process's descriptor
/// ([pidfd_getfd(2)](https://man7.org/linux/man-pages/man2/pidfd_getfd.2.html), Linux 5.6; close-on-exec). `EPERM`: we may not
/// trace the process; root may, and so may the owner of its user namespace, unless Yama or another module objects.
pub fn pidfd_getfd(pidfd: Fd, number: i32) -> Result<OwnedFd> {
    // SAFETY: numbers only.
    unsafe { call(libc::SYS_pidfd_getfd, [pidfd.raw() as usize, number as usize, 0]) }.map(OwnedFd::made)
}

/// [setsid(2)](https://man7.org/linux/man-pages/man2/setsid.2.html). `EPERM`: already a process group leader.
pub fn setsid() -> Result<()> {
    // SAFETY: no arguments.
    unsafe { call(libc::SYS_setsid, []) }.map(drop)
}

/// Joins a new session keyring
/// ([keyctl(2)](https://man7.org/linux/man-pages/man2/keyctl.2.html), `KEYCTL_JOIN_SESSION_KEYRING`). It has no name of its
/// own: for one, the kernel would look through every keyring that there is. `ENOSYS`: the kernel has no keys.
pub fn join_session_keyring() -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: usize = 1;
    const NEW: usize = 0;
    // SAFETY: numbers only: there is no name.
    unsafe { call(libc::SYS_keyctl, [KEYCTL_JOIN_SESSION_KEYRING, NEW]) }.map(drop)
}

/// Sets a resource limit of a process, 0 for this one
/// ([prlimit(2)](https://man7.org/linux/man-pages/man2/prlimit.2.html)). `EPERM`: the hard limit may not be raised.
pub fn set_limit(pid: i32, resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = [soft, hard]; // `struct rlimit64`
    // SAFETY: the new limit is only read; no old one is asked for.
    unsafe { call(libc::SYS_prlimit64, [pid as usize, resource as usize, limit.as_ptr() as usize, 0]) }
        .map(drop)
}

/// This process's soft and hard limit (prlimit(2)).
pub fn limit(resource: u32) -> Result<(u64, u64)> {
    let mut limit = [0_u64; 2];
    // SAFETY: the call writes one `struct rlimit64`, two 64-bit numbers.
    unsafe { call(libc::SYS_prlimit64, [0, resource as usize, 0, limit.as_mut_ptr() as usize]) }?;
    Ok((limit[0], limit[1]))
}

/// [sethostname(2)](https://man7.org/linux/man-pages/man2/sethostname.2.html).
pub fn sethostname(name: &[u8]) -> Result<()> {
    // SAFETY: the name is only read, for its length.
    unsafe { call(libc::SYS_sethostname, [name.as_ptr() as usize, name.len()]) }.map(drop)
}

/// [setdomainname(2)](https://man7.org/linux/man-pages/man2/setdomainname.2.html).
pub fn setdomainname(name: &[u8]) -> Result<()> {
    // SAFETY: the name is only read, for its length.
    unsafe { call(libc::SYS_setdomainname, [name.as_ptr() as usize, name.len()]) }.map(drop)
}

/// A copy of this process ([fork(2)](https://man7.org/linux/man-pages/man2/fork.2.html)): its process id, or `None` in the
/// copy. For programs with one thread and nothing of a C library, such as init: whatever else would hold a lock in the copy
/// for ever.
pub fn fork() -> Result<Option<i32>> {
    // SAFETY: no memory is shared with the copy, and it goes on with the same stack, its own copy of it.
    let pid = unsafe { call(libc::SYS_clone, [libc::SIGCHLD as usize, 0, 0, 0, 0]) }?;
    Ok((pid != 0).then_some(pid as i32))
}

/// Makes this process the leader of a group of its own ([setpgid(2)](https://man7.org/linux/man-pages/man2/setpgid.2.html)).
pub fn lead_group() -> Result<()> {
    // SAFETY: numbers only.
    unsafe { call(libc::SYS_setpgid, [0, 0]) }.map(drop)
}

/// Sends a signal by number ([kill(2)](https://man7.org/linux/man-pages/man2/kill.2.html)), which means the right process only
/// as long as that is a child that nobody has waited for.
pub fn kill_child(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: numbers only.
    unsafe { call(libc::SYS_kill, [pid as usize, signal as usize]) }.map(drop)
}

/// Blocks every signal that can be blocked: they wait for [`next_signal`]. What is blocked is not ignored either, as it would
/// be by the first process of a PID namespace (pid_namespaces(7)).
pub fn block_signals() -> Result<()> {
    let all = u64::MAX;
    let args = [libc::SIG_SETMASK as usize, core::ptr::from_ref(&all) as usize, 0, size_of::<u64>()];
    // SAFETY: the set is only read; no old one is asked for.
    unsafe { call(libc::SYS_rt_sigprocmask, args) }.map(drop)
}

/// Takes the next blocked signal, and waits for it if `wait`
/// ([sigtimedwait(2)](https://man7.org/linux/man-pages/man2/sigtimedwait.2.html)). `EAGAIN`: there is none, without waiting.
pub fn next_signal(wait: bool) -> Result<i32> {
    let all = u64::MAX;
    let none = [0_i64; 2]; // `struct timespec`
    let limit = if wait { 0 } else { none.as_ptr() as usize };
    let args = [core::ptr::from_ref(&all) as usize, 0, limit, size_of::<u64>()];
    // SAFETY: set and time are only read; no `siginfo` is asked for.
    unsafe { call(libc::SYS_rt_sigtimedwait, args) }.map(|signal| signal as i32)
}

/// Unblocks every signal ([sigprocmask(2)](https://man7.org/linux/man-pages/man2/sigprocmask.2.html)).
pub fn unblock_signals() -> Result<()> {
    const SIGSET_SIZE: usize = 8;
    let none = 0_u64;
    let args = [libc::SIG_SETMASK as usize, core::ptr::from_ref(&none) as usize, 0, SIGSET_SIZE];
    // SAFETY: the set is only read; no old one is asked for.
    unsafe { call(libc::SYS_rt_sigprocmask, args) }.map(drop)
}

/// Gives every signal its default action ([sigaction(2)](https://man7.org/linux/man-pages/man2/rt_sigaction.2.html)): unlike
/// handlers, being ignored survives exec, and Rust's runtime ignores SIGPIPE.
pub fn default_signals() -> Result<()> {
    const LAST: i32 = 64;
    let catchable = |signal: &i32| ![libc::SIGKILL, libc::SIGSTOP].contains(signal);
    (1..=LAST).filter(catchable).try_for_each(default_signal)
}

/// Gives a signal its default action (sigaction(2)).
pub fn default_signal(signal: i32) -> Result<()> {
    // SAFETY: the default action runs no code of this program.
    unsafe { action(signal, [0; 4]) }
}

/// Ignores SIGCHLD: children, and orphans that become ours, are gone as soon as they have ended, and are not waited for
/// ([sigaction(2)](https://man7.org/linux/man-pages/man2/rt_sigaction.2.html), `NOTES`).
pub fn ignore_children() -> Result<()> {
    ignore_signal(libc::SIGCHLD)
}

/// Ignores a signal (sigaction(2)).
pub fn ignore_signal(signal: i32) -> Result<()> {
    const SIG_IGN: u64 = 1;
    // SAFETY: what is ignored runs no code of this program.
    unsafe { action(signal, [SIG_IGN, 0, 0, 0]) }
}

/// Does nothing but take signals ([ppoll(2)](https://man7.org/linux/man-pages/man2/poll.2.html) of no descriptors).
pub fn stay() -> ! {
    loop {
        // SAFETY: no descriptors, no time limit and no mask: the null pointers are not followed.
        let _ = unsafe { call(libc::SYS_ppoll, [0, 0, 0, 0]) };
    }
}

/// Lets a signal end this process, with the status that shells give to that, until it executes another program
/// (sigaction(2)). The default action does not, in the first process of a PID namespace (pid_namespaces(7)).
pub fn exit_on_signal(signal: i32) -> Result<()> {
    // x86-64 insists on a restorer, which is for handlers that return.
    const SA_RESTORER: u64 = 0x0400_0000;
    extern "C" fn leave(signal: i32) {
        exit(128 + signal)
    }
    let handler = leave as extern "C" fn(i32) as usize as u64;
    let (flags, restorer) = if cfg!(target_arch = "x86_64") { (SA_RESTORER, handler) } else { (0, 0) };
    // SAFETY: the handler is a function of a signal's number that touches no memory, and does not return.
    unsafe { action(signal, [handler, flags, restorer, 0]) }
}

/// Sets a signal's action: the kernel's `struct sigaction` of handler, flags, restorer and mask, which is shorter where
/// it has no restorer.
///
/// # Safety
///
/// The handler is `SIG_DFL`, `SIG_IGN`, or code that may interrupt this program anywhere.
unsafe fn action(signal: i32, action: [u64; 4]) -> Result<()> {
    const SIGSET_SIZE: usize = 8;
    // SAFETY: the action is only read; no old one is asked for. The caller vouches for the handler.
    unsafe { call(libc::SYS_rt_sigaction, [signal as usize, action.as_ptr() as usize, 0, SIGSET_SIZE]) }
        .map(drop)
}

/// Replaces this process ([execve(2)](https://man7.org/linux/man-pages/man2/execve.2.html)); returns only on failure.
///
/// `words`: the addresses of the arguments, 0, the addresses of the environment's strings from `environment` on, 0.
///
/// The kernel reads what the words point to and answers `EFAULT` where that is no memory of this process, so a wrong
/// word is an error, not undefined behaviour: the program that would suffer is gone, or was never entered.
pub fn exec_words(path: &CStr, words: &[usize], environment: usize) -> Error {
    let fault = Error::of(libc::SYS_execve, libc::EFAULT);
    let ended = |part: &[usize]| part.contains(&0);
    let Some((arguments, environment)) = words.split_at_checked(environment) else { return fault };
    if !ended(arguments) || !ended(environment) {
        return fault;
    }
    let args = [path.as_ptr() as usize, arguments.as_ptr() as usize, environment.as_ptr() as usize];
    // SAFETY: both arrays end with a null pointer; the kernel checks every address before it reads there.
    match unsafe { call(libc::SYS_execve, args) } {
        Ok(_) => fault,
        Err(e) => e,
    }
}

/// The id of this process ([getpid(2)](https://man7.org/linux/man-pages/man2/getpid.2.html)).
pub fn id() -> i32 {
    // SAFETY: no arguments. It cannot fail.
    unsafe { call(libc::SYS_getpid, []) }.map_or(0, |pid| pid as i32)
}

/// Ends this thread (the system call `exit` of [_exit(2)](https://man7.org/linux/man-pages/man2/_exit.2.html)), with nothing that a
/// library would do then.
pub(crate) fn exit_thread() -> ! {
    loop {
        // SAFETY: does not return; nothing is left to run.
        let _ = unsafe { call(libc::SYS_exit, [0]) };
    }
}

/// Ends this process ([_exit(2)](https://man7.org/linux/man-pages/man2/_exit.2.html)).
pub fn exit(status: i32) -> ! {
    loop {
        // SAFETY: does not return; nothing is left to run.
        let _ = unsafe { call(libc::SYS_exit_group, [status as usize]) };
    }
}
