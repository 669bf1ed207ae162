//! Whose a cgroup is: a mark on its directory in version 2, as an extended attribute.
//!
//! A runtime saves where a container's cgroup will be before it makes it, so that nothing is lost if it is killed in between.
//! But then what lies at that place may as well be another container's, and that must not be killed in its stead. The mark
//! tells: it is set once the directory is found unused and before any process is in it, by one call that fails if there is one.

use std::ffi::CStr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use orlop_sys::{Fd, file};

use super::Cgroup;
use crate::dir::{Dir, call};
use crate::error::{Error, Result};
use crate::layout::{Layout, Place};
use crate::tree;

/// Nobody in a container can change this one: it takes `CAP_SYS_ADMIN` on the host.
const PROTECTED: &CStr = c"trusted.orlop";
/// For others than the host's root: whoever may write to the directory can change it. Linux 5.7.
const OPEN: &CStr = c"user.orlop";
/// More than any mark of ours is long: a moment and a path.
const LONGEST: usize = 8192;

/// Who is about to make a cgroup.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    /// What to mark it with: no two owners have the same.
    pub owner: &'a str,
    /// Whether the owner of another mark has no more use for the cgroup.
    pub is_over: &'a dyn Fn(&str) -> bool,
}

/// A mark that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Who has set it: [`Claim::owner`].
    pub owner: String,
    /// It is of the kind that processes of containers cannot change.
    pub protected: bool,
}

impl Cgroup {
    /// Marks it as its maker's.
    ///
    /// # Errors
    /// [`Error::Claimed`]: it is another's.
    pub fn claim(&self, claim: Claim<'_>) -> Result<()> {
        mark(&self.v2, claim)
    }

    /// Whose it is, if it was marked.
    ///
    /// # Errors
    /// [`Error::Call`]: the kernel would not say.
    pub fn owner(&self) -> Result<Option<Mark>> {
        read(&self.v2)
    }
}

/// All cgroups below the mount points of a layout that are marked, with their marks; in each hierarchy apart.
///
/// # Errors
/// When a directory cannot be read.
pub fn marked(layout: &Layout) -> Result<Vec<(Place, Mark)>> {
    let mut found = Vec::new();
    let mounts = layout.unified.iter().map(|unified| &unified.mount);
    for mount in mounts.chain(layout.v1.iter().map(|v1| &v1.mount)) {
        collect(&Dir::open(mount)?, &Place { mount: mount.clone(), inner: PathBuf::new() }, &mut found)?;
    }
    Ok(found)
}

/// The mark of the cgroup with this directory, if it has one.
///
/// # Errors
/// When it cannot be opened, or the kernel would not say.
pub fn mark_of(directory: &Path) -> Result<Option<Mark>> {
    read(&Dir::open(directory)?)
}

/// Those below a directory. What is below a marked one is its owner's.
fn collect(dir: &Dir, place: &Place, found: &mut Vec<(Place, Mark)>) -> Result<()> {
    for name in dir.children_if_there()? {
        let child = match dir.child(&name) {
            Err(e) if tree::is_gone(&e) || e.is_denial() => continue,
            child => child?,
        };
        let place = Place { mount: place.mount.clone(), inner: place.inner.join(&name) };
        match read(&child)? {
            Some(mark) => found.push((place, mark)),
            None => collect(&child, &place, found)?,
        }
    }
    Ok(())
}

/// Marks a directory. Where the kernel has no such marks for us, there is none.
pub(super) fn mark(dir: &Dir, claim: Claim<'_>) -> Result<()> {
    let fd = Fd::from(dir.as_fd());
    let owner = claim.owner.as_bytes();
    for name in [PROTECTED, OPEN] {
        match file::add_attribute(fd, name, owner).map_err(errno) {
            Ok(()) => return Ok(()),
            Err(e) if is_refusal(e) => {}
            Err(Errno::EEXIST) => {
                if let Some(mark) = read(dir)?
                    && mark.owner != claim.owner
                    && !(claim.is_over)(&mark.owner)
                {
                    return Err(Error::Claimed { path: dir.path().into(), owner: mark.owner });
                }
                return file::set_attribute(fd, name, owner).map_err(|e| failed(dir, "mark", errno(e)));
            }
            Err(e) => return Err(failed(dir, "mark", e)),
        }
    }
    Ok(())
}

/// The mark of a directory.
fn read(dir: &Dir) -> Result<Option<Mark>> {
    let mut buffer = [0; LONGEST];
    for (name, protected) in [(PROTECTED, true), (OPEN, false)] {
        match file::attribute(Fd::from(dir.as_fd()), name, &mut buffer).map_err(errno) {
            Ok(n) => {
                let owner = String::from_utf8_lossy(&buffer[..n]).into_owned();
                return Ok(Some(Mark { owner, protected }));
            }
            Err(e) if e == Errno::ENODATA || is_refusal(e) => {}
            // It was removed meanwhile.
            Err(Errno::ENODEV | Errno::ENOENT) => return Ok(None),
            Err(e) => return Err(failed(dir, "read the mark of", e)),
        }
    }
    Ok(None)
}

/// Whether we have no right to marks of a kind, or there are none.
fn is_refusal(e: Errno) -> bool {
    matches!(e, Errno::EPERM | Errno::EACCES | Errno::EOPNOTSUPP)
}

fn errno(e: orlop_sys::Error) -> Errno {
    Errno::from_raw(e.errno())
}

fn failed(dir: &Dir, what: &'static str, errno: Errno) -> Error {
    call(what, dir.path().into(), errno)
}
