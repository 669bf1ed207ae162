//! Extended attributes of any kind of file, by an `O_PATH` descriptor of it.
//!
//! The calls that take a descriptor refuse one that was opened with `O_PATH`, and to open a device or a FIFO for the
//! sake of an attribute is to act upon it. The descriptor's link in `/proc/self/fd` leads to exactly the file it was
//! opened for, a symbolic link included, without any name being looked up again.

use crate::Fd;
use crate::raw::{Result, call};
use core::ffi::CStr;

/// `/proc/self/fd/` and the digits of a number, with NUL.
struct Link([u8; 26]);

impl Link {
    fn to(fd: Fd) -> Self {
        const DIR: &[u8] = b"/proc/self/fd/";
        let mut link = [0; 26];
        link[..DIR.len()].copy_from_slice(DIR);
        let (mut digits, mut count, mut rest) = ([0_u8; 10], 0, fd.raw().unsigned_abs());
        while count == 0 || rest > 0 {
            digits[count] = b'0' + (rest % 10) as u8;
            (count, rest) = (count + 1, rest / 10);
        }
        for (at, digit) in digits[..count].iter().rev().enumerate() {
            link[DIR.len() + at] = *digit;
        }
        Self(link)
    }

    fn address(&self) -> usize {
        self.0.as_ptr() as usize
    }
}

/// Sets an attribute ([setxattr(2)](https://man7.org/linux/man-pages/man2/setxattr.2.html)). `EOPNOTSUPP`: the file
/// system has none of this kind. `EPERM`: this kind is not for such a file, or not for this user. Needs procfs at `/proc`.
pub fn set(fd: Fd, name: &CStr, value: &[u8]) -> Result<()> {
    let link = Link::to(fd);
    let args = [link.address(), name.as_ptr() as usize, value.as_ptr() as usize, value.len(), 0];
    // SAFETY: path, name and value outlive the call, which only reads them.
    unsafe { call(libc::SYS_setxattr, args) }.map(drop)
}

/// Reads an attribute into `buf`; its length ([getxattr(2)](https://man7.org/linux/man-pages/man2/getxattr.2.html)).
/// `ENODATA`: there is none of this name. `ERANGE`: it is longer than `buf`; an empty `buf` asks for the length only.
pub fn get(fd: Fd, name: &CStr, buf: &mut [u8]) -> Result<usize> {
    let link = Link::to(fd);
    let args = [link.address(), name.as_ptr() as usize, buf.as_mut_ptr() as usize, buf.len()];
    // SAFETY: path and name are only read; `buf` is written for at most its length.
    unsafe { call(libc::SYS_getxattr, args) }
}

/// The names of all attributes, each ended by NUL, into `buf`; their length
/// ([listxattr(2)](https://man7.org/linux/man-pages/man2/listxattr.2.html)). An empty `buf` asks for the length only.
pub fn list(fd: Fd, buf: &mut [u8]) -> Result<usize> {
    let link = Link::to(fd);
    let args = [link.address(), buf.as_mut_ptr() as usize, buf.len()];
    // SAFETY: the path is only read; `buf` is written for at most its length.
    unsafe { call(libc::SYS_listxattr, args) }
}
