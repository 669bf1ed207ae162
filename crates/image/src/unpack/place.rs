//! Directories of the tree that is being made, by descriptor: each is opened in its parent, without following a link, so
//! that no path leads anywhere but where this archive itself has put a directory.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};

use super::attributes::Attributes;
use crate::error::{Doing as _, Error, Result, shown};

/// Opens a directory for looking up names in it.
pub(crate) const LOOK: OFlag =
    OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
/// As long as the tree is being made, nobody else has any business in it.
const OURS_ONLY: Mode = Mode::S_IRWXU;

/// The directories of a tree.
pub(crate) struct Places {
    root: OwnedFd,
    /// From the root to where we are: the path, and its descriptor. Archives are sorted by directory, mostly.
    stack: Vec<(Vec<u8>, OwnedFd)>,
    /// Every directory that was made, with what the archive says of it; `None` if only its content is in the archive.
    pub(crate) made: BTreeMap<Vec<u8>, Option<Attributes>>,
}

impl Places {
    pub(crate) fn new(root: OwnedFd) -> Self {
        Self { root, stack: Vec::new(), made: BTreeMap::from([(Vec::new(), None)]) }
    }

    /// The root of the tree.
    pub(crate) const fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// The directory at this (checked) path, made if it is missing. `entry` is for messages.
    pub(crate) fn directory(&mut self, path: &[u8], entry: &[u8]) -> Result<&OwnedFd> {
        while self.stack.last().is_some_and(|(there, _)| !is_prefix(there, path)) {
            self.stack.pop();
        }
        let mut at = self.stack.last().map_or(0, |(there, _)| there.len() + 1);
        while at < path.len() {
            let end = path[at..].iter().position(|b| *b == b'/').map_or(path.len(), |slash| at + slash);
            let child = self.child(&path[..end], &path[at..end], entry)?;
            self.stack.push((path[..end].to_vec(), child));
            at = end + 1;
        }
        Ok(self.stack.last().map_or(&self.root, |(_, fd)| fd))
    }

    /// The child of where we are.
    fn child(&mut self, path: &[u8], name: &[u8], entry: &[u8]) -> Result<OwnedFd> {
        let here = self.stack.last().map_or(&self.root, |(_, fd)| fd);
        match openat(here, name, LOOK, Mode::empty()) {
            Err(Errno::ENOENT) => {}
            // With O_DIRECTORY a symbolic link is no directory either.
            Err(Errno::ENOTDIR | Errno::ELOOP) => {
                let why = format!("it leads through {}, which is no directory in this archive", shown(path));
                return Err(Error::archive(entry, why));
            }
            found => return found.doing(|| format!("open the directory {}", shown(path))),
        }
        mkdirat(here, name, OURS_ONLY).doing(|| format!("make the directory {}", shown(path)))?;
        self.made.insert(path.to_vec(), None);
        openat(here, name, LOOK, Mode::empty()).doing(|| format!("open the directory {}", shown(path)))
    }

    /// The directory at this path if it is there: for what a hard link leads to.
    pub(crate) fn existing(&mut self, path: &[u8]) -> Result<Option<&OwnedFd>> {
        if path.is_empty() {
            return Ok(Some(&self.root));
        }
        if !self.made.contains_key(path) {
            return Ok(None);
        }
        self.directory(path, path).map(Some)
    }

    /// Notes what the archive says of a directory.
    pub(crate) fn describe(&mut self, path: &[u8], attributes: Attributes) {
        self.made.insert(path.to_vec(), Some(attributes));
    }

    /// Forgets the descriptors of directories, so that they can be opened anew for their attributes.
    pub(crate) fn leave(&mut self) {
        self.stack.clear();
    }
}

/// Whether the directory `there` is `path`, or leads to it.
fn is_prefix(there: &[u8], path: &[u8]) -> bool {
    path.strip_prefix(there).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}
