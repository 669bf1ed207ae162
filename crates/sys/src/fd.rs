//! Descriptors: owned ones close themselves, borrowed ones are numbers that cannot be closed.

use crate::raw;
use core::fmt;
use core::num::NonZeroI32;

/// A descriptor somebody else owns, or `AT_FDCWD`. It can be used, not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fd(i32);

impl Fd {
    /// The current directory, where a call takes a directory descriptor.
    pub const CWD: Self = Self(libc::AT_FDCWD);
    /// Standard input.
    pub const STDIN: Self = Self(0);

    /// The descriptor with this number. Using one that is not open gives `EBADF`.
    pub const fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn raw(self) -> i32 {
        self.0
    }
}

/// A descriptor that is closed when dropped.
///
/// The complement of its number is kept, which is never zero: so `Option<OwnedFd>` is not larger.
pub struct OwnedFd(NonZeroI32);

impl fmt::Debug for OwnedFd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedFd").field(&self.fd().raw()).finish()
    }
}

impl OwnedFd {
    /// Takes ownership of an open descriptor.
    ///
    /// # Safety
    ///
    /// `number` is open and nobody else closes it.
    pub const unsafe fn from_raw(number: i32) -> Self {
        match NonZeroI32::new(!number) {
            Some(complement) => Self(complement),
            // -1, which is no open descriptor; closing this one fails just so.
            None => Self(NonZeroI32::MIN),
        }
    }

    /// What a call that makes a descriptor returned.
    pub(crate) const fn made(ret: usize) -> Self {
        // SAFETY: it is open, and the caller is the first to know of it.
        unsafe { Self::from_raw(ret as i32) }
    }

    /// This descriptor, borrowed.
    pub const fn fd(&self) -> Fd {
        Fd(!self.0.get())
    }

    /// Its number, given up: nobody closes it any more.
    pub const fn into_raw(self) -> i32 {
        let number = self.fd().raw();
        core::mem::forget(self);
        number
    }
}

impl Drop for OwnedFd {
    fn drop(&mut self) {
        // An error of close(2) says nothing that could be acted upon: the descriptor is gone either way.
        // SAFETY: this value owns the descriptor, and nobody can use it after drop.
        let _ = unsafe { raw::call(libc::SYS_close, [self.fd().raw() as usize]) };
    }
}

impl From<&OwnedFd> for Fd {
    fn from(owned: &OwnedFd) -> Self {
        owned.fd()
    }
}

#[cfg(feature = "std")]
mod with_std {
    use super::{Fd, OwnedFd};
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd};

    impl From<BorrowedFd<'_>> for Fd {
        fn from(fd: BorrowedFd<'_>) -> Self {
            Self(fd.as_raw_fd())
        }
    }

    impl Fd {
        /// The descriptor of anything the standard library can borrow one from.
        pub fn of(owner: &impl AsFd) -> Self {
            owner.as_fd().into()
        }
    }

    impl AsFd for OwnedFd {
        fn as_fd(&self) -> BorrowedFd<'_> {
            // SAFETY: the descriptor stays open as long as `self` lives, which the lifetime says.
            unsafe { BorrowedFd::borrow_raw(self.fd().raw()) }
        }
    }

    impl From<OwnedFd> for std::os::fd::OwnedFd {
        fn from(fd: OwnedFd) -> Self {
            // SAFETY: ownership moves; `into_raw` gave it up.
            unsafe { Self::from_raw_fd(fd.into_raw()) }
        }
    }

    impl From<std::os::fd::OwnedFd> for OwnedFd {
        fn from(fd: std::os::fd::OwnedFd) -> Self {
            // SAFETY: ownership moves.
            unsafe { Self::from_raw(fd.into_raw_fd()) }
        }
    }
}
