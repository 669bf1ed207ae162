//! The state store: one directory per container, below a root that only its owner can enter.
//!
//! | file | what it is |
//! |---|---|
//! | `state.json` | a [`StateFile`](crate::StateFile) |
//! | `config.json` | the config that the container was made with, for later commands |
//! | `filter` | the filter of its system calls, as bytes ([`Filter`](orlop_compile::Filter)), for processes that are added |
//! | `start.sock` | where a created container waits for `start`; gone once it was started |
//! | `.changes.lock` | held by whoever changes the limits of the container |
//! | `criu.json` | which CRIU is saving the container, if one is |
//! | `notify/` | the container's `NOTIFY_SOCKET`, if its maker has one |
//! | `supervise.json`, `life.json`, `stop`, `ID-json.log…` | of a supervised container: see [`supervise`](crate::supervise) |
//!
//! Making the directory and the first file in it claims the id, and removing it, last, frees the id. Everything in it is reached by its
//! descriptor, so paths may be long and a directory that was replaced is noticed.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use orlop_sys::cred::has_syslog_of_initial_user_namespace;

use crate::error::{Doing, Error, Result};
use crate::id::ContainerId;

mod dir;
mod files;
mod lock;

pub(crate) use dir::NOTIFY;
pub use dir::{StateDir, Written};
pub use lock::StateLock;

const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// How often an id is claimed anew whose directory somebody removes at once.
const ATTEMPTS: u32 = 5;

/// Where the state directories of all containers are.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    origin: Origin,
}

/// Why the root is where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Given,
    Default,
    /// `$XDG_RUNTIME_DIR`, where what has no sticky bit may be cleaned up by age.
    User,
}

