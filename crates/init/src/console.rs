//! The terminal, and who owns standard input, output and error.

use crate::Machine;
use crate::devices::{self, NULL_DEVICE};
use crate::machine::{Outcome, wait_for_word};
use crate::report::{self, Fault};
use crate::target;
use orlop_program::Slot;
use orlop_program::message::Message;
use orlop_sys::file::{How, IN_ROOT};
use orlop_sys::{Error, Fd, OwnedFd, file, mount, terminal};

/// chown(2): leave the group as it is.
const KEEP: u32 = u32::MAX;
const DEVPTS_MAGIC: i64 = 0x1cd1;

/// Makes the container's terminal and hands its master to the host side.
pub fn make(machine: &mut Machine<'_>, size: Option<(u16, u16)>, mount_it: bool, uid: u32) -> Outcome {
    let how = How { flags: libc::O_RDWR | libc::O_NOCTTY, mode: 0, resolve: IN_ROOT };
    let master = file::openat2(machine.root(), c"/dev/pts/ptmx", how)?;
    // An image could have put anything there; only devpts makes terminals.
    if file::fstatfs_type(master.fd())? != DEVPTS_MAGIC {
        return Err(Error::of(libc::SYS_openat2, libc::ENOTTY).into());
    }
    terminal::unlock(master.fd())?;
    // By the master, not by the name `/dev/pts/N`, which could be exchanged.
    let ours = terminal::open_peer(master.fd())?;
    if let Some((rows, columns)) = size {
        terminal::set_size(ours.fd(), rows, columns)?;
    }
    if mount_it {
        let tree = mount::clone_tree(ours.fd(), c"", false)?;
        let place = target::file_or_new(machine.root(), b"/dev/console")?;
        mount::move_mount(tree.fd(), place.fd())?;
    }
    own(ours.fd(), uid)?;
    let host = machine.slot(Slot::HOST);
    report::send(host, &Message::Console, Some(master.fd()))?;
    // Whoever holds the master sets its size and mode before anything is written to it.
    wait_for_word(host)?;
    (0..3).try_for_each(|number| file::dup_to_standard(ours.fd(), number))?;
    terminal::make_controlling(Fd::STDIN).map_err(Fault::from)
}

/// Lets the container's user open its own standard input, output and error again (`/dev/stdout`).
///
/// The host's `/dev/null` is exchanged for the container's: who may change the mode or owner of what is behind its standard
/// output, as scripts of images do, would change it for the whole host.
pub fn own_stdio(root: Fd, uid: u32) -> Outcome {
    for number in 0..3 {
        let fd = Fd::from_raw(number);
        if devices::is_device(fd, libc::S_IFCHR, NULL_DEVICE).is_err() {
            own(fd, uid)?;
        } else if let Some(null) = own_null(root) {
            file::dup_to_standard(null.fd(), number)?;
        }
    }
    Ok(())
}

/// The container's `/dev/null`, if that is what it has there.
fn own_null(root: Fd) -> Option<OwnedFd> {
    let how = How { flags: libc::O_RDWR | libc::O_NOCTTY, mode: 0, resolve: IN_ROOT };
    // Looked at before it is opened: opening something else could have effects.
    let found = file::open_path_in_root(root, c"/dev/null").ok()?;
    devices::is_device(found.fd(), libc::S_IFCHR, NULL_DEVICE).ok()?;
    let null = file::openat2(root, c"/dev/null", how).ok()?;
    devices::is_device(null.fd(), libc::S_IFCHR, NULL_DEVICE).ok()?;
    Some(null)
}

/// Gives a descriptor's file to a user. Where that is not ours to do, or makes no sense, it stays as it is: the caller
/// chose what it handed us.
fn own(fd: Fd, uid: u32) -> Outcome {
    let Ok(status) = file::fstat(fd) else { return Ok(()) }; // closed by the caller
    if status.uid == uid {
        return Ok(());
    }
    match file::fchownat(fd, c"", uid, KEEP, libc::AT_EMPTY_PATH) {
        Err(e) if ![libc::EINVAL, libc::EPERM, libc::EROFS].contains(&e.errno()) => Err(e.into()),
        _ => Ok(()),
    }
}
