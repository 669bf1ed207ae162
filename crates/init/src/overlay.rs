//! The root as an overlay: directories that stay as they are, and one that takes all changes
//! ([overlayfs](https://docs.kernel.org/filesystems/overlayfs.html)).
//!
//! The overlay file system takes paths of its directories. What has none here, as the host side opened it, gets one: it is
//! attached in a tmpfs of ours, and nothing of the container runs yet that could change anything there.

use crate::Machine;
use crate::machine::Outcome;
use crate::mounts;
use crate::procfs::decimal;
use crate::report::Fault;
use core::ffi::CStr;
use orlop_program::source::Source;
use orlop_program::{List, Slot, Str};
use orlop_sys::name::Name;
use orlop_sys::{Error, Fd, OwnedFd, Result, file, mount};

const DIRECTORY: i32 = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
/// A value in fsconfig(2) is shorter than this.
const VALUE: usize = 256;

type Options<'a> = List<'a, (Str<'a>, Option<Str<'a>>)>;

/// Makes the overlay, attached below `at`, and keeps it as the root. `options` are the tmpfs's.
pub fn root<'a>(
    machine: &mut Machine<'_>,
    lowers: List<'a, Source<'a>>,
    upper: Option<Source<'a>>,
    at: &CStr,
    (options, user_attributes): (Options<'a>, bool),
) -> Outcome {
    let tmpfs = mounts::make(c"tmpfs", options.iter(), 0)?;
    let place = file::openat(Fd::CWD, at, libc::O_PATH | libc::O_DIRECTORY, 0)?;
    mount::move_mount(tmpfs.fd(), place.fd())?;
    machine.host_is_covered = at.to_bytes() == b"/";
    file::fchdir(tmpfs.fd())?;
    let overlay = mount::fsopen(c"overlay")?;
    match layers(machine, tmpfs.fd(), overlay.fd(), lowers)
        .and_then(|top| changes(machine, tmpfs.fd(), overlay.fd(), upper, &top))
        .and_then(|()| make(overlay.fd(), user_attributes))
    {
        Err(fault) => Err(fault.in_context(overlay)),
        Ok(root) => {
            mount::move_mount(root.fd(), tmpfs.fd())?;
            machine.keep(Slot::ROOT, root);
            Ok(())
        }
    }
}

fn make(overlay: Fd, user_attributes: bool) -> core::result::Result<OwnedFd, Fault> {
    if user_attributes {
        mount::fsconfig(overlay, c"userxattr", None)?;
    }
    mount::fsconfig_create(overlay)?;
    mount::fsmount(overlay, 0).map_err(Fault::from)
}

/// Names the directories below; the topmost of them.
fn layers<'a>(
    machine: &mut Machine<'_>,
    tmpfs: Fd,
    overlay: Fd,
    lowers: List<'a, Source<'a>>,
) -> core::result::Result<OwnedFd, Fault> {
    let (mut top, mut name) = (None, Name::new());
    let (mut joined, mut length) = ([0; VALUE], 0);
    // One option for each, of any length: Linux 6.5.
    let mut one_by_one = true;
    for (number, lower) in (0..).zip(lowers.iter()) {
        if let (Source::Path(path), true) = (lower, one_by_one) {
            if top.is_none() {
                top = Some(file::openat(Fd::CWD, path.c_str(), libc::O_PATH | libc::O_DIRECTORY, 0)?);
            }
            one_by_one = add(overlay, path.c_str(), number)?;
            if one_by_one {
                continue;
            }
        }
        let tree = mounts::source(machine, lower, false)?;
        let mut digits = [0; 12];
        let digits = decimal(number, &mut digits);
        let short = name.set(digits)?;
        attach(tmpfs, short, &tree)?;
        if top.is_none() {
            top = Some(tree);
        }
        one_by_one = one_by_one && add(overlay, short, number)?;
        if !one_by_one {
            length = append(&mut joined, length, digits)?;
        }
    }
    if !one_by_one {
        let names = joined.get(..length).unwrap_or_default();
        mount::fsconfig(overlay, c"lowerdir", Some(name.set(names)?))?;
    }
    top.ok_or_else(|| Error::of(libc::SYS_fsconfig, libc::EINVAL).into())
}

/// Adds a directory below those that were added; false where the kernel takes them only all at once.
fn add(overlay: Fd, path: &CStr, number: i32) -> Result<bool> {
    match mount::fsconfig(overlay, c"lowerdir+", Some(path)) {
        Err(e) if number == 0 && e.is(libc::EINVAL) => Ok(false),
        done => done.map(|()| true),
    }
}

/// Adds a name to a list with colons between them; its length then.
fn append(list: &mut [u8; VALUE], mut length: usize, name: &[u8]) -> Result<usize> {
    let too_long = Error::of(libc::SYS_fsconfig, libc::E2BIG);
    let colon: &[u8] = if length == 0 { b"" } else { b":" };
    for part in [colon, name] {
        // The last byte is for the end of the string.
        let room = list.get_mut(length..VALUE - 1).and_then(|room| room.get_mut(..part.len()));
        room.ok_or(too_long)?.copy_from_slice(part);
        length += part.len();
    }
    Ok(length)
}

/// Gives a mount a path.
fn attach(tmpfs: Fd, name: &CStr, tree: &OwnedFd) -> Result<()> {
    file::mkdirat(tmpfs, name, 0o700)?;
    mount::move_mount(tree.fd(), file::openat(tmpfs, name, DIRECTORY, 0)?.fd())
}

/// Names where changes go. What is made for it looks like the directory that it lies over, `top`.
fn changes(
    machine: &mut Machine<'_>,
    tmpfs: Fd,
    overlay: Fd,
    upper: Option<Source<'_>>,
    top: &OwnedFd,
) -> Outcome {
    let kept = match upper {
        None => None,
        Some(source) => {
            let tree = mounts::source(machine, source, false)?;
            attach(tmpfs, c"changes", &tree)?;
            Some(tree)
        }
    };
    let within = kept.as_ref().map_or(tmpfs, OwnedFd::fd);
    let like = file::fstat(top.fd())?;
    if directory(within, c"upper", like.mode & 0o7777)? {
        match file::fchownat(within, c"upper", like.uid, like.gid, libc::AT_SYMLINK_NOFOLLOW) {
            // Its owner is nobody here, or a file system of ours may not have such: it stays whose it is.
            Err(e) if e.is(libc::EPERM) || e.is(libc::EINVAL) => {}
            done => done?,
        }
    }
    directory(within, c"work", 0o700)?;
    let (upper, work) =
        if kept.is_some() { (c"changes/upper", c"changes/work") } else { (c"upper", c"work") };
    mount::fsconfig(overlay, c"upperdir", Some(upper))?;
    mount::fsconfig(overlay, c"workdir", Some(work)).map_err(Fault::from)
}

/// Makes a directory that may be there already, and is no symbolic link; whether it was made.
fn directory(dir: Fd, name: &CStr, mode: u32) -> Result<bool> {
    match file::mkdirat(dir, name, mode) {
        Err(e) if e.is(libc::EEXIST) => file::openat(dir, name, DIRECTORY, 0).map(|_| false),
        done => done.map(|()| true),
    }
}
