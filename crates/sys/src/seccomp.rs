//! Loading a seccomp filter, and asking what the kernel takes.

use crate::OwnedFd;
use crate::raw::{Error, Result, call};

/// Loads a filter, given as classic BPF instructions of eight bytes each
/// ([seccomp(2)](https://man7.org/linux/man-pages/man2/seccomp.2.html), `SECCOMP_SET_MODE_FILTER`).
///
/// `flags`: `SECCOMP_FILTER_FLAG_…`. With `…_NEW_LISTENER` the result is the notification descriptor. `EACCES`: neither
/// `no_new_privs` nor `CAP_SYS_ADMIN`.
pub fn set_filter(instructions: &[u8], flags: u64) -> Result<Option<OwnedFd>> {
    #[repr(C)]
    struct Program {
        len: u16,
        filter: *const u8,
    }
    let Ok(len) = u16::try_from(instructions.len() / 8) else {
        return Err(Error::of(libc::SYS_seccomp, libc::EINVAL));
    };
    let program = Program { len, filter: instructions.as_ptr() };
    let args =
        [libc::SECCOMP_SET_MODE_FILTER as usize, flags as usize, core::ptr::from_ref(&program) as usize];
    // SAFETY: `Program` is laid out as `struct sock_fprog`; the kernel copies `len` instructions, which are there.
    let ret = unsafe { call(libc::SYS_seccomp, args) }?;
    let listener = flags & u64::from(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER as u32) != 0;
    Ok(listener.then(|| OwnedFd::made(ret)))
}

/// Whether the kernel knows these flags (`SECCOMP_FILTER_FLAG_…`): seccomp(2) without a filter is `EINVAL` if it does not,
/// `EFAULT` if it does.
pub fn has_flags(flags: u64) -> bool {
    // SAFETY: there is no filter to be read, which the kernel notices, so nothing is loaded.
    let answer =
        unsafe { call(libc::SYS_seccomp, [libc::SECCOMP_SET_MODE_FILTER as usize, flags as usize, 0]) };
    answer.is_err_and(|e| e.is(libc::EFAULT))
}
