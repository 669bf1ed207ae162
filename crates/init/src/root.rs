//! The root file system: where it comes from, and how it becomes `/`.

use crate::Machine;
use crate::machine::Outcome;
use crate::mounts;
use crate::report::Fault;
use core::ffi::CStr;
use orlop_program::source::Source;
use orlop_program::{List, Slot, Str};
use orlop_sys::mount::Attributes;
use orlop_sys::name::Name;
use orlop_sys::{Error, Fd, OwnedFd, Result, file, mount, process};

/// linux/magic.h
const SYSFS_MAGIC: i64 = 0x6265_6572;
const DIRECTORY: i32 = libc::O_PATH | libc::O_DIRECTORY;

/// Sets the propagation of everything the mount namespace was made with.
pub fn host_propagation(machine: &mut Machine<'_>, propagation: u64, recursive: bool) -> Outcome {
    machine.host_is_shared = propagation == libc::MS_SHARED;
    // From here on directories and nodes are made, with just the modes asked for; the user's own mask comes with `Identity`.
    file::umask(0);
    set_propagation(Fd::CWD, c"/", propagation, recursive).map_err(Fault::from)
}

/// Binds the root file system's directory onto itself: pivot_root(2) wants a mount point.
pub fn bind(machine: &mut Machine<'_>, source: Source<'_>, at: &CStr) -> Outcome {
    let tree = mounts::source(machine, source, true)?;
    if machine.host_is_shared {
        // pivot_root(2) refuses to work on shared mounts; the root becomes what the config wants once it is switched.
        make_parent_private(at.to_bytes())?;
        set_propagation(tree.fd(), c"", libc::MS_PRIVATE, false)?;
    }
    let place = match file::openat(Fd::CWD, at, DIRECTORY, 0) {
        // In a user namespace we may be nobody to a directory above it. What lies on the root itself is in the way of no path.
        Err(e) if e.is(libc::EACCES) => file::openat(Fd::CWD, c"/", DIRECTORY, 0),
        opened => opened,
    }?;
    mount::move_mount(tree.fd(), place.fd())?;
    machine.keep(Slot::ROOT, tree);
    Ok(())
}

/// Takes a copy of the root file system that is attached nowhere. From here on directories and nodes are made in it, with just
/// the modes asked for.
pub fn detached(machine: &mut Machine<'_>, source: Source<'_>, propagation: u64) -> Outcome {
    file::umask(0);
    let tree = match mounts::source(machine, source, true) {
        // An unbindable mount. In a copy of the namespace it may be none any more.
        Err(fault) if fault.is(libc::EINVAL) => {
            copy_namespace(propagation)?;
            mounts::source(machine, source, true)?
        }
        taken => taken?,
    };
    set_propagation(tree.fd(), c"", propagation, true)?;
    machine.among_hosts = Some(propagation);
    machine.keep(Slot::ROOT, tree);
    Ok(())
}

/// Makes a mount namespace as clone3(2) would, and cuts it off from the host's.
fn copy_namespace(propagation: u64) -> Result<()> {
    process::unshare(libc::CLONE_NEWNS)?;
    set_propagation(Fd::CWD, c"/", propagation, true)
}

/// A detached copy of what is mounted at a path of the host, taken from a copy of its mount namespace that is made for that.
pub fn from_copy(path: &CStr, recursive: bool, propagation: u64) -> Result<OwnedFd> {
    let home = process::mount_namespace()?;
    let root = file::openat(Fd::CWD, c"/", DIRECTORY, 0)?;
    let tree = copy_namespace(propagation).and_then(|()| mount::clone_tree(Fd::CWD, path, recursive));
    // What is put together belongs to the namespace in which it was begun. The host's root need not be the caller's.
    process::setns(home.fd(), libc::CLONE_NEWNS)?;
    file::fchdir(root.fd())?;
    file::chroot(c".")?;
    tree
}

/// Makes the detached root a mount namespace, and enters it.
pub fn enter(machine: &mut Machine<'_>, proc: bool) -> Outcome {
    let namespace = mount::tree_namespace(machine.root())?;
    process::setns(namespace.fd(), libc::CLONE_NEWNS)?;
    machine.among_hosts = None;
    // The namespace has copies of the mounts that we have held so far.
    use_current(machine)?;
    if proc {
        let found = file::openat(machine.root(), c"proc", DIRECTORY | libc::O_NOFOLLOW, 0)?;
        let [kept, same] = [file::fstat(machine.slot(Slot::PROC))?, file::fstat(found.fd())?];
        if (kept.dev, kept.ino) != (same.dev, same.ino) {
            return Err(Error::of(libc::SYS_openat, libc::ENOTTY).into());
        }
        machine.keep(Slot::PROC, found);
    }
    Ok(())
}

