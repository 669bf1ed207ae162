//! Names of places in a document: JSON pointers (RFC 6901).

use std::fmt;

/// How many indices and keys one pointer holds: `/mounts/3/uidMappings/0` has two, none in a config has more than
/// three.
const HOLES: usize = 3;

/// The place of a value in a document, as `/mounts/3/options/1`.
///
/// A pattern with holes and what goes into them: to make one costs no formatting and, for indices, no allocation, so
/// that a compiled program can afford one for every step. It becomes text when it is displayed.
///
/// ```
/// # use orlop_spec::Pointer;
/// assert_eq!(Pointer::new("/mounts/{}/options/{}").at(3).at(1).to_string(), "/mounts/3/options/1");
/// assert_eq!(Pointer::new("/annotations/{}").key("a/b~c").to_string(), "/annotations/a~1b~0c");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Pointer {
    pattern: &'static str,
    holes: [Hole; HOLES],
}

/// What goes into a hole.
#[derive(Clone, PartialEq, Eq)]
enum Hole {
    /// An element of an array; [`EMPTY`] where nothing was filled in (a variant of its own would make every pointer
    /// half as large again).
    Index(u32),
    /// A member of an object that is a map.
    Key(Box<str>),
}

/// Marks a hole that nothing was filled into. No document has so many elements.
const EMPTY: u32 = u32::MAX;

impl Pointer {
    /// The whole document.
    pub const ROOT: Self = Self::new("");

    /// A place as a pattern in which every `{}` stands for an index or a key that follows.
    pub const fn new(pattern: &'static str) -> Self {
        Self { pattern, holes: [const { Hole::Index(EMPTY) }; HOLES] }
    }

    /// Fills the next hole with the index of an array element.
    #[must_use]
    pub fn at(self, index: usize) -> Self {
        self.fill(Hole::Index(u32::try_from(index).unwrap_or(EMPTY - 1)))
    }

    /// Fills the next hole with the key of a member of a map; escaping is done when it is displayed.
    #[must_use]
    pub fn key(self, key: impl Into<Box<str>>) -> Self {
        self.fill(Hole::Key(key.into()))
    }

    /// The same place as seen from `base`, a part of the document that may stand in a file of its own; a place outside of
    /// it stays as it is.
    ///
    /// ```
    /// # use orlop_spec::Pointer;
    /// let pointer = Pointer::new("/linux/resources/rdma/{}").key("mlx5");
    /// assert_eq!(pointer.within("/linux/resources").to_string(), "/rdma/mlx5");
    /// ```
    #[must_use]
    pub fn within(self, base: &str) -> Self {
        let inside = self.pattern.strip_prefix(base).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        Self { pattern: inside.unwrap_or(self.pattern), ..self }
    }

    fn fill(mut self, with: Hole) -> Self {
        let free = self.holes.iter_mut().find(|hole| **hole == Hole::Index(EMPTY));
        debug_assert!(free.is_some(), "{} has more holes than fit", self.pattern);
        if let Some(hole) = free {
            *hole = with;
        }
        self
    }
}

impl Default for Pointer {
    fn default() -> Self {
        Self::ROOT
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut holes = self.holes.iter();
        let mut parts = self.pattern.split("{}");
        f.write_str(parts.next().unwrap_or_default())?;
        for part in parts {
            match holes.next() {
                Some(Hole::Index(EMPTY)) | None => f.write_str("{}")?,
                Some(Hole::Index(index)) => write!(f, "{index}")?,
                Some(Hole::Key(key)) => {
                    let mut token = String::new();
                    push_token(&mut token, key);
                    f.write_str(&token)?;
                }
            }
            f.write_str(part)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pointer({self})")
    }
}

/// Whether `pointer` names the same place as `ancestor`, or one inside it.
pub fn is_within(pointer: &str, ancestor: &str) -> bool {
    pointer.strip_prefix(ancestor).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Appends one token of a pointer, escaped, without its slash.
pub(crate) fn push_token(out: &mut String, token: &str) {
    // Nearly every key is plain.
    if token.contains(['~', '/']) {
        out.push_str(&token.replace('~', "~0").replace('/', "~1"));
    } else {
        out.push_str(token);
    }
}

/// The tokens of a pointer, unescaped.
pub(crate) fn tokens(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_small_because_every_step_of_a_program_has_one() {
        assert!(size_of::<Pointer>() <= 64, "{} bytes", size_of::<Pointer>());
    }

    #[test]
    fn keys_are_escaped_and_come_back() {
        for key in ["", "a/b", "~", "~1", "/~01/", "net.ipv4.ip_forward", "a\nb", "{}"] {
            let pointer = Pointer::new("/linux/sysctl/{}").key(key).to_string();
            assert_eq!(tokens(&pointer).last().as_deref(), Some(key), "{pointer}");
        }
    }

    #[test]
    fn a_place_is_within_itself_and_its_ancestors_only() {
        assert!(is_within("/mounts/1", "/mounts/1"));
        assert!(is_within("/mounts/1/options", "/mounts/1"));
        assert!(is_within("/mounts/1", ""));
        assert!(!is_within("/mounts/10", "/mounts/1"));
        assert!(!is_within("/mounts", "/mounts/1"));
    }
}
