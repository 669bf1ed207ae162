//! One container's cgroup, and everything that is done to it.
//!
//! | file | what is in it |
//! |---|---|
//! | `cgroup/create.rs` | making the directories, enabling controllers, refusing a cgroup in use |
//! | `cgroup/below.rs` | cgroups that the container made below its own |
//! | `cgroup/adopt.rs` | taking over a cgroup that systemd has made, or the container has gone to |
//! | `cgroup/owner.rs` | whose it is: the mark on its directory |
//! | `cgroup/undo.rs` | taking a half-made cgroup back |
//! | `cgroup/write.rs` | writing settings |
//! | `cgroup/update.rs` | changing limits, and taking a failed change back |
//! | `cgroup/delegate.rs` | handing the cgroup to the container's user |
//! | `cgroup/events.rs` | waiting for `cgroup.events` |
//! | `cgroup/freeze.rs` | freezing with a deadline, thawing |
//! | `cgroup/watch.rs` | waiting for kills for want of memory |
//! | `cgroup/kill.rs` | killing all, waiting until it is empty |
//! | `cgroup/remove.rs` | removing it with all that the container made below it |

mod adopt;
mod below;
mod create;
mod delegate;
mod events;
mod freeze;
mod kill;
mod owner;
mod remove;
#[cfg(test)]
mod tests;
mod undo;
mod update;
mod watch;
mod write;

use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use nix::errno::Errno;

use crate::controller::{Controller, Controllers};
use crate::device::DeviceProgram;
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::layout::{Location, Place};
use crate::tree;

pub use below::Below;
pub use owner::{Claim, Mark, mark_of, marked};
pub use watch::{Occasion, Watch};

/// How long freezing may take, unless the caller says otherwise. Tasks in the kernel finish what they do first.
pub const FREEZE_DEADLINE: std::time::Duration = std::time::Duration::from_secs(10);

/// A container's cgroup, held open: one directory in the unified hierarchy, and one in each version 1 hierarchy.
#[derive(Debug)]
pub struct Cgroup {
    location: Location,
    v2: Dir,
    v1: Vec<V1>,
    created: Vec<PathBuf>,
    /// [`Cgroup::create`] made the directory in version 2, and not somebody else, whose device program it may have.
    is_new: bool,
}

/// The directory in one version 1 hierarchy.
#[derive(Debug)]
struct V1 {
    controllers: Controllers,
    dir: Dir,
}

impl Cgroup {
    /// Opens a cgroup that exists. Directories in version 1 that are gone are left out: nobody is in them.
    ///
    /// # Errors
    /// [`Error::Call`] with `ENOENT` where the one in version 2 is gone.
    pub fn open(location: &Location) -> Result<Self> {
        let v2 = Dir::open(&location.v2.path())?;
        Self::with_v1(location, v2)
    }

    /// With the version 1 directories of a location.
    fn with_v1(location: &Location, v2: Dir) -> Result<Self> {
        let mut found = Location { v2: location.v2.clone(), v1: Vec::with_capacity(location.v1.len()) };
        let mut v1 = Vec::with_capacity(location.v1.len());
        for (controllers, place) in &location.v1 {
            match Dir::open(&place.path()) {
                Ok(dir) => {
                    v1.push(V1 { controllers: *controllers, dir });
                    found.v1.push((*controllers, place.clone()));
                }
                Err(e) if tree::is_gone(&e) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(Self { location: found, v2, v1, created: Vec::new(), is_new: false })
    }

    /// Where it is: what a runtime stores to open it again.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The directory in the unified hierarchy, for `CLONE_INTO_CGROUP` (clone(2)): a process that is born in its
    /// cgroup never migrates, and migration is what is slow.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.v2.as_fd()
    }

    /// The directories that [`Cgroup::create`] made, parents before children, in all hierarchies.
    pub fn created(&self) -> &[PathBuf] {
        &self.created
    }

    /// Moves a process into the version 1 hierarchies. There is no way to be born there; on a host with version 2 only, this
    /// does nothing.
    ///
    /// The first of these writes waits until no CPU is in the middle of a fork or an exit (for a grace period of RCU); the
    /// others, right behind it, find that state still in force and take a hundredth of the time.
    ///
    /// # Errors
    /// [`Error::Write`] of a `cgroup.procs`; `ESRCH`: the process is gone.
    pub fn attach_v1(&self, pid: i32) -> Result<()> {
        self.v1.iter().try_for_each(|v1| v1.attach(pid))
    }

    /// Moves a process here, in all hierarchies: for one that was not born here.
    ///
    /// # Errors
    /// [`Error::Write`] of a `cgroup.procs`; `ESRCH`: the process is gone.
    pub fn attach(&self, pid: i32) -> Result<()> {
        attach(&self.v2, pid)?;
        self.attach_v1(pid)
    }

    /// The directory in the unified hierarchy.
    pub(crate) fn v2_dir(&self) -> &Dir {
        &self.v2
    }

    /// The directories in version 1 hierarchies, once for each controller.
    pub(crate) fn v1_dirs(&self) -> impl Iterator<Item = (Controller, &Dir)> {
        self.v1.iter().flat_map(|v1| v1.controllers.iter().map(|controller| (controller, &v1.dir)))
    }

    /// Puts `program` in the place of the device program that is attached.
    ///
    /// # Errors
    /// [`Error::Device`], with the verifier's log.
    pub fn set_devices(&self, program: &DeviceProgram) -> Result<()> {
        program.replace(&self.v2)
    }

    /// All processes in a directory of any hierarchy and below it; none where there is no such directory.
    ///
    /// # Errors
    /// When a `cgroup.procs` cannot be read.
    pub fn procs_at(place: &Place) -> Result<Vec<i32>> {
        match Dir::open(&place.path()) {
            Err(e) if tree::is_gone(&e) => Ok(Vec::new()),
            dir => procs(&dir?),
        }
    }

    /// All processes in the cgroup and below it, in ascending order, as our pid namespace numbers them.
    ///
    /// # Errors
    /// When a `cgroup.procs` cannot be read.
    pub fn procs(&self) -> Result<Vec<i32>> {
        procs(&self.v2)
    }
}

impl V1 {
    fn attach(&self, pid: i32) -> Result<()> {
        attach(&self.dir, pid)
    }
}

fn attach(dir: &Dir, pid: i32) -> Result<()> {
    let value = pid.to_string();
    dir.write("cgroup.procs", &value).map_err(|errno| {
        let hint = match errno {
            Errno::ENOSPC => "cpuset.cpus and cpuset.mems must not be empty",
            _ => "",
        };
        Error::Write { path: dir.join("cgroup.procs"), value, errno, origin: String::new(), hint }
    })
}

/// All processes in a directory and below it.
fn procs(dir: &Dir) -> Result<Vec<i32>> {
    let mut pids = Vec::new();
    tree::visit(dir, |dir| {
        pids.append(&mut dir.procs()?);
        Ok(())
    })?;
    pids.sort_unstable();
    pids.dedup();
    Ok(pids)
}
