//! Pseudo-terminals, as init makes a container's console.

use crate::raw::{Result, call};
use crate::{Fd, OwnedFd};
use core::ptr;

/// [ioctl(2)](https://man7.org/linux/man-pages/man2/ioctl.2.html).
///
/// # Safety
///
/// `argument` is what `request` expects.
unsafe fn ioctl(fd: Fd, request: u64, argument: usize) -> Result<usize> {
    // SAFETY: the caller's contract.
    unsafe { call(libc::SYS_ioctl, [fd.raw() as usize, request as usize, argument]) }
}

/// Unlocks the other end of a pseudo-terminal (`TIOCSPTLCK`, [ioctl_tty(2)](https://man7.org/linux/man-pages/man2/TIOCSPTLCK.2const.html)).
#[allow(clippy::unnecessary_cast, clippy::useless_conversion)] // the request's type differs between C libraries
pub fn unlock(master: Fd) -> Result<()> {
    let unlocked = 0_i32;
    // SAFETY: the request reads one int.
    unsafe { ioctl(master, libc::TIOCSPTLCK as u64, ptr::from_ref(&unlocked) as usize) }.map(drop)
}

/// Opens the other end by the master itself, so that no path can be swapped under us (`TIOCGPTPEER`, Linux 4.13).
pub fn open_peer(master: Fd) -> Result<OwnedFd> {
    const TIOCGPTPEER: u64 = 0x5441;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: the argument is a number.
    unsafe { ioctl(master, TIOCGPTPEER, flags as usize) }.map(OwnedFd::made)
}

/// Sets the window size in characters (`TIOCSWINSZ`).
#[allow(clippy::unnecessary_cast)] // the request's type differs between C libraries
pub fn set_size(terminal: Fd, rows: u16, columns: u16) -> Result<()> {
    let size = [rows, columns, 0, 0]; // `struct winsize`
    // SAFETY: the request reads one `struct winsize`, four 16-bit numbers.
    unsafe { ioctl(terminal, libc::TIOCSWINSZ as u64, size.as_ptr() as usize) }.map(drop)
}

/// The window size: rows and columns (`TIOCGWINSZ`). `ENOTTY`: not a terminal.
#[allow(clippy::unnecessary_cast)] // the request's type differs between C libraries
pub fn size(terminal: Fd) -> Result<(u16, u16)> {
    let mut size = [0_u16; 4]; // `struct winsize`
    // SAFETY: the request writes one `struct winsize`, four 16-bit numbers.
    unsafe { ioctl(terminal, libc::TIOCGWINSZ as u64, size.as_mut_ptr() as usize) }?;
    Ok((size[0], size[1]))
}

/// Makes a process group the foreground one of this session's terminal (`TIOCSPGRP`, tcsetpgrp(3)). `ENOTTY`: it is not.
#[allow(clippy::unnecessary_cast)] // the request's type differs between C libraries
pub fn set_foreground(terminal: Fd, group: i32) -> Result<()> {
    // SAFETY: the request reads one int.
    unsafe { ioctl(terminal, libc::TIOCSPGRP as u64, ptr::from_ref(&group) as usize) }.map(drop)
}

/// Makes a terminal the controlling one of this session (`TIOCSCTTY`).
#[allow(clippy::unnecessary_cast)] // the request's type differs between C libraries
pub fn make_controlling(terminal: Fd) -> Result<()> {
    // SAFETY: the argument is a number.
    unsafe { ioctl(terminal, libc::TIOCSCTTY as u64, 0) }.map(drop)
}
