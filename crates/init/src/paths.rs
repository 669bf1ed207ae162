//! Read-only and masked paths: parts of `/proc` and `/sys` that would tell or change too much.

use crate::devices::{self, NULL_DEVICE};
use crate::machine::Outcome;
use crate::report::Fault;
use crate::{Machine, mounts};
use core::ffi::CStr;
use orlop_program::{Slot, Str};
use orlop_sys::mount::Attributes;
use orlop_sys::{Fd, OwnedFd, Result, file, mount};

/// What is at a path, or nothing if there is nothing: kernels differ in what they show.
///
/// What lies in `/proc` is looked up from the procfs that was mounted there. Whoever has the root's directory too could
/// exchange `/proc` for another one just now, so that there would be nothing, and back again.
fn existing(machine: &Machine<'_>, path: &CStr, within: Slot) -> Result<Option<OwnedFd>> {
    let in_proc = path.to_bytes_with_nul().strip_prefix(b"/proc").filter(|_| within == Slot::PROC);
    let path = in_proc.and_then(|rest| CStr::from_bytes_with_nul(rest).ok()).unwrap_or(path);
    match file::open_path_in_root(machine.slot(within), path) {
        Ok(found) => Ok(Some(found)),
        Err(e) if e.is(libc::ENOENT) || e.is(libc::ENOTDIR) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Makes a path read-only by mounting it, read-only, onto itself.
pub fn read_only(machine: &Machine<'_>, path: &CStr, within: Slot) -> Outcome {
    let Some(found) = existing(machine, path, within)? else { return Ok(()) };
    let tree = mount::clone_tree(found.fd(), c"", true)?;
    let change = Attributes { set: libc::MOUNT_ATTR_RDONLY, ..Attributes::default() };
    mount::mount_setattr(tree.fd(), c"", true, &change)?;
    mount::move_mount(tree.fd(), found.fd()).map_err(Fault::from)
}

/// Hides a path.
pub fn mask(machine: &mut Machine<'_>, path: &CStr, within: Slot) -> Outcome {
    let Some(found) = existing(machine, path, within)? else { return Ok(()) };
    if file::fstat(found.fd())?.is(libc::S_IFDIR) {
        return mask_directory(machine, found.fd());
    }
    let null = file::open_path_in_root(machine.root(), c"/dev/null")?;
    let tree = mount::clone_tree(null.fd(), c"", false)?;
    // Checked on the very thing that gets mounted: the container may exchange the path, not the descriptor.
    devices::is_device(tree.fd(), libc::S_IFCHR, NULL_DEVICE)?;
    mount::move_mount(tree.fd(), found.fd()).map_err(Fault::from)
}

/// All masked directories share one empty read-only tmpfs: a superblock for each would be slow to make and to tear down.
fn mask_directory(machine: &mut Machine<'_>, target: Fd) -> Outcome {
    if let Some(empty) = &machine.empty_dir {
        let again = mount::clone_tree(empty.fd(), c"", false)?;
        return mount::move_mount(again.fd(), target).map_err(Fault::from);
    }
    let empty = empty_directory(None)?;
    mount::move_mount(empty.fd(), target)?;
    machine.empty_dir = Some(empty);
    Ok(())
}

/// Makes the empty directory that hides others, with a label.
pub fn label_masks(machine: &mut Machine<'_>, label: Str<'_>) -> Outcome {
    machine.empty_dir = Some(empty_directory(Some(label))?);
    Ok(())
}

fn empty_directory(label: Option<Str<'_>>) -> core::result::Result<OwnedFd, Fault> {
    let context = label.map(|label| (Str::of(c"context"), Some(label)));
    mounts::make(c"tmpfs", context.into_iter(), libc::MOUNT_ATTR_RDONLY)
}
