//! Memory that is not the program's own: pages for pointer arrays, and what two processes share.

use crate::raw::{Result, call};
use crate::{Error, Fd, OwnedFd, file};
use core::ffi::CStr;
use core::sync::atomic::AtomicU64;

/// Zeroed words for the life of the process
/// ([mmap(2)](https://man7.org/linux/man-pages/man2/mmap.2.html), `MAP_ANONYMOUS`), if possible near this address: where a page
/// table is already, the kernel has to make none.
pub fn words(count: usize, near: usize) -> Result<&'static mut [usize]> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let len = count.max(1).saturating_mul(size_of::<usize>());
    // SAFETY: the kernel chooses a free address, without MAP_FIXED; no file is involved.
    let address = unsafe { call(libc::SYS_mmap, [near, len, prot as usize, flags as usize, usize::MAX, 0]) }?;
    // SAFETY: the mapping is new, zeroed, aligned to a page, of that length, and never unmapped.
    Ok(unsafe { core::slice::from_raw_parts_mut(address as *mut usize, count) })
}

/// Memory that is shared with whoever gets the descriptor: zeroed words, for the life of the process
/// ([memfd_create(2)](https://man7.org/linux/man-pages/man2/memfd_create.2.html), sealed against shrinking).
pub fn share(name: &CStr, count: usize) -> Result<(OwnedFd, &'static [AtomicU64])> {
    let memory = file::memfd(name)?;
    let len = count.max(1).saturating_mul(size_of::<AtomicU64>());
    // SAFETY: numbers only.
    unsafe { call(libc::SYS_ftruncate, [memory.fd().raw() as usize, len]) }?;
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
    // SAFETY: numbers only.
    unsafe {
        call(libc::SYS_fcntl, [memory.fd().raw() as usize, libc::F_ADD_SEALS as usize, seals as usize])
    }?;
    let words = map_shared(memory.fd())?;
    Ok((memory, words))
}

/// The memory that [`share`] has made, in another process. `EPERM`: it is something else, which could become shorter.
pub fn map_shared(fd: Fd) -> Result<&'static [AtomicU64]> {
    // SAFETY: numbers only.
    let seals = unsafe { call(libc::SYS_fcntl, [fd.raw() as usize, libc::F_GET_SEALS as usize]) }?;
    if seals & libc::F_SEAL_SHRINK as usize == 0 {
        return Err(Error::of(libc::SYS_fcntl, libc::EPERM));
    }
    let len = file::fstat(fd)?.size as usize;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let args = [0, len.max(1), prot as usize, libc::MAP_SHARED as usize, fd.raw() as usize, 0];
    // SAFETY: the kernel chooses a free address.
    let address = unsafe { call(libc::SYS_mmap, args) }?;
    let count = len / size_of::<AtomicU64>();
    // SAFETY: the mapping is aligned to a page, that long as the file cannot shrink, never unmapped, and only atomics look
    // at it.
    Ok(unsafe { core::slice::from_raw_parts(address as *const AtomicU64, count) })
}
