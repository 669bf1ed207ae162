//! Facts about the host that the compiler asks for, gathered once for each command.

use std::path::Path;

use nix::unistd::{getegid, geteuid};
use orlop_cgroups::Layout;
use orlop_compile::{CgroupRights, Host};
use orlop_spec::Spec;
use orlop_sys::cred;

use crate::error::{Doing, Result};
use crate::store::in_user_namespace;

const CAP_SYS_ADMIN: u32 = 21;

/// Gathers what compiling this config needs to know. `rootless`: a lack of rights over cgroups is forgiven.
///
/// # Errors
///
/// [`Error::Kernel`](crate::Error::Kernel): a fact cannot be had.
pub(crate) fn gather(spec: &Spec, layout: &Layout, rootless: bool) -> Result<Host> {
    let in_user_namespace = in_user_namespace();
    let effective = cred::capget().doing(|| "read our own capabilities".to_owned())?.effective;
    let (bounding, last_cap) = bounding_set()?;
    let process = spec.process.as_ref();
    let asks = |label: fn(&orlop_spec::Process) -> &str| process.is_some_and(|p| !label(p).is_empty());
    let exists = |path: &str| Path::new(path).exists();
    Ok(Host {
        euid: geteuid().as_raw(),
        egid: getegid().as_raw(),
        privileged: !in_user_namespace && effective & (1 << CAP_SYS_ADMIN) != 0,
        cgroup_rights: if rootless { CgroupRights::Forgiven } else { CgroupRights::Full },
        setgroups_denied: in_user_namespace
            && std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|s| s.trim() == "deny"),
        last_cap,
        bounding,
        selinux: asks(|p| &p.selinux_label) && exists("/sys/fs/selinux/enforce"),
        apparmor: asks(|p| &p.apparmor_profile) && exists("/sys/kernel/security/apparmor"),
        kcore: exists("/proc/kcore"),
        kernel: kernel_version()?,
        cgroups: layout.clone(),
    })
}

/// The bounding set, and the number of the last capability that the kernel knows.
pub(crate) fn bounding_set() -> Result<(u64, u32)> {
    let mut set = 0;
    for capability in 0..64 {
        match cred::in_bounding_set(capability) {
            Ok(true) => set |= 1 << capability,
            Ok(false) => {}
            Err(e) if e.is(libc::EINVAL) => return Ok((set, capability - 1)),
            Err(e) => return Err(e).doing(|| "read the capability bounding set".to_owned()),
        }
    }
    Ok((set, 63))
}

fn kernel_version() -> Result<(u16, u16)> {
    let uname = nix::sys::utsname::uname().doing(|| "ask for the kernel's version".to_owned())?;
    let release = uname.release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    Ok((numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)))
}
