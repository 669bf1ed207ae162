//! Landlock: rights that a process takes away from itself and from all that it starts
//! ([landlock(7)](https://man7.org/linux/man-pages/man7/landlock.7.html), Linux 5.13).

use crate::raw::{Result, call};
use crate::{Fd, OwnedFd};

/// What a ruleset decides about: what is in none of these is allowed, what is in them only where a rule says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Handled {
    /// `LANDLOCK_ACCESS_FS_…`.
    pub files: u64,
    /// `LANDLOCK_ACCESS_NET_…`.
    pub network: u64,
    /// `LANDLOCK_SCOPE_…`: what never reaches anybody outside, without any rule.
    pub scoped: u64,
}

const CREATE_RULESET_VERSION: usize = 1;
const RULE_PATH_BENEATH: usize = 1;
const RULE_NET_PORT: usize = 2;

/// Which version of its interface the kernel has; 0 without Landlock, or if it is not enabled.
pub fn version() -> u32 {
    // SAFETY: without a ruleset's description nothing is made and nothing read.
    let version = unsafe { call(libc::SYS_landlock_create_ruleset, [0, 0, CREATE_RULESET_VERSION]) };
    version.map_or(0, |version| version as u32)
}

/// Makes a ruleset without rules ([landlock_create_ruleset(2)](https://man7.org/linux/man-pages/man2/landlock_create_ruleset.2.html)).
/// `E2BIG`, `EINVAL`: the kernel does not know some of it.
pub fn ruleset(handled: Handled) -> Result<OwnedFd> {
    let at = core::ptr::from_ref(&handled) as usize;
    // SAFETY: laid out as `struct landlock_ruleset_attr`, of which older kernels take a longer one if its end is zero; it is
    // only read.
    unsafe { call(libc::SYS_landlock_create_ruleset, [at, size_of::<Handled>(), 0]) }.map(OwnedFd::made)
}

/// Allows access to what lies at and below a path ([landlock_add_rule(2)](https://man7.org/linux/man-pages/man2/landlock_add_rule.2.html)).
/// `EINVAL`: rights of directories for what is none, or such that are not handled.
pub fn allow_beneath(ruleset: Fd, path: Fd, files: u64) -> Result<()> {
    // `struct landlock_path_beneath_attr` is packed: eight bytes, then four.
    let mut rule = [0; 12];
    rule[..8].copy_from_slice(&files.to_ne_bytes());
    rule[8..].copy_from_slice(&path.raw().to_ne_bytes());
    add(ruleset, RULE_PATH_BENEATH, rule.as_ptr() as usize)
}

/// Allows the use of a port.
pub fn allow_port(ruleset: Fd, port: u16, network: u64) -> Result<()> {
    let rule = [network, port.into()];
    add(ruleset, RULE_NET_PORT, rule.as_ptr() as usize)
}

fn add(ruleset: Fd, kind: usize, rule: usize) -> Result<()> {
    let args = [ruleset.raw() as usize, kind, rule, 0];
    // SAFETY: both callers pass a rule as its kind has it, which outlives the call and is only read.
    unsafe { call(libc::SYS_landlock_add_rule, args) }.map(drop)
}

/// Takes away from this thread, and from all that it starts, what the ruleset does not allow
/// ([landlock_restrict_self(2)](https://man7.org/linux/man-pages/man2/landlock_restrict_self.2.html)). `EPERM`: neither
/// `no_new_privs` nor `CAP_SYS_ADMIN`.
pub fn restrict(ruleset: Fd) -> Result<()> {
    // SAFETY: a number; nothing but what this thread may do changes.
    unsafe { call(libc::SYS_landlock_restrict_self, [ruleset.raw() as usize, 0]) }.map(drop)
}
