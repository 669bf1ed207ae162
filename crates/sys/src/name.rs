//! Paths as C has them, where there is no allocator.

use crate::raw::{Error, Result};
use core::ffi::CStr;
use core::mem::MaybeUninit;

const PATH_MAX: usize = libc::PATH_MAX as usize;

/// Room for a path or name of less than `PATH_MAX` bytes. It is not cleared, as that would take longer than most calls that get
/// the path.
#[derive(Debug)]
pub struct Name([MaybeUninit<u8>; PATH_MAX]);

impl Name {
    /// Room with nothing in it.
    #[allow(clippy::new_without_default)] // a page is nothing to be made in passing
    pub const fn new() -> Self {
        Self([MaybeUninit::uninit(); PATH_MAX])
    }

    /// This path, as C has it. `ENAMETOOLONG`: it does not fit, or has a NUL byte in it.
    pub fn set(&mut self, bytes: &[u8]) -> Result<&CStr> {
        if bytes.len() >= PATH_MAX || bytes.contains(&0) {
            return Err(Error::of(libc::SYS_openat2, libc::ENAMETOOLONG));
        }
        let room = self.0.as_mut_ptr().cast::<u8>();
        // SAFETY: there is room for the bytes, and nobody else's reference to it while `self` is borrowed.
        unsafe { room.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        // SAFETY: there is room for one more.
        unsafe { room.wrapping_add(bytes.len()).write(0) };
        // SAFETY: the bytes up to the NUL were written, and the result borrows them from `self`.
        Ok(unsafe { CStr::from_ptr(room.cast()) })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::{Name, PATH_MAX};
    use std::vec;

    #[test]
    fn what_fits_and_has_no_nul_is_a_name() {
        let mut name = Name::new();
        for fits in [&b""[..], b"a", b"/etc/passwd", &vec![b'x'; PATH_MAX - 1], b"b\xff"] {
            assert_eq!(name.set(fits).unwrap().to_bytes(), fits);
        }
        for other in [&b"\0"[..], b"a\0b", &vec![b'x'; PATH_MAX]] {
            assert_eq!(name.set(other).unwrap_err().errno(), libc::ENAMETOOLONG);
        }
    }
}
