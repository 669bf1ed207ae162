//! Facts about the host that the compiler asks for, gathered once for each command.

use std::path::{Path, PathBuf};

use nix::unistd::{getegid, geteuid};
use orlop_cgroups::{Layout, MountLine, unescape};
use orlop_compile::{CgroupRights, Host, KNOWN_CAPABILITIES, capabilities_of_interest};
use orlop_spec::{Process, Spec};
use orlop_sys::{cred, landlock};

use crate::error::{Doing, Result};
use crate::runtime::Runtime;

const CAP_SYS_ADMIN: u32 = 21;

impl Runtime {
    /// Gathers what compiling a container with this config needs to know, or a process that is added to it.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`](crate::Error::Kernel): a fact cannot be had.
    pub(crate) fn facts(&self, spec: &Spec, process: Option<&Process>) -> Result<Host> {
        let in_user_namespace = self.in_user_namespace();
        let effective = cred::capget().doing(|| "read our own capabilities".to_owned())?.effective;
        let processes = || spec.process.iter().chain(process);
        let asks = |label: fn(&Process) -> &str| processes().any(|p| !label(p).is_empty());
        let labels_mounts = spec.linux.as_ref().is_some_and(|linux| !linux.mount_label.is_empty());
        let exists = |path: &str| Path::new(path).exists();
        Ok(Host {
            euid: geteuid().as_raw(),
            egid: getegid().as_raw(),
            privileged: !in_user_namespace && effective & (1 << CAP_SYS_ADMIN) != 0,
            cgroup_rights: if self.is_rootless() { CgroupRights::Forgiven } else { CgroupRights::Full },
            setgroups_denied: in_user_namespace
                && std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|s| s.trim() == "deny"),
            last_cap: last_capability()?,
            bounding: bounding_set(capabilities_of_interest(processes()))?,
            selinux: (labels_mounts || asks(|p| &p.selinux_label)) && has_selinux(),
            apparmor: asks(|p| &p.apparmor_profile) && has_apparmor(),
            landlock: if orlop_compile::asks_for_landlock(spec) { landlock::version() } else { 0 },
            resctrl: spec.linux.as_ref().and_then(|linux| linux.intel_rdt.as_ref()).and_then(|_| resctrl()),
            kernel_views: Vec::new(),
            // Only a new container gets a link to it.
            kcore: process.is_none() && exists("/proc/kcore"),
            kernel: kernel_version()?,
            // A process that is added goes where its container is.
            cgroups: if process.is_some() { Layout::default() } else { self.layout()?.clone() },
        })
    }
}

/// Whether version 1 has cgroup controllers on this host, beside version 2. It has not where that cannot be found out.
pub fn has_cgroups_of_version_1() -> bool {
    Layout::detect().is_ok_and(|layout| layout.has_v1_controllers())
}

/// Whether `SELinux` decides here: its files are mounted, and there is a policy (without one everything is `kernel`).
pub fn has_selinux() -> bool {
    let own = || std::fs::read("/proc/thread-self/attr/current").unwrap_or_default();
    Path::new("/sys/fs/selinux/enforce").exists() && !own().starts_with(b"kernel\0")
}

/// Whether `AppArmor` decides here: it says so itself, or its files are mounted. Podman unmounts these before it has a container
/// with a user namespace made; and what it says itself not everybody may read in a user namespace.
pub fn has_apparmor() -> bool {
    std::fs::read("/sys/module/apparmor/parameters/enabled")
        .map_or_else(|_| Path::new("/sys/kernel/security/apparmor").exists(), |said| said.starts_with(b"Y"))
}

/// Where the resctrl file system is mounted (proc_pid_mountinfo(5)).
pub(crate) fn resctrl() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().filter_map(MountLine::parse).find(|m| m.fstype == "resctrl").map(|m| unescape(m.point))
}

/// Where all of a procfs or sysfs is mounted (proc_pid_mountinfo(5)).
///
/// # Errors
///
/// [`Error::Kernel`](crate::Error::Kernel): there is no mount table to read.
pub(crate) fn kernel_views() -> Result<Vec<PathBuf>> {
    let table = "/proc/self/mountinfo";
    let mounts = std::fs::read_to_string(table).doing(|| format!("read {table}"))?;
    Ok(mounts.lines().filter_map(kernel_view).collect())
}

fn kernel_view(line: &str) -> Option<PathBuf> {
    let MountLine { root, point, fstype, .. } = MountLine::parse(line)?;
    (["proc", "sysfs"].contains(&fstype) && root == "/").then(|| unescape(point))
}

/// Those of these capabilities, one bit for each, that the bounding set has.
fn bounding_set(wanted: u64) -> Result<u64> {
    let mut set = 0;
    for capability in (0..u64::BITS).filter(|capability| wanted & 1 << capability != 0) {
        if has_capability(capability)? == Some(true) {
            set |= 1 << capability;
        }
    }
    Ok(set)
}

/// The number of the last capability that the kernel knows.
fn last_capability() -> Result<u32> {
    // Today's last one is a good guess.
    let mut last = KNOWN_CAPABILITIES.len() as u32 - 1;
    while has_capability(last)?.is_none() {
        last -= 1;
    }
    while has_capability(last + 1)?.is_some() {
        last += 1;
    }
    Ok(last)
}

/// Whether the bounding set has a capability; `None` if the kernel does not know it.
fn has_capability(number: u32) -> Result<Option<bool>> {
    match cred::in_bounding_set(number) {
        Ok(has) => Ok(Some(has)),
        Err(e) if e.is(libc::EINVAL) => Ok(None),
        Err(e) => Err(e).doing(|| "read the capability bounding set".to_owned()),
    }
}

fn kernel_version() -> Result<(u16, u16)> {
    let uname = nix::sys::utsname::uname().doing(|| "ask for the kernel's version".to_owned())?;
    let release = uname.release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    Ok((numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::kernel_view;
    use std::path::Path;

    #[test]
    fn views_are_whole_procfs_and_sysfs() {
        let view = kernel_view("25 30 0:22 / /chroot\\040a/proc rw,nosuid shared:13 - proc proc rw").unwrap();
        assert_eq!(view, Path::new("/chroot a/proc"));
        assert_eq!(kernel_view("26 30 0:23 / /sys rw - sysfs sysfs rw").unwrap(), Path::new("/sys"));
        assert_eq!(kernel_view("27 25 0:22 /sys /proc/sys ro - proc proc rw"), None);
        assert_eq!(kernel_view("28 30 0:24 / /proc-like rw - tmpfs proc rw"), None);
    }
}