/// The nearest mount above a path becomes private, so that what is mounted at the path stays here; pivot_root(2) refuses
/// shared ones.
fn make_parent_private(path: &[u8]) -> Outcome {
    let mut name = Name::new();
    let private = Attributes { propagation: libc::MS_PRIVATE, ..Attributes::default() };
    let mut path = path;
    loop {
        let candidate = if path.is_empty() { b"/" } else { path };
        match mount::mount_setattr(Fd::CWD, name.set(candidate)?, false, &private) {
            // Not a mount point.
            Err(e) if e.is(libc::EINVAL) && !path.is_empty() => {}
            done => return Ok(done?),
        }
        let parent = path.iter().rposition(|b| *b == b'/').unwrap_or(0);
        path = path.get(..parent).unwrap_or(b"");
    }
}

/// The root that we are in already.
pub fn use_current(machine: &mut Machine<'_>) -> Outcome {
    machine.keep(Slot::ROOT, file::openat(Fd::CWD, c"/", DIRECTORY, 0)?);
    Ok(())
}

/// Switches the root, and lets go of the host's tree.
pub fn pivot(machine: &Machine<'_>, detach: bool) -> Outcome {
    let old = file::openat(Fd::CWD, c"/", DIRECTORY, 0)?;
    file::fchdir(machine.root())?;
    // Onto itself: the old root then lies over the new one, and no directory is needed for it (pivot_root(2), NOTES).
    mount::pivot_root(c".", c".")?;
    file::fchdir(old.fd())?;
    if detach {
        // Else the unmounting below would be done on the host as well.
        set_propagation(old.fd(), c"", libc::MS_SLAVE, true)?;
    }
    if machine.host_is_covered {
        // A path is looked up to the topmost mount, which is not the old root but what lies over that.
        mount::umount2(c".", libc::MNT_DETACH)?;
    }
    mount::umount2(c".", libc::MNT_DETACH)?;
    file::chdir(c"/").map_err(Fault::from)
}

/// Another directory becomes the root, and the mounts stay as they are.
pub fn change(machine: &Machine<'_>) -> Outcome {
    file::fchdir(machine.root())?;
    file::chroot(c".")?;
    file::chdir(c"/").map_err(Fault::from)
}

/// Moves the root over the old one, where pivot_root(2) cannot: the old root stays below, out of reach of path look-ups.
pub fn move_over<'a>(machine: &Machine<'_>, views: List<'a, Str<'a>>) -> Outcome {
    for view in views.iter() {
        hide(machine, view)?;
    }
    let old = file::openat(Fd::CWD, c"/", DIRECTORY, 0)?;
    mount::move_mount(machine.root(), old.fd())?;
    change(machine)
}

/// Takes a procfs or sysfs out of the old root with everything that is mounted there, or lays an empty file system over it:
/// a user namespace may not unmount what it found.
fn hide(machine: &Machine<'_>, view: Str<'_>) -> Outcome {
    if machine.host_is_shared {
        // Else the unmounting would be done on the host as well.
        let parent = view.bytes().iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        make_parent_private(view.bytes().get(..parent).unwrap_or(b""))?;
    }
    loop {
        let found = match file::openat(Fd::CWD, view.c_str(), DIRECTORY | libc::O_NOFOLLOW, 0) {
            // It went with one above it, or another mount hides it.
            Err(e) if e.is(libc::ENOENT) || e.is(libc::ENOTDIR) || e.is(libc::ELOOP) => return Ok(()),
            found => found?,
        };
        match take_out(machine, found.fd()) {
            // No mount, or a locked one.
            Err(fault) if fault.is(libc::EINVAL) => {}
            // It may have been mounted more than once.
            taken_out => {
                taken_out?;
                continue;
            }
        }
        if [libc::PROC_SUPER_MAGIC, SYSFS_MAGIC].contains(&file::fstatfs_type(found.fd())?) {
            let empty = mounts::make(c"tmpfs", core::iter::empty(), libc::MOUNT_ATTR_RDONLY)?;
            mount::move_mount(empty.fd(), found.fd())?;
        }
        return Ok(());
    }
}

fn take_out(machine: &Machine<'_>, view: Fd) -> Outcome {
    if machine.host_is_shared {
        // Nor may the unmounting of what is below.
        set_propagation(view, c"", libc::MS_SLAVE, true)?;
    }
    file::fchdir(view)?;
    mount::umount2(c".", libc::MNT_DETACH).map_err(Fault::from)
}

/// Changes the new root's mount.
pub fn attributes(machine: &Machine<'_>, set: u64, propagation: u64) -> Outcome {
    let recursive = false;
    let change = Attributes { set, propagation, ..Attributes::default() };
    mount::mount_setattr(machine.root(), c"", recursive, &change).map_err(Fault::from)
}

/// Sets the propagation of a mount, or of a whole tree.
pub(crate) fn set_propagation(dir: Fd, path: &CStr, propagation: u64, recursive: bool) -> Result<()> {
    let change = Attributes { propagation, ..Attributes::default() };
    mount::mount_setattr(dir, path, recursive, &change)
}
