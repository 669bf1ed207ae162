//! Reading directories.

use crate::raw::{Result, call};
use crate::{Fd, OwnedFd, file};
use core::ffi::CStr;

/// Where the name begins in `struct linux_dirent64`.
const NAME: usize = 19;

/// What is in a directory, in no order.
#[derive(Debug)]
pub struct Entries {
    dir: OwnedFd,
    buffer: [u8; 2048],
    /// What of the buffer is filled and not yet looked at.
    at: usize,
    end: usize,
}

impl Entries {
    /// Begins to read a directory; the descriptor may be one that only names it (`O_PATH`).
    pub fn of(dir: Fd) -> Result<Self> {
        let dir = file::openat(dir, c".", libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
        Ok(Self { dir, buffer: [0; 2048], at: 0, end: 0 })
    }

    /// The name of the next entry, none at the end; never the directory itself or the one above.
    #[allow(clippy::should_implement_trait)] // the name lies in the buffer, which is filled again
    pub fn next(&mut self) -> Result<Option<&CStr>> {
        loop {
            if self.at >= self.end {
                self.at = 0;
                self.end = getdents64(self.dir.fd(), &mut self.buffer)?;
            }
            // The entry's length is at 16.
            let entry = self.buffer.get(self.at..self.end).unwrap_or(&[]);
            let Some([low, high]) = entry.get(16..18) else { return Ok(None) };
            let (start, length) = (self.at + NAME, usize::from(u16::from_ne_bytes([*low, *high])));
            let name = entry.get(NAME..).unwrap_or(&[]);
            let is_own = name.starts_with(b".\0") || name.starts_with(b"..\0");
            self.at += length.max(NAME);
            if !is_own {
                let name = self.buffer.get(start..self.end).unwrap_or(&[]);
                return Ok(CStr::from_bytes_until_nul(name).ok());
            }
        }
    }
}

/// The next entries of a directory that is open for reading; how much of `buf` was filled, 0 at the end
/// ([getdents64(2)](https://man7.org/linux/man-pages/man2/getdents64.2.html)).
fn getdents64(dir: Fd, buf: &mut [u8]) -> Result<usize> {
    // SAFETY: `buf` is written for at most its length.
    unsafe { call(libc::SYS_getdents64, [dir.raw() as usize, buf.as_mut_ptr() as usize, buf.len()]) }
}
