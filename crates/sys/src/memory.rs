//! Memory that is not the program's own: a mapped file, and pages for pointer arrays.

use crate::Fd;
use crate::raw::{Result, call};

/// Maps a file, read-only and for the life of the process
/// ([mmap(2)](https://man7.org/linux/man-pages/man2/mmap.2.html), `MAP_PRIVATE`).
///
/// # Safety
///
/// The file is at least `len` bytes long and nobody shortens or changes it: a sealed memfd.
pub unsafe fn map_sealed(fd: Fd, len: usize) -> Result<&'static [u8]> {
    let flags = libc::MAP_PRIVATE | libc::MAP_POPULATE;
    let args = [0, len, libc::PROT_READ as usize, flags as usize, fd.raw() as usize, 0];
    // SAFETY: the kernel chooses a free address.
    let address = unsafe { call(libc::SYS_mmap, args) }?;
    // SAFETY: the mapping is `len` bytes long, is never unmapped, and the caller promises that it does not change.
    Ok(unsafe { core::slice::from_raw_parts(address as *const u8, len) })
}

/// Zeroed words for the life of the process (mmap(2), `MAP_ANONYMOUS`).
pub fn words(count: usize) -> Result<&'static mut [usize]> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let len = count.max(1).saturating_mul(size_of::<usize>());
    // SAFETY: the kernel chooses a free address; no file is involved.
    let address = unsafe { call(libc::SYS_mmap, [0, len, prot as usize, flags as usize, usize::MAX, 0]) }?;
    // SAFETY: the mapping is new, zeroed, aligned to a page, of that length, and never unmapped.
    Ok(unsafe { core::slice::from_raw_parts_mut(address as *mut usize, count) })
}
