//! Writes to the kernel's own files, through a procfs that is known to be one.
//!
//! The container's `/proc` may be anything by the time we write to it. The procfs in [`Slot::PROC`] is one by
//! construction: its descriptor came from fsmount(2), and look-ups in it do not cross into other mounts.

use crate::machine::Outcome;
use crate::report::Fault;
use crate::{Machine, mounts};
use core::ffi::CStr;
use orlop_program::{Slot, Str};
use orlop_sys::file::How;
use orlop_sys::name::Name;
use orlop_sys::{Error, Fd, OwnedFd, Result, file};

/// Makes a procfs that is mounted nowhere. A user namespace may not where parts of its `/proc` are masked: then it is that
/// one, which is verified, and parts of it that are mounted over are not looked into.
pub fn private(machine: &mut Machine<'_>) -> Outcome {
    if !machine.has(Slot::PROC) {
        let no_options = core::iter::empty::<(Str<'_>, Option<Str<'_>>)>();
        let proc = match mounts::make(c"proc", no_options, 0) {
            Err(fault) if fault.is(libc::EPERM) => verified(c"/proc")?,
            made => made?,
        };
        machine.keep(Slot::PROC, proc);
    }
    Ok(())
}

/// The root of a procfs, and not something else that lies there.
fn verified(path: &CStr) -> Result<OwnedFd> {
    const ROOT_INODE: u64 = 1;
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let found = file::openat(Fd::CWD, path, flags, 0)?;
    let is_proc = file::fstatfs_type(found.fd())? == libc::PROC_SUPER_MAGIC;
    if is_proc && file::fstat(found.fd())?.ino == ROOT_INODE {
        return Ok(found);
    }
    Err(Error::of(libc::SYS_openat, libc::ENOTTY))
}

/// Sets a kernel parameter of the container's namespaces.
pub fn sysctl(machine: &Machine<'_>, path: Str<'_>, value: Str<'_>) -> Outcome {
    let mut full = [0; 512];
    let too_long = Error::of(libc::SYS_openat2, libc::ENAMETOOLONG);
    let prefix = b"sys/";
    let end = prefix.len() + path.bytes().len();
    full.get_mut(..prefix.len()).ok_or(too_long)?.copy_from_slice(prefix);
    full.get_mut(prefix.len()..end).ok_or(too_long)?.copy_from_slice(path.bytes());
    write(machine, full.get(..end).ok_or(too_long)?, value.bytes())
}

/// Sets how willingly the kernel kills this process and its children.
pub fn oom_score_adj(machine: &Machine<'_>, value: i32) -> Outcome {
    let mut text = [0; 12];
    write(machine, b"self/oom_score_adj", decimal(value, &mut text))
}

/// Writes to a file of that procfs, in one piece.
pub(crate) fn write(machine: &Machine<'_>, path: &[u8], value: &[u8]) -> Outcome {
    let mut name = Name::new();
    let how = How {
        flags: libc::O_WRONLY,
        mode: 0,
        resolve: libc::RESOLVE_BENEATH | libc::RESOLVE_NO_XDEV | libc::RESOLVE_NO_MAGICLINKS,
    };
    let file = file::openat2(machine.slot(Slot::PROC), name.set(path)?, how)?;
    write_all(&file, value).map_err(Fault::from)
}

/// These files take a value in one piece or not at all.
pub(crate) fn write_all(file: &orlop_sys::OwnedFd, value: &[u8]) -> Result<()> {
    match file::write(file.fd(), value)? {
        n if n == value.len() => Ok(()),
        _ => Err(Error::of(libc::SYS_write, libc::EIO)),
    }
}

/// A number in decimal.
pub(crate) fn decimal(value: i32, out: &mut [u8; 12]) -> &[u8] {
    let mut rest = value.unsigned_abs();
    let mut at = out.len();
    loop {
        at -= 1;
        if let Some(digit) = out.get_mut(at) {
            *digit = b'0' + (rest % 10) as u8;
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        if let Some(sign) = out.get_mut(at) {
            *sign = b'-';
        }
    }
    out.get(at..).unwrap_or(&[])
}
