//! `oci:DIR[:TAG]` and the other ways to name an image, as skopeo writes them ([containers-transports(5)]).
//!
//! [containers-transports(5)]: https://github.com/containers/image/blob/main/docs/containers-transports.5.md

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::digest::Digest;
use crate::error::{Error, Result};

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// `oci:DIR[:TAG]`: a directory with an OCI image layout.
    Oci(PathBuf, Select),
    /// `oci-archive:FILE[:TAG]`: the same in a tar archive.
    OciArchive(PathBuf, Select),
    /// `docker-archive:FILE[:TAG]`: what `docker save` writes.
    DockerArchive(PathBuf, Select),
    /// The name of an imported image, or (the beginning of) its id.
    Name(Name),
}

/// Which image of a layout or archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Select {
    /// The only one there is.
    Only,
    /// The one with this tag.
    Tag(String),
    /// The one at this place, `@N`.
    Index(usize),
}

impl fmt::Display for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Only => Ok(()),
            Self::Tag(tag) => write!(f, ":{tag}"),
            Self::Index(index) => write!(f, ":@{index}"),
        }
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let located = |rest: &str| -> Result<(PathBuf, Select)> {
            let (path, select) = rest.split_once(':').unwrap_or((rest, ""));
            if path.is_empty() {
                return Err(Error::usage(text, "the path is empty"));
            }
            let select = match select.strip_prefix('@') {
                _ if select.is_empty() => Select::Only,
                Some(number) => {
                    let number = number.parse();
                    Select::Index(number.map_err(|_| Error::usage(text, "after @ comes a number"))?)
                }
                None => Select::Tag(select.into()),
            };
            Ok((path.into(), select))
        };
        Ok(match text.split_once(':') {
            Some(("oci", rest)) => {
                let (path, select) = located(rest)?;
                Self::Oci(path, select)
            }
            Some(("oci-archive", rest)) => {
                let (path, select) = located(rest)?;
                Self::OciArchive(path, select)
            }
            Some(("docker-archive", rest)) => {
                let (path, select) = located(rest)?;
                Self::DockerArchive(path, select)
            }
            Some((transport @ ("docker" | "docker-daemon" | "containers-storage" | "dir"), _)) => {
                return Err(Error::usage(
                    text,
                    format!(
                        "orlop does not read {transport}:, `skopeo copy {text} oci:DIR:TAG` makes what it reads"
                    ),
                ));
            }
            _ => Self::Name(text.parse()?),
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Oci(path, select) => write!(f, "oci:{}{select}", path.display()),
            Self::OciArchive(path, select) => write!(f, "oci-archive:{}{select}", path.display()),
            Self::DockerArchive(path, select) => write!(f, "docker-archive:{}{select}", path.display()),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// The name of an imported image: always with a tag, `latest` where none was given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

/// How long a name may be; registries and engines have about the same.
const LONGEST: usize = 255;

impl Name {
    /// As text, with its tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the tag.
    pub fn repository(&self) -> &str {
        self.0.rsplit_once(':').map_or(&self.0, |(repository, _)| repository)
    }

    /// The tag.
    pub fn tag(&self) -> &str {
        self.0.rsplit_once(':').map_or("latest", |(_, tag)| tag)
    }

    /// The digits of an id that this may be the beginning of: hexadecimal, without a tag of its own.
    pub(crate) fn id_prefix(&self) -> Option<&str> {
        let digits = match self.0.strip_prefix("sha256:") {
            Some(digits) => digits,
            None => self.0.strip_suffix(":latest")?,
        };
        let hex = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (hex && (4..=128).contains(&digits.len())).then_some(digits)
    }

    /// The file that the store keeps about it: names may be longer than file names, and have slashes.
    pub(crate) fn file(&self) -> String {
        Digest::of(self.0.as_bytes()).hex().into()
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| Error::usage(format!("image name {text:?}"), why);
        let allowed =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/' | b':' | b'+');
        if text.is_empty() || text.len() > LONGEST || !text.bytes().all(allowed) {
            return Err(wrong("names are made of A-Z a-z 0-9 . _ - + / and :, and no longer than 255 bytes"));
        }
        if text.split(['/', ':']).any(|part| part.is_empty() || part == "." || part == "..") {
            return Err(wrong("a part between slashes or colons is empty, . or .."));
        }
        // A colon before the last slash belongs to the port of a registry.
        let tagged = text.rsplit('/').next().is_some_and(|last| last.contains(':'));
        Ok(Self(if tagged { text.into() } else { format!("{text}:latest") }))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_skopeo_writes_them() {
        let oci = |path: &str, select| Reference::Oci(path.into(), select);
        for (text, expected) in [
            ("oci:/tmp/a", oci("/tmp/a", Select::Only)),
            ("oci:/tmp/a:", oci("/tmp/a", Select::Only)),
            ("oci:a:latest", oci("a", Select::Tag("latest".into()))),
            ("oci:a:registry:5000/b:1", oci("a", Select::Tag("registry:5000/b:1".into()))),
            ("oci:a:@2", oci("a", Select::Index(2))),
            ("oci-archive:a.tar:x", Reference::OciArchive("a.tar".into(), Select::Tag("x".into()))),
            ("docker-archive:a.tar", Reference::DockerArchive("a.tar".into(), Select::Only)),
        ] {
            assert_eq!(text.parse::<Reference>().expect("well formed"), expected, "{text}");
        }
        for bad in ["oci:", "oci::tag", "oci:a:@x", "docker://alpine", "", "a b", "../a", "a//b", "a:"] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_have_a_tag_and_may_be_ids() {
        let name = |text: &str| text.parse::<Name>().expect("well formed");
        assert_eq!(name("alpine").as_str(), "alpine:latest");
        assert_eq!(name("host:5000/a").as_str(), "host:5000/a:latest");
        assert_eq!((name("host:5000/a:1").repository(), name("host:5000/a:1").tag()), ("host:5000/a", "1"));
        assert_eq!(name("0123abcd").id_prefix(), Some("0123abcd"));
        assert_eq!(name("alpine").id_prefix(), None);
    }
}
