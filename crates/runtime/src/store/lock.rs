//! Locks on a state directory: flock(2) with a limit, so that a command that was stopped in the middle stops no other.

use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat};
use nix::sys::stat::{Mode, fstat};

use super::{DIRECTORY, StateDir};
use crate::error::{Doing, Error, Result};

/// How long another command may take for what it does in the state directory.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long another one may take to remove a state directory: some files.
const REMOVAL: Duration = Duration::from_secs(2);
/// Whoever changes a container's limits holds a lock on this file. It is not that of the directory: whoever removes the
/// container does not wait for them.
const CHANGES: &str = ".changes.lock";

/// Nobody else holds the lock while this lives.
#[derive(Debug)]
pub struct StateLock(#[expect(dead_code, reason = "dropping it unlocks")] Flock<OwnedFd>);

impl StateDir {
    /// Waits until nobody else holds the lock of the directory, and holds it
    /// ([flock(2)](https://man7.org/linux/man-pages/man2/flock.2.html)): for steps that two commands must not take at once. A
    /// process that dies lets go.
    ///
    /// # Errors
    ///
    /// [`Error::NotExist`]: the container was deleted meanwhile. [`Error::Kernel`] with `ETIMEDOUT`: somebody holds it for long.
    pub fn lock(&self) -> Result<StateLock> {
        self.locked(self.open_own()?, PATIENCE)?.ok_or_else(|| self.too_long())
    }

    /// The same for changes of a container that exists, which do not keep it from being removed.
    ///
    /// # Errors
    ///
    /// As [`StateDir::lock`].
    pub fn lock_for_changes(&self) -> Result<StateLock> {
        let file = match self.open(CHANGES, OFlag::O_RDWR | OFlag::O_CREAT) {
            Err(e) if e.errno() == Some(libc::ENOENT) => return Err(self.not_exist()),
            opened => opened?,
        };
        self.locked(file.into(), PATIENCE)?.ok_or_else(|| self.too_long())
    }

    /// The lock of the directory for whoever removes it. Another one that does not get on with that is not waited for long,
    /// nor to the end: then there is no lock.
    pub(super) fn lock_for_removal(&self) -> Result<Option<StateLock>> {
        self.locked(self.open_own()?, REMOVAL)
    }

    fn open_own(&self) -> Result<OwnedFd> {
        match openat(&self.fd, ".", DIRECTORY, Mode::empty()) {
            Ok(own) => Ok(own),
            Err(Errno::ENOENT) => Err(self.not_exist()),
            Err(e) => Err(e).doing(|| format!("lock {}", self.path.display())),
        }
    }

    fn locked(&self, file: OwnedFd, limit: Duration) -> Result<Option<StateLock>> {
        let doing = || format!("lock {}", self.path.display());
        let lock = flock_within(file, limit).doing(doing)?;
        if self.is_removed()? { Err(self.not_exist()) } else { Ok(lock.map(StateLock)) }
    }

    /// Whether the directory is gone, and only we still hold it.
    pub(super) fn is_removed(&self) -> Result<bool> {
        Ok(fstat(&self.fd).doing(|| format!("look at {}", self.path.display()))?.st_nlink == 0)
    }

    fn too_long(&self) -> Error {
        let what =
            format!("lock {}, where another command has been at work for {PATIENCE:?}", self.path.display());
        let late: Result<()> = Err(Errno::ETIMEDOUT).doing(|| what);
        let hint = "it may be stopped or traced; `fuser` shows who has that directory open";
        late.err().map_or_else(|| self.not_exist(), |e| e.with_hint(hint))
    }
}

/// The lock, or `None` if it was not to be had in time.
fn flock_within(file: OwnedFd, limit: Duration) -> nix::Result<Option<Flock<OwnedFd>>> {
    let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => return Ok(Some(lock)),
        Err((file, Errno::EWOULDBLOCK)) => file,
        Err((_, e)) => return Err(e),
    };
    // flock(2) knows no limit. The thread that is late lets go of the lock at once.
    let (tell, told) = mpsc::channel();
    std::thread::Builder::new()
        .spawn(move || tell.send(Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, e)| e)))
        .map_err(|_| Errno::EAGAIN)?;
    told.recv_timeout(limit).ok().transpose()
}
