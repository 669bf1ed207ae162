//! Layers and images on disk.
//!
//! ```text
//! format          which version of this, and how opaque directories are marked
//! lock            flock(2): shared by who reads or imports, exclusive for gc
//! blobs/          manifests and configs, by their digests
//! layers/DIFF-ID/ a layer, unpacked once for all images that have it: `tree`, and `layer.json` about it
//! images/         one file for each name: which manifest it stands for
//! pins/           what containers use, for as long as they are there
//! locks/          flock(2): one for each layer that somebody is unpacking
//! tmp/            what is being made, or was when somebody was killed
//! ```
//!
//! | file | what is in it |
//! |---|---|
//! | `store/import.rs` | from a source to layers and a name |
//! | `store/place.rs` | files of the store: each is there as a whole or not at all |
//! | `store/images.rs` | names, manifests and configs |
//! | `store/gc.rs` | what nobody needs any more |
//!
//! Everything is made in `tmp` and renamed, so that whoever is killed leaves something there and nothing elsewhere. Nothing
//! is counted: what is needed follows from what is in `images` and `pins`.
//!
//! **After a crash of the machine** a name may only be there with all it stands for: layers are written out (syncfs(2))
//! before they get their names, documents (fsync(2)) before theirs, and the name of the image comes last.

mod commit;
mod gc;
mod images;
mod import;
mod place;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::{Flock, FlockArg};

use crate::digest::Digest;
use crate::document::ImageConfig;
use crate::error::{Answer, Error, Result};
use crate::unpack::{OpaqueMark, Owners};
pub use commit::Authorship;
pub use gc::Freed;
pub use images::Image;
use images::Pin;
pub use import::ImportOptions;
use place::Place;

/// The environment variable that names another store.
pub const ENV: &str = "ORLOP_STORE";

/// A store of images.
#[derive(Debug)]
pub struct Store {
    place: Place,
    mark: OpaqueMark,
    owners: Owners,
}

/// An image that is there, and stays there for as long as this value lives.
///
/// `layers` are what overlayfs is mounted with as lower directories, the first being the topmost. For a container that
/// outlives this process, [`Store::pin`] keeps them. [`Store::prepare_upper`] prepares the upper directory.
#[derive(Debug)]
pub struct ImageHandle {
    /// The name it was found by, if it was by a name.
    pub name: Option<String>,
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The digest of its config, by which Docker and Podman call it.
    pub id: Digest,
    /// How it is meant to be run.
    pub config: ImageConfig,
    /// The directories of its layers, topmost first. Read-only: other images share them.
    pub layers: Vec<PathBuf>,
    /// Overlayfs has to be mounted with `userxattr`, as marks are in `user.overlay.*`.
    pub userxattr: bool,
    _lock: Arc<Flock<File>>,
}

impl Store {
    /// Opens the store at a path, or else the one that `ORLOP_STORE` names, or else the usual one: `/var/lib/orlop` for
    /// root, `$XDG_DATA_HOME/orlop` for others. It is made if it is missing.
    ///
    /// # Errors
    ///
    /// It cannot be made or entered, or is of another version.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let path = path.map_or_else(usual_path, |path| Ok(path.into()))?;
        let (place, mark) = Place::open(&path)?;
        let owners = if nix::unistd::geteuid().is_root() { Owners::Keep } else { Owners::Caller };
        Ok(Self { place, mark, owners })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Whom files belong to that are made here.
    pub(crate) const fn owners(&self) -> Owners {
        self.owners
    }

    /// Keeps others from removing what is there.
    fn share(&self) -> Result<Arc<Flock<File>>> {
        self.place.lock("lock", FlockArg::LockShared).map(Arc::new)
    }
}

/// Where the store of this user is.
fn usual_path() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = set(ENV) {
        return Ok(path);
    }
    if nix::unistd::geteuid().is_root() {
        return Ok("/var/lib/orlop".into());
    }
    let data = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")));
    let home = || {
        Error::usage(
            "the store of images",
            "neither XDG_DATA_HOME nor HOME is set; --store names a directory",
        )
    };
    Ok(data.ok_or_else(home)?.join("orlop"))
}

/// A call on something of the store that failed.
fn failed(doing: String, answer: impl Into<Answer>) -> Error {
    let Answer(call, errno) = answer.into();
    Error::Kernel { doing, call, errno, hint: "" }
}

#[cfg(test)]
mod tests;
