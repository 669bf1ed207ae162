//! What the compiler must know of the machine: facts, gathered by the host side, never asked for here.

use orlop_cgroups::Layout;
use std::path::PathBuf;

/// What is known of the caller's rights over cgroups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CgroupRights {
    /// It has them, and a lack is an error.
    #[default]
    Full,
    /// It may lack them (`--rootless`): a container that asks for no limits and no place does without a cgroup of its own.
    Forgiven,
    /// It was found to lack them, and that was forgiven, or it wants no cgroups.
    None,
}

/// The machine and the caller's place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The caller's effective user id.
    pub euid: u32,
    /// The caller's effective group id.
    pub egid: u32,
    /// The caller has `CAP_SYS_ADMIN` in the initial user namespace.
    pub privileged: bool,
    /// What the caller may do with cgroups.
    pub cgroup_rights: CgroupRights,
    /// The caller's user namespace denies setgroups(2).
    pub setgroups_denied: bool,
    /// The number of the last capability that the kernel knows.
    pub last_cap: u32,
    /// The caller's capability bounding set, one bit for each; asked only for the
    /// [capabilities of interest](crate::capabilities_of_interest).
    pub bounding: u64,
    /// SELinux is enabled.
    pub selinux: bool,
    /// AppArmor is enabled.
    pub apparmor: bool,
    /// The version of the kernel's Landlock, 0 without; asked only if the config has a use for it.
    pub landlock: u32,
    /// Where a resctrl file system is mounted; asked only if the config has a use for it.
    pub resctrl: Option<PathBuf>,
    /// Where all of a procfs or sysfs is mounted, in the order of mounting; asked only for `--no-pivot`.
    pub kernel_views: Vec<PathBuf>,
    /// There is a `/proc/kcore`.
    pub kcore: bool,
    /// The kernel's version: major, minor.
    pub kernel: (u16, u16),
    /// Where the cgroup hierarchies are, and the caller's cgroup in them.
    pub cgroups: Layout,
}
