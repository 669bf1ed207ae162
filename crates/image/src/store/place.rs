//! Files of the store: each is there as a whole or not at all.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, open, openat, renameat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, syncfs, unlinkat};
use orlop_sys::Fd;
use serde::{Deserialize, Serialize};

use super::failed;
use crate::error::{Doing as _, Error, Result};
use crate::file;
use crate::unpack::OpaqueMark;

/// What this version writes.
const FORMAT: u32 = 1;
const DIRECTORIES: [&str; 6] = ["blobs", "layers", "images", "pins", "locks", "tmp"];
const DIRECTORY: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

#[derive(Serialize, Deserialize)]
struct Format {
    format: u32,
    /// `trusted` or `user`.
    opaque: String,
}

/// The directory of a store.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    dir: OwnedFd,
}

impl Place {
    /// Opens a store, which is made if it is missing; how opaque directories are marked in it.
    pub(super) fn open(path: &Path) -> Result<(Self, OpaqueMark)> {
        let doing = || format!("make the store {}", path.display());
        std::fs::DirBuilder::new().recursive(true).create(path).doing(doing)?;
        let path = path.canonicalize().doing(doing)?;
        let dir = open(&path, DIRECTORY, Mode::empty()).doing(doing)?;
        let place = Self { path, dir };
        match place.read("format")? {
            Some(bytes) => place.check_format(&bytes),
            None => place.begin(),
        }
        .map(|mark| (place, mark))
    }

    fn check_format(&self, bytes: &[u8]) -> Result<OpaqueMark> {
        let what = || self.path.join("format").display().to_string();
        let format: Format = serde_json::from_slice(bytes).map_err(|e| Error::document(what(), e))?;
        match (format.format, format.opaque.as_str()) {
            (FORMAT, "trusted") => Ok(OpaqueMark::Trusted),
            (FORMAT, "user") => Ok(OpaqueMark::User),
            (other, _) => Err(Error::document(
                what(),
                format!("the store is of format {other}, and this orlop knows {FORMAT}"),
            )),
        }
    }

    /// Makes the directories of a new store. Several may do so at once.
    fn begin(&self) -> Result<OpaqueMark> {
        let doing = || format!("make the store {}", self.path.display());
        // In a directory that holds something else already, nothing is begun, and nobody's mode changed.
        let there = file::names(&self.dir).doing(doing)?;
        let ours = |name: &Vec<u8>| DIRECTORIES.iter().any(|dir| dir.as_bytes() == name);
        if !there.iter().all(ours) {
            return Err(Error::usage(
                self.path.display().to_string(),
                "it is no store of images, and not empty",
            ));
        }
        // Images have set-user-id programs in them: nobody else gets at them by way of the store.
        nix::sys::stat::fchmod(&self.dir, Mode::S_IRWXU).doing(doing)?;
        for name in DIRECTORIES {
            match mkdirat(&self.dir, name, Mode::S_IRWXU) {
                Ok(()) | Err(Errno::EEXIST) => {}
                made => made.doing(doing)?,
            }
        }
        let tmp = self.directory("tmp")?;
        let trusted = orlop_sys::file::set_attribute(Fd::of(&tmp), c"trusted.overlay.probe", b"y").is_ok();
        let (mark, opaque) =
            if trusted { (OpaqueMark::Trusted, "trusted") } else { (OpaqueMark::User, "user") };
        let format = Format { format: FORMAT, opaque: opaque.into() };
        self.write("format", &serde_json::to_vec(&format).map_err(|e| Error::document("format", e))?)?;
        Ok(mark)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens one of its directories.
    pub(super) fn directory(&self, name: &str) -> Result<OwnedFd> {
        openat(&self.dir, name, DIRECTORY | OFlag::O_NOFOLLOW, Mode::empty())
            .doing(|| format!("open {}", self.path.join(name).display()))
    }

    /// Reads a file; `None` if there is none.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let doing = || format!("read {}", self.path.join(name).display());
        let file = match openat(&self.dir, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()) {
            Err(Errno::ENOENT) => return Ok(None),
            file => File::from(file.doing(doing)?),
        };
        let what = || self.path.join(name).display().to_string();
        let bytes = file::read_at_most(file, 64 << 20).doing(doing)?;
        bytes.ok_or_else(|| Error::document(what(), "it is longer than anything of the store")).map(Some)
    }