impl Store {
    /// The store at `root`, or at the default place: `/run/orlop`, or `$XDG_RUNTIME_DIR/orlop` for who is not the host's
    /// root. Nothing is made or opened yet.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`]: the root is `/`. [`Error::Kernel`]: no current directory to begin a relative path with.
    pub fn open(root: Option<&Path>) -> Result<Self> {
        if let Some(given) = root {
            let absolute =
                std::path::absolute(if given.as_os_str().is_empty() { Path::new("/") } else { given })
                    .doing(|| format!("find {}", given.display()))?;
            let root = without_dots(&absolute);
            if root == Path::new("/") {
                return Err(Error::usage("option --root should not be set to /"));
            }
            return Ok(Self { root, origin: Origin::Given });
        }
        if let Some(user) = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty() && is_a_user()) {
            return Ok(Self { root: Path::new(&user).join("orlop"), origin: Origin::User });
        }
        Ok(Self { root: "/run/orlop".into(), origin: Origin::Default })
    }

    /// The directory that holds the state directories.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Takes an id: makes its state directory, with a first file in it that `write` makes by [`StateDir::write_new`]. Nobody else
    /// can from then on. The directory alone is not enough: between the two calls that make and open it, somebody may remove it
    /// and another one make it anew.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`]: the id is taken. [`Error::Kernel`]: the directory or the file cannot be made.
    pub fn claim(&self, id: &ContainerId, write: impl Fn(&StateDir) -> Result<()>) -> Result<StateDir> {
        let mut left = ATTEMPTS;
        loop {
            let path = self.make(id)?;
            let claimed = self.find(id).and_then(|dir| write(&dir).map(|()| dir));
            left -= 1;
            match claimed {
                // Deleted since then, by whoever has found nothing in it.
                Err(Error::NotExist { .. }) if left > 0 => {}
                claimed => {
                    return claimed.inspect_err(|_| {
                        // If it is empty, it is nobody's.
                        unlinkat(AT_FDCWD, &path, UnlinkatFlags::RemoveDir).ok();
                    });
                }
            }
        }
    }

    /// Makes a state directory, which did not exist.
    fn make(&self, id: &ContainerId) -> Result<PathBuf> {
        let path = self.root.join(id.as_str());
        let make = || mkdirat(AT_FDCWD, &path, Mode::S_IRWXU);
        let made = match make() {
            Err(Errno::ENOENT) => {
                self.make_root()?;
                make()
            }
            other => other,
        };
        match made {
            Ok(()) => Ok(path),
            Err(Errno::EEXIST) => Err(Error::Exists { id: id.to_string() }),
            Err(e) => Err(self.hint(e, &path)),
        }
    }

    /// The state directory of a container.
    ///
    /// # Errors
    ///
    /// [`Error::NotExist`]: there is none. [`Error::Kernel`]: it cannot be opened.
    pub fn find(&self, id: &ContainerId) -> Result<StateDir> {
        let path = self.root.join(id.as_str());
        match openat(AT_FDCWD, &path, DIRECTORY, Mode::empty()) {
            Ok(fd) => Ok(StateDir { fd, path, id: id.to_string() }),
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => Err(Error::NotExist { id: id.to_string() }),
            Err(e) => Err(e).doing(|| format!("open {}", path.display())),
        }
    }

    /// The ids of all containers, sorted. A default root that does not exist holds none.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`]: the root cannot be read, or was given and does not exist.
    pub fn list(&self) -> Result<Vec<ContainerId>> {
        let doing = || format!("list {}", self.root.display());
        let mut dir = match Dir::open(
            &self.root,
            OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
            Mode::empty(),
        ) {
            Ok(dir) => dir,
            Err(Errno::ENOENT) if self.origin != Origin::Given => return Ok(Vec::new()),
            Err(e) => return Err(e).doing(doing),
        };
        let mut ids = Vec::new();
        for entry in dir.iter() {
            let entry = entry.doing(doing)?;
            let maybe_directory = matches!(entry.file_type(), Some(nix::dir::Type::Directory) | None);
            let name = entry.file_name().to_str().unwrap_or_default();
            if maybe_directory && let Ok(id) = ContainerId::new(name) {
                ids.push(id);
            }
        }
        ids.sort();
        Ok(ids)
    }

    fn make_root(&self) -> Result<()> {
        let doing = || format!("make the directory of all state, {}", self.root.display());
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(&self.root).doing(doing)?;
        if self.origin == Origin::User {
            let mode = Mode::S_IRWXU | Mode::S_ISVTX;
            fchmodat(AT_FDCWD, &self.root, mode, FchmodatFlags::FollowSymlink).doing(doing)?;
        }
        Ok(())
    }

    fn hint(&self, errno: Errno, path: &Path) -> Error {
        let error = Error::Kernel {
            doing: format!("make the state directory {}", path.display()),
            answer: errno.into(),
            pointer: None,
            hint: None,
        };
        match (errno, self.origin) {
            (Errno::EACCES | Errno::EPERM | Errno::EROFS, Origin::Default | Origin::User) => {
                error.with_hint("choose a directory of your own with --root, or set XDG_RUNTIME_DIR")
            }
            _ => error,
        }
    }
}

/// Resolves `.` and `..` by name alone, as runc does.
fn without_dots(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

/// Whether the caller is not the host's root: another user, or the root of a user namespace that is not called `root`
/// (as runc decides, for engines that run themselves in a user namespace).
fn is_a_user() -> bool {
    if !nix::unistd::geteuid().is_root() {
        return true;
    }
    in_user_namespace() && std::env::var_os("USER").is_none_or(|user| user != "root")
}

/// Whether this process is in a user namespace other than the initial one, whose number never changes
/// ([user_namespaces(7)](https://man7.org/linux/man-pages/man7/user_namespaces.7.html)).
pub fn in_user_namespace() -> bool {
    // USER_NS_INIT_INO of linux/nsfs.h. A kernel without user namespaces has no such file.
    const INITIAL: u64 = 0xEFFF_FFFD;
    // Root of the host usually can prove it. The kernel would have to make this process's directory in /proc, and unmake it.
    if has_syslog_of_initial_user_namespace() {
        return false;
    }
    std::fs::metadata("/proc/self/ns/user").is_ok_and(|namespace| namespace.ino() != INITIAL)
}

#[cfg(test)]
mod tests;
