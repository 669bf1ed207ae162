//! What the compiler must know of the machine: facts, gathered by the host side, never asked for here.

use orlop_cgroups::Layout;
use std::path::PathBuf;

/// The machine and the caller's place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The caller's effective user id.
    pub euid: u32,
    /// The caller's effective group id.
    pub egid: u32,
    /// The caller has `CAP_SYS_ADMIN` in the initial user namespace.
    pub privileged: bool,
    /// The caller's user namespace denies setgroups(2).
    pub setgroups_denied: bool,
    /// The number of the last capability that the kernel knows.
    pub last_cap: u32,
    /// The caller's capability bounding set, one bit for each.
    pub bounding: u64,
    /// SELinux is enabled.
    pub selinux: bool,
    /// AppArmor is enabled.
    pub apparmor: bool,
    /// Where a resctrl file system is mounted; asked only if the config has a use for it.
    pub resctrl: Option<PathBuf>,
    /// There is a `/proc/kcore`.
    pub kcore: bool,
    /// The kernel's version: major, minor.
    pub kernel: (u16, u16),
    /// Where the cgroup hierarchies are, and the caller's cgroup in them.
    pub cgroups: Layout,
}