    /// Writes a file: on disk, and under its name only then.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let temporary = Self::temporary();
        let doing = || format!("write {}", self.path.join(name).display());
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let mut file = File::from(openat(&self.dir, &temporary[..], flags, mode).doing(doing)?);
        let written = file.write_all(bytes).and_then(|()| file.sync_all()).doing(doing);
        let named = written.and_then(|()| renameat(&self.dir, &temporary[..], &self.dir, name).doing(doing));
        if named.is_err() {
            // Nobody but us knows of it, and gc finds it otherwise.
            unlinkat(&self.dir, &temporary[..], UnlinkatFlags::NoRemoveDir).ok();
        }
        named
    }

    /// A name below `tmp` that nobody else has.
    pub(super) fn temporary() -> String {
        format!("tmp/{}", file::free_name())
    }

    /// Makes a directory below `tmp`; its name.
    pub(super) fn make_temporary(&self) -> Result<String> {
        let name = Self::temporary();
        mkdirat(&self.dir, &name[..], Mode::S_IRWXU)
            .doing(|| format!("make {}", self.path.join(&name).display()))?;
        Ok(name)
    }

    /// Renames a directory to a name that is free.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<()> {
        renameat(&self.dir, from, &self.dir, to).doing(|| {
            format!("rename {} to {}", self.path.join(from).display(), self.path.join(to).display())
        })
    }

    /// Removes a file or directory, with all that is in it. A directory loses its name first, so that nobody finds a part.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        let doing = || format!("remove {}", self.path.join(name).display());
        let mut doomed = name.to_owned();
        if !name.starts_with("tmp/") {
            doomed = Self::temporary();
            match renameat(&self.dir, name, &self.dir, &doomed[..]) {
                Err(Errno::ENOENT) => return Ok(()),
                renamed => renamed.doing(doing)?,
            }
        }
        let tmp = self.directory("tmp")?;
        file::remove_all(&tmp, &doomed.as_bytes()["tmp/".len()..]).doing(doing)
    }

    /// Whether there is something of this name.
    pub(super) fn has(&self, name: &str) -> Result<bool> {
        match nix::sys::stat::fstatat(&self.dir, name, nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(e) => Err(failed(format!("look at {}", self.path.join(name).display()), e)),
        }
    }

    /// The names in one of its directories.
    pub(super) fn names(&self, directory: &str) -> Result<Vec<String>> {
        let names = file::names(&self.directory(directory)?)
            .doing(|| format!("list {}", self.path.join(directory).display()))?;
        // What is not UTF-8 is nothing that we have made.
        Ok(names.into_iter().filter_map(|name| String::from_utf8(name).ok()).collect())
    }

    /// Takes a lock, and waits for it if need be.
    pub(super) fn lock(&self, name: &str, how: FlockArg) -> Result<Flock<File>> {
        let doing = || format!("lock {}", self.path.join(name).display());
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let file = openat(&self.dir, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).doing(doing)?;
        let mut file = File::from(file);
        loop {
            match Flock::lock(file, how) {
                Ok(lock) => return Ok(lock),
                Err((again, Errno::EINTR)) => file = again,
                Err((_, errno)) => return Err(failed(doing(), errno)),
            }
        }
    }

    /// Writes everything out that is in its file system's memory only.
    pub(super) fn sync(&self) -> Result<()> {
        syncfs(&self.dir).doing(|| format!("write the store {} out", self.path.display()))
    }
}
