//! What the kernel answered, and what was being done.

use std::fmt;

use nix::errno::Errno;

use super::text::words;
use super::{Error, Result};

/// What the kernel answered: the call, where it is known, and the errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The name of the call, or nothing.
    pub call: &'static str,
    /// As in errno(3).
    pub errno: i32,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.call.is_empty() {
            write!(f, "{}: ", self.call)?;
        }
        write!(f, "{} ({})", words(self.errno), orlop_sys::names::errno(self.errno))
    }
}

impl From<orlop_sys::Error> for Answer {
    fn from(e: orlop_sys::Error) -> Self {
        Self { call: e.call_name(), errno: e.errno() }
    }
}

impl From<Errno> for Answer {
    fn from(e: Errno) -> Self {
        Self { call: "", errno: e as i32 }
    }
}

impl From<std::io::Error> for Answer {
    fn from(e: std::io::Error) -> Self {
        Self { call: "", errno: e.raw_os_error().unwrap_or(libc::EIO) }
    }
}

/// Says what was being done when a call failed.
pub trait Doing<T> {
    /// The error becomes [`Error::Kernel`] with this text: what was being done, and to what.
    ///
    /// # Errors
    ///
    /// As before, with the text.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Answer>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| Error::Kernel { doing: what(), answer: e.into(), pointer: None, hint: None })
    }
}
