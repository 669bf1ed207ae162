//! Whose a cgroup is: a container's state says where its cgroup is before it is made, the mark on it says that it was made.
//!
//! | the mark on what lies there | the container is made | it is being made |
//! |---|---|---|
//! | its own | its own | its own |
//! | another's | another's | another's |
//! | none | its own: it could not be marked | another's, or made a moment ago and still empty |

use std::path::Path;

use orlop_cgroups::{Cgroup, Claim, Mark};

use crate::error::Result;
use crate::id::ContainerId;
use crate::runtime::Container;
use crate::state::StateFile;
use crate::store::{StateDir, Store};

/// The mark of a container: no other one has the same, not even one that has the same id later.
pub(crate) fn mark(state: &StateFile, dir: &StateDir) -> String {
    format!("{} {}", state.created, dir.path().display())
}

/// A claim to a cgroup, for the container with this mark.
pub(crate) const fn claim(mark: &str) -> Claim<'_> {
    Claim { owner: mark, is_over: &is_over }
}

/// Whether the container with this mark has ended or is gone.
fn is_over(mark: &str) -> bool {
    saved(mark).is_none_or(|state| state.process.is_some_and(|process| !process.is_alive().unwrap_or(true)))
}

/// Whether there is no state of the container with this mark any more.
pub(crate) fn is_gone(mark: &str) -> bool {
    saved(mark).is_none()
}

/// Where the state of the container with this mark is, or was.
pub(crate) fn state_directory(mark: &str) -> Option<&Path> {
    mark.split_once(' ').map(|(_, dir)| Path::new(dir))
}

/// The state of the container with this mark.
fn saved(mark: &str) -> Option<StateFile> {
    let (created, dir) = mark.split_once(' ')?;
    let dir = Path::new(dir);
    let id = ContainerId::new(dir.file_name()?.to_str()?).ok()?;
    let state = Store::open(dir.parent()).ok()?.find(&id).ok()?.read_state().ok()?;
    (state.created == created).then_some(state)
}

/// What lies where a container's cgroup is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its own.
    Own,
    /// Another's, or what was made for it a moment before its maker died: then it is empty.
    Unsure,
    /// Another's.
    Another,
}

impl Container {
    /// Whether a first process was recorded: before that its cgroup may not have been made.
    pub(crate) const fn is_made(&self) -> bool {
        self.saved.process.is_some()
    }

    /// Whose a cgroup is that lies where its own is to be.
    pub(crate) fn standing(&self, cgroup: &Cgroup) -> Result<Standing> {
        let unmarked = if self.is_made() { Standing::Own } else { Standing::Unsure };
        Ok(match cgroup.owner()? {
            Some(Mark { owner, .. }) if owner == mark(&self.saved, &self.dir) => Standing::Own,
            // A mark that processes in the cgroup could have changed does not save them.
            Some(Mark { protected: false, .. }) if self.is_made() => Standing::Own,
            Some(_) => Standing::Another,
            None => unmarked,
        })
    }
}
