//! The one error of this crate: the object, the step, the kernel's answer, and what could help.

use std::fmt;

use nix::errno::Errno;

/// The result of everything that this crate does.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something could not be done with an image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A reference, name or option that cannot be one.
    #[error("{}: {}", Line(what), Line(why))]
    Usage {
        /// What was given.
        what: String,
        /// The rule that it breaks.
        why: String,
    },
    /// Something that is not there: an image, a tag, a blob.
    #[error("{} is not there", Line(what))]
    NotFound {
        /// What was looked for, and where.
        what: String,
        /// What could help, or nothing.
        hint: String,
    },
    /// Bytes that are not those that their digest says.
    #[error("{}: expected {expected}, found {found}", Line(what))]
    Digest {
        /// The blob.
        what: String,
        /// The digest that whoever refers to it has.
        expected: String,
        /// The digest of what is there.
        found: String,
    },
    /// A blob that is longer or shorter than its descriptor says.
    #[error("{}: expected {expected} bytes, found {found}", Line(what))]
    Size {
        /// The blob.
        what: String,
        /// The size in the descriptor.
        expected: u64,
        /// What is there; with "at least" where reading stopped.
        found: Count,
    },
    /// A document that is not what it should be.
    #[error("{}: {}", Line(what), Line(why))]
    Document {
        /// The document.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// No image for the platform.
    #[error("{} has no image for {wanted}; it has {}", Line(what), Line(there))]
    Platform {
        /// The index.
        what: String,
        /// The platform that was asked for.
        wanted: String,
        /// The platforms that it has.
        there: String,
    },
    /// An archive that is malformed, or an entry that is refused.
    #[error("{}{}", Entry(entry), Line(why))]
    Archive {
        /// The entry, or nothing for the archive as a whole.
        entry: Vec<u8>,
        /// What is wrong with it.
        why: String,
    },
    /// A limit for archives is passed.
    #[error("{}{} is more than the limit {limit}", Entry(entry), Line(what))]
    Limit {
        /// The entry at which it happened, or nothing.
        entry: Vec<u8>,
        /// What there is too much of, with its amount.
        what: String,
        /// The limit.
        limit: u64,
        /// The option that changes it.
        option: &'static str,
    },
    /// A user or group that the image does not have.
    #[error("{} {name:?} is not in the image's {file}", Line(what))]
    User {
        /// "user" or "group".
        what: &'static str,
        /// The name, as asked for.
        name: String,
        /// The file that was looked into.
        file: &'static str,
    },
    /// A call on the host failed.
    #[error("{}: {}{} ({})", Line(doing), Call(call), errno.desc(), errno_name(*errno))]
    Kernel {
        /// What was being done, and to what.
        doing: String,
        /// The system call, where it is known, or nothing.
        call: &'static str,
        /// The kernel's answer.
        errno: Errno,
        /// What could help, or nothing.
        hint: &'static str,
    },
    /// What an error happened in.
    #[error("{}: {source}", Line(what))]
    In {
        /// A layer, an archive, an image.
        what: String,
        /// The error itself.
        source: Box<Self>,
    },
}

/// A number of bytes, which may be a lower bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub bytes: u64,
    /// Whether there are more.
    pub or_more: bool,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = if self.or_more { "at least " } else { "" };
        write!(f, "{least}{}", self.bytes)
    }
}

impl Error {
    /// A document that is not what it should be.
    pub(crate) fn document(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self::Document { what: what.into(), why: why.to_string() }
    }

    /// An archive entry that is refused; no entry for the archive as a whole.
    pub(crate) fn archive(entry: &[u8], why: impl Into<String>) -> Self {
        Self::Archive { entry: entry.into(), why: why.into() }
    }

    /// A usage error.
    pub(crate) fn usage(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), why: why.into() }
    }

    /// The same, in something.
    #[must_use]
    pub(crate) fn within(self, what: impl Into<String>) -> Self {
        Self::In { what: what.into(), source: Box::new(self) }
    }

    /// Whether the content of an archive is to blame, rather than this machine: what its digest may explain.
    pub(crate) fn is_of_content(&self) -> bool {
        match self {
            Self::Archive { .. } => true,
            Self::In { source, .. } => source.is_of_content(),
            _ => false,
        }
    }

    /// What could help, for people; nothing where the text says all.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Limit { option, .. } => Some(format!("{option} changes the limit")),
            Self::NotFound { hint, .. } if !hint.is_empty() => Some(hint.clone()),
            Self::Kernel { hint, .. } if !hint.is_empty() => Some((*hint).into()),
            Self::In { source, .. } => source.hint(),
            _ => None,
        }
    }

    /// The kernel's answer, where it was asked.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Kernel { errno, .. } => Some(*errno),
            Self::In { source, .. } => source.errno(),
            _ => None,
        }
    }
}

/// The kernel's answer to a call: its name where it is known, and the errno.
pub(crate) struct Answer(pub(crate) &'static str, pub(crate) Errno);

impl From<Errno> for Answer {
    fn from(e: Errno) -> Self {
        Self("", e)
    }
}

impl From<orlop_sys::Error> for Answer {
    fn from(e: orlop_sys::Error) -> Self {
        Self(e.call_name(), Errno::from_raw(e.errno()))
    }
}

impl From<std::io::Error> for Answer {
    fn from(e: std::io::Error) -> Self {
        Self("", e.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
    }
}

/// Says what was being done when a call failed.
pub(crate) trait Doing<T> {
    /// The error becomes [`Error::Kernel`] with this text: what was being done, and to what.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Answer>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| {
            let Answer(call, errno) = e.into();
            let hint = match errno {
                Errno::ENOSPC | Errno::EDQUOT => "`orlop image gc` removes layers that no image uses",
                _ => "",
            };
            Error::Kernel { doing: what(), call, errno, hint }
        })
    }
}

/// Says what an error happened in.
pub(crate) trait Within<T> {
    /// The error becomes [`Error::In`].
    fn within(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Within<T> for Result<T> {
    fn within(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| e.within(what()))
    }
}

/// Bytes of a path as text that stays on its line.
pub(crate) fn shown(path: &[u8]) -> String {
    Line(&String::from_utf8_lossy(path)).to_string()
}

/// Text that stays on its line: control characters are shown as escapes.
struct Line<'a>(&'a str);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}

struct Entry<'a>(&'a [u8]);

impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "{:?}: ", String::from_utf8_lossy(self.0)) }
    }
}

struct Call<'a>(&'a str);

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "{}: ", self.0) }
    }
}

fn errno_name(errno: Errno) -> &'static str {
    orlop_sys::names::errno(errno as i32)
}
