//! The places that containerd names for streams.

use std::fs::{self, File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::failed;
use super::logger::Program;
use crate::ttrpc::{Code, Failure, Result};

/// Where output goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Nowhere,
    /// A FIFO, or a file that is there: `/path`, `fifo:///path`.
    Path(PathBuf),
    /// A file that is appended to, and made if it is not there: `file:///path`.
    File(PathBuf),
    /// A program: `binary:///path`.
    Logger(Program),
}

impl Place {
    /// What an address means.
    pub(super) fn parse(address: &str) -> Result<Self> {
        let refused = |why: &str| Failure::new(Code::InvalidArgument, format!("stream {address:?}: {why}"));
        if address.is_empty() {
            return Ok(Self::Nowhere);
        }
        let (scheme, rest) = address.split_once("://").unwrap_or(("fifo", address));
        let path = Path::new(rest);
        if !path.is_absolute() || path.components().any(|part| part.as_os_str() == "..") {
            return Err(refused("its path is not absolute"));
        }
        match scheme {
            "fifo" => Ok(Self::Path(path.to_owned())),
            "file" if rest.contains('?') => Err(refused("a file takes no parameters")),
            "file" => Ok(Self::File(path.to_owned())),
            "binary" | "binary-v2" => Ok(Self::Logger(Program::parse(rest, scheme == "binary-v2"))),
            _ => Err(refused("neither a FIFO, file:// nor binary://")),
        }
    }

    /// Opens it, so that writing never waits.
    pub(super) fn open(&self) -> Result<Option<OwnedFd>> {
        match self {
            Self::Nowhere => Ok(None),
            Self::Logger(_) => {
                let why = "a program takes both streams: it has to be named for standard output";
                Err(Failure::new(Code::InvalidArgument, why))
            }
            Self::Path(path) => open_path(path).map(Some),
            Self::File(path) => {
                let doing = || format!("open {}", path.display());
                if let Some(parent) = path.parent() {
                    fs::DirBuilder::new()
                        .recursive(true)
                        .mode(0o755)
                        .create(parent)
                        .map_err(failed(doing()))?;
                }
                // Whoever may write to the directory could put a link there, to any file of the host's.
                let mut options = OpenOptions::new();
                options.append(true).create(true).mode(0o644);
                options.custom_flags(libc::O_NOFOLLOW | libc::O_NOCTTY | libc::O_NONBLOCK);
                let file = options.open(path).map_err(failed(doing()))?;
                regular(&file, path)?;
                Ok(Some(file.into()))
            }
        }
    }
}

fn regular(file: &File, path: &Path) -> Result<()> {
    let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
    let why = || Failure::new(Code::InvalidArgument, format!("{} is no file", path.display()));
    if is_file { Ok(()) } else { Err(why()) }
}

/// A FIFO is opened for reading too: it has a reader then whatever becomes of containerd, and bytes wait in it.
fn open_path(path: &Path) -> Result<OwnedFd> {
    let doing = || format!("open {}", path.display());
    let kind = fs::symlink_metadata(path).map_err(failed(doing()))?.file_type();
    let mut options = OpenOptions::new();
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NOCTTY | libc::O_NONBLOCK);
    if kind.is_fifo() {
        options.read(true).write(true);
    } else if kind.is_file() {
        options.append(true);
    } else {
        let why = format!("{} is neither a FIFO nor a file, and links are not followed", path.display());
        return Err(Failure::new(Code::InvalidArgument, why));
    }
    options.open(path).map(OwnedFd::from).map_err(failed(doing()))
}

/// Where input comes from.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) reader: OwnedFd,
    /// While this is open, the input does not end when another writer goes away.
    pub(super) holder: OwnedFd,
}

impl Input {
    /// Opens a FIFO; `None` for no address.
    pub(super) fn open(address: &str) -> Result<Option<Self>> {
        let path = match Place::parse(address)? {
            Place::Nowhere => return Ok(None),
            Place::Path(path) => path,
            Place::File(_) | Place::Logger(_) => {
                let why = format!("stream {address:?}: input comes from a FIFO");
                return Err(Failure::new(Code::InvalidArgument, why));
            }
        };
        let open = |options: &mut OpenOptions| {
            let doing = format!("open {}", path.display());
            options
                .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
                .open(&path)
                .map(OwnedFd::from)
                .map_err(failed(doing))
        };
        // The reader first: a writer without one would be refused.
        let reader = open(OpenOptions::new().read(true))?;
        Ok(Some(Self { reader, holder: open(OpenOptions::new().write(true))? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_containerd_writes_them() {
        assert_eq!(Place::parse(""), Ok(Place::Nowhere));
        assert_eq!(Place::parse("/run/x"), Ok(Place::Path("/run/x".into())));
        assert_eq!(Place::parse("fifo:///run/x"), Ok(Place::Path("/run/x".into())));
        assert_eq!(Place::parse("file:///var/log/x"), Ok(Place::File("/var/log/x".into())));
    }

    #[test]
    fn others_are_refused() {
        for address in [
            "x",
            "binary://x",
            "file://x",
            "file:///a/../b",
            "file:///x?a=b",
            "tcp://1.2.3.4",
            "streaming+unix:///x",
            "://",
            "file://",
        ] {
            let refused = Place::parse(address).unwrap_err();
            assert_eq!(refused.code, Code::InvalidArgument, "{address}");
            assert!(refused.message.contains(address), "{refused:?}");
        }
    }

    #[test]
    fn a_link_in_the_place_of_a_log_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (link, target) = (dir.path().join("link"), dir.path().join("target"));
        fs::write(&target, "").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(Place::File(link).open().is_err());
        let made = dir.path().join("new/log");
        assert!(Place::File(made.clone()).open().unwrap().is_some());
        assert!(made.is_file());
        assert!(Place::File(dir.path().to_owned()).open().is_err(), "a directory");
    }
}
