//! Descriptors: owned ones close themselves, borrowed ones are numbers that cannot be closed.

use crate::raw;

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
#[derive(Debug)]
pub struct OwnedFd(i32);

impl OwnedFd {
    /// Takes ownership of an open descriptor.
    ///
    /// # Safety
    ///
    /// `number` is open and nobody else closes it.
    pub const unsafe fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// What a call that makes a descriptor returned.
    pub(crate) const fn made(ret: usize) -> Self {
        Self(ret as i32)
    }

    /// This descriptor, borrowed.
    pub const fn fd(&self) -> Fd {
        Fd(self.0)
    }

    /// Its number, given up: nobody closes it any more.
    pub const fn into_raw(self) -> i32 {
        let number = self.0;
        core::mem::forget(self);
        number
    }
}

impl Drop for OwnedFd {
    fn drop(&mut self) {
        // An error of close(2) says nothing that could be acted upon: the descriptor is gone either way.
        // SAFETY: this value owns the descriptor, and nobody can use it after drop.
        let _ = unsafe { raw::call(libc::SYS_close, [self.0 as usize]) };
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
            unsafe { BorrowedFd::borrow_raw(self.0) }
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
            Self(fd.into_raw_fd())
        }
    }
}
