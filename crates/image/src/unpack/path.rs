//! The path of an entry, checked.

use crate::error::{Error, Result};

/// The longest name that Linux has.
const LONGEST_NAME: usize = 255;
/// `PATH_MAX` without its NUL.
const LONGEST_PATH: usize = 4095;

/// A path that stays inside: relative, without empty parts, `.`, `..` or NUL. The root is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TreePath(Vec<u8>);

impl TreePath {
    /// Checks a path of an archive: of an entry, or what a hard link leads to.
    pub(crate) fn parse(path: &[u8], depth: u32) -> Result<Self> {
        let refuse = |why: &str| Err(Error::archive(path, why));
        // The root itself has that name in archives of some tools.
        if path.starts_with(b"/") && path.iter().any(|b| *b != b'/') {
            return refuse("the path is absolute");
        }
        if path.contains(&0) {
            return refuse("there is a NUL in the path");
        }
        let mut clean = Vec::with_capacity(path.len());
        let mut parts = 0;
        for part in path.split(|b| *b == b'/') {
            match part {
                b"" | b"." => continue,
                b".." => return refuse("the path has a .. in it"),
                _ if part.len() > LONGEST_NAME => return refuse("a name is longer than 255 bytes"),
                _ => {}
            }
            if !clean.is_empty() {
                clean.push(b'/');
            }
            clean.extend_from_slice(part);
            parts += 1;
        }
        if clean.len() > LONGEST_PATH {
            return refuse("the path is longer than 4095 bytes");
        }
        if parts > depth {
            let what = format!("a path with {parts} parts");
            return Err(Error::Limit {
                entry: path.into(),
                what,
                limit: depth.into(),
                option: "--max-depth",
            });
        }
        Ok(Self(clean))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) const fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The directory it is in; of the root the root.
    pub(crate) fn parent(&self) -> &[u8] {
        self.0.iter().rposition(|b| *b == b'/').map_or(b"", |at| &self.0[..at])
    }

    /// Its last part; of the root nothing.
    pub(crate) fn name(&self) -> &[u8] {
        let at = self.0.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
        &self.0[at..]
    }

    /// Another name in the same directory.
    pub(crate) fn sibling(&self, name: &[u8]) -> Self {
        Self(join(self.parent(), name))
    }

    /// The directory it is in, as a path.
    pub(crate) fn directory(&self) -> Self {
        Self(self.parent().to_vec())
    }
}

/// `dir/name`, or `name` in the root.
pub(crate) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_and_stay_inside() {
        for (path, clean) in [
            ("./a/b", "a/b"),
            ("a//b/", "a/b"),
            (".", ""),
            ("./", ""),
            ("/", ""),
            ("a/./b", "a/b"),
            ("...", "..."),
        ] {
            let parsed = TreePath::parse(path.as_bytes(), 9).expect("stays inside");
            assert_eq!(parsed.bytes(), clean.as_bytes(), "{path}");
        }
        let long = format!("{}/a", "x".repeat(256));
        for path in ["/a", "../a", "a/../b", "a/..", "..", "a\0b", &long, &"a/".repeat(10)] {
            assert!(TreePath::parse(path.as_bytes(), 9).is_err(), "{path:?}");
        }
        let path = TreePath::parse(b"a/b/c", 9).expect("stays inside");
        assert_eq!(
            (path.parent(), path.name(), path.sibling(b"d").bytes()),
            (&b"a/b"[..], &b"c"[..], &b"a/b/d"[..])
        );
    }
}
