//! Users, groups, capabilities, and the prctl(2) settings that guard them.

use crate::raw::{Result, call};

/// Sets real, effective and saved user id ([setresuid(2)](https://man7.org/linux/man-pages/man2/setresuid.2.html)), of this thread.
pub fn setresuid(uid: u32) -> Result<()> {
    // SAFETY: numbers only; this thread's credentials.
    unsafe { call(libc::SYS_setresuid, [uid as usize; 3]) }.map(drop)
}

/// Sets real, effective and saved group id ([setresgid(2)](https://man7.org/linux/man-pages/man2/setresgid.2.html)), of this thread.
pub fn setresgid(gid: u32) -> Result<()> {
    // SAFETY: numbers only; this thread's credentials.
    unsafe { call(libc::SYS_setresgid, [gid as usize; 3]) }.map(drop)
}

/// Sets the supplementary groups ([setgroups(2)](https://man7.org/linux/man-pages/man2/setgroups.2.html)): group ids of four
/// bytes each, in the machine's byte order. `EPERM`: `/proc/self/setgroups` says `deny`.
pub fn setgroups(groups: &[u8]) -> Result<()> {
    // SAFETY: the groups are only read, for their number; the kernel takes them at any alignment.
    unsafe { call(libc::SYS_setgroups, [groups.len() / 4, groups.as_ptr() as usize]) }.map(drop)
}

/// The three capability sets of a process that capset(2) sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySets {
    /// What is in force.
    pub effective: u64,
    /// What may be brought into force.
    pub permitted: u64,
    /// What may pass an exec of a file that has file capabilities.
    pub inheritable: u64,
}

/// `_LINUX_CAPABILITY_VERSION_3`, and 0 for the calling thread.
const HEADER: [u32; 2] = [0x2008_0522, 0];

/// [capset(2)](https://man7.org/linux/man-pages/man2/capset.2.html). `EPERM`: a set asks for more than is permitted.
pub fn capset(sets: CapabilitySets) -> Result<()> {
    let low = |set: u64| set as u32;
    let high = |set: u64| (set >> 32) as u32;
    let data = [
        low(sets.effective),
        low(sets.permitted),
        low(sets.inheritable),
        high(sets.effective),
        high(sets.permitted),
        high(sets.inheritable),
    ];
    // SAFETY: header and data are laid out as version 3 has them, and only read.
    unsafe { call(libc::SYS_capset, [HEADER.as_ptr() as usize, data.as_ptr() as usize]) }.map(drop)
}

/// [capget(2)](https://man7.org/linux/man-pages/man2/capget.2.html) of this thread.
pub fn capget() -> Result<CapabilitySets> {
    let mut header = HEADER;
    let mut data = [0_u32; 6];
    // SAFETY: version 3 writes six 32-bit words, and may write the header's version.
    unsafe { call(libc::SYS_capget, [header.as_mut_ptr() as usize, data.as_mut_ptr() as usize]) }?;
    let set = |i: usize| u64::from(data[i]) | u64::from(data[i + 3]) << 32;
    Ok(CapabilitySets { effective: set(0), permitted: set(1), inheritable: set(2) })
}

/// [prctl(2)](https://man7.org/linux/man-pages/man2/prctl.2.html) with numbers only.
fn prctl(option: i32, args: [usize; 4]) -> Result<usize> {
    // SAFETY: only options whose arguments are numbers are called here.
    unsafe { call(libc::SYS_prctl, [option as usize, args[0], args[1], args[2], args[3]]) }
}

/// Whether the bounding set has a capability (`PR_CAPBSET_READ`). `EINVAL`: the kernel does not know it.
pub fn in_bounding_set(capability: u32) -> Result<bool> {
    prctl(libc::PR_CAPBSET_READ, [capability as usize, 0, 0, 0]).map(|v| v == 1)
}

/// Whether this thread has `CAP_SYSLOG` in the initial user namespace, and so is there itself: nobody in another one has rights over
/// it ([user_namespaces(7)](https://man7.org/linux/man-pages/man7/user_namespaces.7.html)).
///
/// [syslog(2)](https://man7.org/linux/man-pages/man2/syslog.2.html) takes console levels from 1 to 8, and refuses others only to who
/// may set one. `EPERM`, which all others get, proves nothing.
pub fn has_syslog_of_initial_user_namespace() -> bool {
    const SYSLOG_ACTION_CONSOLE_LEVEL: usize = 8;
    // SAFETY: numbers only.
    let answer = unsafe { call(libc::SYS_syslog, [SYSLOG_ACTION_CONSOLE_LEVEL, 0, 0]) };
    answer.is_err_and(|e| e.is(libc::EINVAL))
}

/// Takes a capability out of the bounding set, for good (`PR_CAPBSET_DROP`).
pub fn drop_from_bounding_set(capability: u32) -> Result<()> {
    prctl(libc::PR_CAPBSET_DROP, [capability as usize, 0, 0, 0]).map(drop)
}

/// Raises an ambient capability (`PR_CAP_AMBIENT_RAISE`, Linux 4.3). `EPERM`: not permitted or not inheritable.
pub fn raise_ambient(capability: u32) -> Result<()> {
    prctl(libc::PR_CAP_AMBIENT, [libc::PR_CAP_AMBIENT_RAISE as usize, capability as usize, 0, 0]).map(drop)
}

/// Keeps permitted capabilities when the user id stops being 0 (`PR_SET_KEEPCAPS`).
pub fn set_keep_capabilities(on: bool) -> Result<()> {
    prctl(libc::PR_SET_KEEPCAPS, [usize::from(on), 0, 0, 0]).map(drop)
}

/// Gains no privileges by exec from now on (`PR_SET_NO_NEW_PRIVS`).
pub fn set_no_new_privileges() -> Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, [1, 0, 0, 0]).map(drop)
}

/// Whether others with the same user id may look into this process (`PR_SET_DUMPABLE`).
pub fn set_dumpable(on: bool) -> Result<()> {
    prctl(libc::PR_SET_DUMPABLE, [usize::from(on), 0, 0, 0]).map(drop)
}

/// The signal this process gets when its parent dies (`PR_SET_PDEATHSIG`); 0 for none.
pub fn set_parent_death_signal(signal: i32) -> Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, [signal as usize, 0, 0, 0]).map(drop)
}

/// Orphaned descendants become this process's children (`PR_SET_CHILD_SUBREAPER`).
pub fn set_child_subreaper(on: bool) -> Result<()> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, [usize::from(on), 0, 0, 0]).map(drop)
}
