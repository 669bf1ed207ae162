//! How a process is scheduled: policy, I/O priority, CPUs, NUMA nodes; and its execution domain.

use crate::raw::{Error, Result, call};

/// What [`set_scheduler`] sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `SCHED_…`.
    pub policy: u32,
    /// `SCHED_FLAG_…`.
    pub flags: u64,
    /// For the policies other and batch.
    pub nice: i32,
    /// For the policies FIFO and RR.
    pub priority: u32,
    /// Deadline policy, nanoseconds.
    pub runtime: u64,
    /// Deadline policy, nanoseconds.
    pub deadline: u64,
    /// Deadline policy, nanoseconds; 0 is the same as `deadline`.
    pub period: u64,
}

/// Sets the scheduling policy of a process, 0 for this one
/// ([sched_setattr(2)](https://man7.org/linux/man-pages/man2/sched_setattr.2.html)). `EPERM`: `CAP_SYS_NICE` is missing, or
/// the deadline policy is asked for a process that may not run on every CPU. `EBUSY`: the CPUs cannot guarantee as much.
pub fn set_scheduler(pid: i32, attributes: &Attributes) -> Result<()> {
    // `struct sched_attr` in 64-bit words of a little-endian machine. The last one holds the clamps of the utilisation.
    let two = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    let Attributes { policy, flags, nice, priority, runtime, deadline, period } = *attributes;
    let mut attr = [two(0, policy), flags, two(nice as u32, priority), runtime, deadline, period, two(0, 0)];
    attr[0] |= size_of_val(&attr) as u64;
    // SAFETY: the structure is as long as it says, and only read.
    unsafe { call(libc::SYS_sched_setattr, [pid as usize, attr.as_ptr() as usize, 0]) }.map(drop)
}

/// Sets the I/O priority, class and level, of a process, 0 for this one; children inherit it
/// ([ioprio_set(2)](https://man7.org/linux/man-pages/man2/ioprio_set.2.html)). `EPERM`: the real-time class needs
/// `CAP_SYS_NICE`.
pub fn set_io_priority(pid: i32, value: u32) -> Result<()> {
    const IOPRIO_WHO_PROCESS: usize = 1;
    // SAFETY: numbers only.
    unsafe { call(libc::SYS_ioprio_set, [IOPRIO_WHO_PROCESS, pid as usize, value as usize]) }.map(drop)
}

/// Lets this thread run on these CPUs only, one bit for each
/// ([sched_setaffinity(2)](https://man7.org/linux/man-pages/man2/sched_setaffinity.2.html)). `EINVAL`: there is none of them
/// in the machine and in the process's cpuset.
pub fn set_affinity(cpus: &[u8]) -> Result<()> {
    set_affinity_of(0, cpus)
}

/// The same for another thread. `EPERM`: it is another user's.
pub fn set_affinity_of(thread: i32, cpus: &[u8]) -> Result<()> {
    // SAFETY: the mask is only read, for its length.
    unsafe { call(libc::SYS_sched_setaffinity, [thread as usize, cpus.len(), cpus.as_ptr() as usize]) }
        .map(drop)
}

/// Lets another thread run on those CPUs only that this one may use, but is not on. `EINVAL`: there are none.
///
/// The scheduler puts a new thread on the CPU of its maker if all others are busy for a moment, and leaves it there: it is worth
/// more to it to have little to move than that two that could work at the same time do.
pub fn set_apart(thread: i32) -> Result<()> {
    let mut cpus = [0; 1024];
    let filled = affinity(&mut cpus)?;
    set_affinity_but(thread, cpus.get(..filled).unwrap_or_default(), current_cpu()?)
}

/// Lets a thread, 0 for this one, run on these CPUs but one. `EINVAL`: there is no other.
pub fn set_affinity_but(thread: i32, cpus: &[u8], cpu: u32) -> Result<()> {
    let mut others = [0; 1024];
    let others = others.get_mut(..cpus.len()).ok_or(Error::of(libc::SYS_sched_setaffinity, libc::EINVAL))?;
    others.copy_from_slice(cpus);
    if let Some(byte) = others.get_mut(cpu as usize / 8) {
        *byte &= !(1 << (cpu % 8));
    }
    set_affinity_of(thread, others)
}

/// The CPU that this thread is on, or was a moment ago ([getcpu(2)](https://man7.org/linux/man-pages/man2/getcpu.2.html)).
pub fn current_cpu() -> Result<u32> {
    let mut cpu = 0_u32;
    // SAFETY: the number is written.
    unsafe { call(libc::SYS_getcpu, [core::ptr::from_mut(&mut cpu) as usize, 0]) }?;
    Ok(cpu)
}

/// The CPUs that this thread may run on; how much of the mask was filled
/// ([sched_getaffinity(2)](https://man7.org/linux/man-pages/man2/sched_setaffinity.2.html)). `EINVAL`: it is too short.
pub fn affinity(cpus: &mut [u8]) -> Result<usize> {
    // SAFETY: the mask is written for at most its length.
    unsafe { call(libc::SYS_sched_getaffinity, [0, cpus.len(), cpus.as_mut_ptr() as usize]) }
}

/// Whether this thread may run on more than one CPU.
pub fn has_other_cpus() -> bool {
    let mut cpus = [0; 1024];
    let filled = affinity(&mut cpus).unwrap_or_default();
    cpus.iter().take(filled).map(|byte| byte.count_ones()).sum::<u32>() > 1
}

/// Sets the NUMA memory policy of this thread: `MPOL_…` and flags, and one bit for each node
/// ([set_mempolicy(2)](https://man7.org/linux/man-pages/man2/set_mempolicy.2.html)). `EINVAL`: the mode or a flag is unknown
/// to the kernel, or the nodes do not fit it or are not there. `ENOSYS`: the kernel has no NUMA.
pub fn set_memory_policy(mode: u32, nodes: &[u8]) -> Result<()> {
    if !nodes.len().is_multiple_of(size_of::<u64>()) {
        return Err(Error::of(libc::SYS_set_mempolicy, libc::EINVAL));
    }
    // One more than there are: the kernel takes one off (BUGS). No nodes are a null pointer.
    let (mask, max_node) =
        if nodes.is_empty() { (0, 0) } else { (nodes.as_ptr() as usize, nodes.len() * 8 + 1) };
    // SAFETY: the mask is only read, in whole words, of which it consists.
    unsafe { call(libc::SYS_set_mempolicy, [mode as usize, mask, max_node]) }.map(drop)
}

/// Gives the process group of this process a core scheduling cookie of its own, which children inherit: the kernel lets no
/// process without it run on the other threads of a core at the same time
/// ([PR_SCHED_CORE](https://docs.kernel.org/admin-guide/hw-vuln/core-scheduling.html), Linux 5.14). `ENODEV`: no core has
/// several threads. `EINVAL`: the kernel is built without it.
pub fn own_cores() -> Result<()> {
    const PR_SCHED_CORE: usize = 62;
    const PR_SCHED_CORE_CREATE: usize = 1;
    const PIDTYPE_PGID: usize = 2;
    // SAFETY: numbers only.
    unsafe { call(libc::SYS_prctl, [PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, PIDTYPE_PGID, 0]) }.map(drop)
}

/// Sets the execution domain of this process
/// ([personality(2)](https://man7.org/linux/man-pages/man2/personality.2.html)).
pub fn set_personality(domain: u32) -> Result<()> {
    // SAFETY: numbers only; what it changes takes effect at exec, or in what uname(2) tells.
    unsafe { call(libc::SYS_personality, [domain as usize]) }.map(drop)
}
