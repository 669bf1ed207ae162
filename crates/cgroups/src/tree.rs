//! Walking a subtree of cgroups with a constant number of file descriptors, whatever its depth.
//!
//! A container that may write to its cgroup can nest directories as deep as `cgroup.max.depth` lets it. So neither the
//! stack nor the descriptor table may grow with the depth, and no path may reach `PATH_MAX`: the walk goes down by
//! name and up by `..`, which is sound because cgroups cannot be moved to another parent.

use std::ffi::{OsStr, OsString};

use nix::errno::Errno;

use crate::dir::{Dir, call};
use crate::error::{Error, Result};

/// Calls `enter` for `root` and every directory below it, parents first.
pub(crate) fn visit(root: &Dir, mut enter: impl FnMut(&Dir) -> Result<()>) -> Result<()> {
    enter(root)?;
    let mut here = root.try_clone()?;
    let mut pending = vec![here.children()?];
    while let Some(names) = pending.last_mut() {
        let Some(name) = names.pop() else {
            pending.pop();
            if !pending.is_empty() {
                here = here.child(OsStr::new(".."))?;
            }
            continue;
        };
        match here.child(&name) {
            Ok(child) => {
                enter(&child)?;
                pending.push(child.children_if_there()?);
                here = child;
            }
            Err(e) if is_gone(&e) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Removes every directory below `root`, deepest first, and leaves `root` itself.
///
/// A directory with processes in it ends the walk with [`Error::Busy`].
pub(crate) fn clear(root: &Dir) -> Result<()> {
    let mut here = root.try_clone()?;
    let mut inside: Vec<OsString> = Vec::new();
    loop {
        if let Some(name) = first_stubborn_child(&here)? {
            // It has children of its own, or processes: the next round tells which.
            match here.child(&name) {
                Ok(child) => here = child,
                Err(e) if is_gone(&e) => continue,
                Err(e) => return Err(e),
            }
            inside.push(name);
        } else {
            let Some(name) = inside.pop() else { return Ok(()) };
            let parent = here.child(OsStr::new(".."))?;
            if let Err(errno) = parent.remove_child(&name) {
                return Err(not_removed(&here, errno));
            }
            here = parent;
        }
    }
}

/// The error of an rmdir(2) on `dir`: who is in the way, where somebody is.
pub(crate) fn not_removed(dir: &Dir, errno: Errno) -> Error {
    if errno != Errno::EBUSY {
        return call("rmdir", dir.path().into(), errno);
    }
    Error::Busy { path: dir.path().into(), pids: dir.procs().unwrap_or_default() }
}

/// Removes all children that can be removed at once; the first one that cannot, if any.
fn first_stubborn_child(dir: &Dir) -> Result<Option<OsString>> {
    let mut stubborn = None;
    for name in dir.children_if_there()? {
        match dir.remove_child(&name) {
            Ok(()) => {}
            Err(Errno::EBUSY | Errno::ENOTEMPTY) => stubborn = stubborn.or(Some(name)),
            Err(errno) => return Err(call("rmdir", dir.join(name), errno)),
        }
    }
    Ok(stubborn)
}

/// Whether an error says that the object has been removed meanwhile.
pub(crate) fn is_gone(error: &Error) -> bool {
    matches!(error.errno(), Some(Errno::ENOENT | Errno::ENODEV))
}
