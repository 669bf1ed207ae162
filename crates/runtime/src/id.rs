//! Container ids: names that are safe as file names, in messages and on command lines.

use std::fmt;

use crate::error::{Error, Result};

/// The id of a container, valid as runc defines it: one or more of `A-Z a-z 0-9 _ + - .`, and neither `.` nor `..`.
///
/// The id names the state directory, hence it may be as long as a file name, 255 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId(String);

impl ContainerId {
    /// The longest id, in bytes (`NAME_MAX`).
    pub const MAX: usize = 255;

    /// Checks an id.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidId`], which names the rule that is broken.
    pub fn new(id: &str) -> Result<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+-.".contains(&b);
        let why = if id.is_empty() {
            "container id cannot be empty"
        } else if id == "." || id == ".." {
            "it cannot be used as a file name"
        } else if !id.bytes().all(allowed) {
            "only A-Z a-z 0-9 _ + - . are allowed"
        } else if id.len() > Self::MAX {
            "longer than 255 bytes, the longest file name"
        } else {
            return Ok(Self(id.to_owned()));
        };
        // A wrong id may be anything, a whole file for instance; the start of it is enough to recognise it.
        let mut shown: String = id.chars().take(80).collect();
        if shown.len() < id.len() {
            shown.push('…');
        }
        Err(Error::InvalidId { id: shown, why })
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for ContainerId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for ContainerId {
    type Err = Error;

    fn from_str(id: &str) -> Result<Self> {
        Self::new(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runc_accepts_is_accepted() {
        for id in ["web", "a", "A-b_c+d.e", "...", "-rf", "1", &"x".repeat(255)] {
            assert_eq!(ContainerId::new(id).unwrap().as_str(), id);
        }
    }

    #[test]
    fn what_could_leave_the_state_directory_is_not() {
        for id in ["", ".", "..", "a/b", "../x", "a b", "ä", "a\0b", "a\nb", &"x".repeat(256)] {
            assert!(ContainerId::new(id).is_err(), "{id:?}");
        }
    }

    #[test]
    fn messages_stay_on_one_line_and_short() {
        let error = ContainerId::new("a\n\u{1b}[31mb").unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"invalid container id "a\n\u{1b}[31mb": only A-Z a-z 0-9 _ + - . are allowed"#
        );
        assert!(ContainerId::new(&"ö".repeat(100_000)).unwrap_err().to_string().len() < 300);
    }
}
