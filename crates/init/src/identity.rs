//! Who the container's process is, and what it may do.

use crate::Machine;
use crate::machine::Outcome;
use crate::report::Fault;
use core::ffi::CStr;
use orlop_sys::cred::{self, CapabilitySets};
use orlop_sys::{Error, file, process};

/// Joins a session keyring of the container's own.
pub fn session_keyring() -> Outcome {
    match process::join_session_keyring() {
        // No keys in this kernel, or none for us (a seccomp filter of whoever runs us): then there is nothing to leak.
        Err(e) if e.is(libc::ENOSYS) || e.is(libc::EPERM) => Ok(()),
        done => Ok(done?),
    }
}

/// Takes every capability but these out of the bounding set. The kernel says where its list ends.
pub fn bounding_set(keep: u64) -> Outcome {
    for capability in 0..64 {
        if keep & (1 << capability) != 0 {
            continue;
        }
        match cred::drop_from_bounding_set(capability) {
            Err(e) if e.is(libc::EINVAL) => break,
            done => done?,
        }
    }
    Ok(())
}

/// Leaves every supplementary group. A user namespace that denies setgroups(2) says EPERM to its root, too: whoever joined
/// it with the right to leave groups has done so before.
pub fn drop_groups() -> Outcome {
    match cred::setgroups(&[]) {
        Err(e) if !e.is(libc::EPERM) => Err(e.into()),
        _ => Ok(()),
    }
}

/// Becomes the user. Permitted capabilities survive until [`capabilities`] says which ones stay.
pub fn become_user(uid: u32, gid: u32, groups: Option<&[u8]>, umask: u32) -> Outcome {
    cred::set_keep_capabilities(true)?;
    // Groups first: without being root they could not be set any more.
    if let Some(groups) = groups {
        cred::setgroups(groups)?;
    }
    cred::setresgid(gid)?;
    cred::setresuid(uid)?;
    file::umask(umask);
    Ok(())
}

/// Sets the capability sets. Ambient ones last: they must be permitted and inheritable by then.
pub fn capabilities(sets: CapabilitySets, ambient: u64) -> Outcome {
    cred::set_keep_capabilities(false)?;
    cred::capset(sets)?;
    (0..64).filter(|c| ambient & (1 << c) != 0).try_for_each(cred::raise_ambient).map_err(Fault::from)
}

/// Changes to the working directory. One that is not inside the root (a leaked descriptor's, CVE-2024-21626) is refused.
/// Denied entry is no failure before the last attempt; after one that succeeded, the next only check.
pub fn working_directory(machine: &mut Machine<'_>, path: &CStr, last: bool) -> Outcome {
    if !machine.in_cwd {
        match file::chdir(path) {
            Err(e) if e.is(libc::EACCES) && !last => return Ok(()),
            done => done?,
        }
        machine.in_cwd = true;
    }
    if file::cwd_is_in_root()? { Ok(()) } else { Err(Error::of(libc::SYS_getcwd, libc::ENOENT).into()) }
}
