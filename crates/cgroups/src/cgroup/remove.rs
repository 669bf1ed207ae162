//! Removing a cgroup and all that the container made below it.

use std::ffi::OsStr;

use nix::errno::Errno;

use super::Cgroup;
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::layout::{Location, Place};
use crate::tree;

/// How often a subtree is cleared again when somebody made a directory in it meanwhile.
const ATTEMPTS: u32 = 5;

impl Cgroup {
    /// Removes the cgroup in all hierarchies, as [`Cgroup::remove_at`]. What somebody has removed already stays as it is: what
    /// has its name now is another's.
    ///
    /// # Errors
    /// As there.
    pub fn remove(&self) -> Result<()> {
        let v1 = self.location.v1.iter().map(|(_, place)| place).zip(self.v1.iter().map(|v1| &v1.dir));
        let ours = std::iter::once((&self.location.v2, &self.v2)).chain(v1);
        let ours = ours.filter(|(_, dir)| !dir.is_removed()).map(|(place, _)| place);
        let results = ours.map(remove).collect::<Vec<_>>();
        results.into_iter().collect()
    }

    /// Removes the directories of a location with everything below them, deepest first. What is gone already counts as
    /// removed, so it can be repeated after a crash at any point. Parents stay: others may be about to use them.
    ///
    /// # Errors
    /// [`Error::Busy`] where processes are left: kill them and wait first. Every hierarchy is tried, and the first error is
    /// returned.
    pub fn remove_at(location: &Location) -> Result<()> {
        let v1 = location.v1.iter().map(|(_, place)| place);
        let results = std::iter::once(&location.v2).chain(v1).map(remove).collect::<Vec<_>>();
        results.into_iter().collect()
    }

    /// Removes those directories of a location that are empty, and leaves the others, which somebody uses.
    ///
    /// # Errors
    /// As [`Cgroup::remove_at`], but for [`Error::Busy`].
    pub fn remove_unused(location: &Location) -> Result<()> {
        let v1 = location.v1.iter().map(|(_, place)| place);
        let results = std::iter::once(&location.v2).chain(v1).map(remove_unused).collect::<Vec<_>>();
        results.into_iter().collect()
    }
}

fn remove_unused(place: &Place) -> Result<()> {
    let Some((parent, name)) = parent(place)? else { return Ok(()) };
    match parent.remove_child(name) {
        Ok(()) | Err(Errno::EBUSY | Errno::ENOTEMPTY) => Ok(()),
        Err(errno) => Err(crate::dir::call("rmdir", place.path(), errno)),
    }
}

fn remove(place: &Place) -> Result<()> {
    parent(place)?.map_or(Ok(()), |(parent, name)| remove_child(&parent, name))
}

/// The directory that a place is in, if there is one, and its name there.
fn parent(place: &Place) -> Result<Option<(Dir, &OsStr)>> {
    let path = place.path();
    let (Some(parent), Some(name)) = (path.parent(), place.inner.file_name()) else {
        return Ok(None); // The root of a hierarchy is never ours.
    };
    match Dir::open(parent) {
        Ok(parent) => Ok(Some((parent, name))),
        Err(e) if tree::is_gone(&e) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Removes one child with everything below it.
pub(super) fn remove_child(parent: &Dir, name: &OsStr) -> Result<()> {
    let mut left = ATTEMPTS;
    loop {
        let errno = match parent.remove_child(name) {
            Ok(()) => return Ok(()),
            Err(errno) => errno,
        };
        let dir = match parent.child(name) {
            Ok(dir) => dir,
            Err(e) if tree::is_gone(&e) => return Ok(()),
            Err(e) => return Err(e),
        };
        let refused = tree::not_removed(&dir, errno);
        left -= 1;
        // Processes in the way will not go by themselves; a directory made meanwhile can be cleared again.
        if left == 0 || !matches!(errno, Errno::EBUSY | Errno::ENOTEMPTY) || has_processes(&refused) {
            return Err(refused);
        }
        match tree::clear(&dir) {
            Err(e) if has_processes(&e) => return Err(e),
            Err(e) if !matches!(e, Error::Busy { .. }) => return Err(e),
            _ => {}
        }
    }
}

fn has_processes(error: &Error) -> bool {
    matches!(error, Error::Busy { pids, .. } if !pids.is_empty())
}
