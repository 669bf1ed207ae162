//! The CPUs that we run on while a process is launched (`execCPUAffinity.initial`): it begins on the same ones. And those that it
//! runs on while we do our part: others.

use orlop_sys::sched;

use crate::error::{Doing, Result};

/// Gives this thread its own CPUs back when it is dropped.
pub(super) struct Borrowed(Vec<u8>);

impl Borrowed {
    /// Runs on these CPUs, one bit for each.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`](crate::Error::Kernel): none of them is there, or allowed to us.
    pub(super) fn new(cpus: &[u8]) -> Result<Self> {
        let mut own = vec![0; 1024];
        let filled = sched::affinity(&mut own).doing(|| "ask for our own CPUs".to_owned())?;
        own.truncate(filled);
        sched::set_affinity(cpus).doing(|| "set the initial CPU affinity".to_owned()).map_err(|e| {
            e.at("/process/execCPUAffinity/initial")
                .with_hint("at least one of the CPUs must be online and in the caller's cpuset")
        })?;
        tracing::debug!("nsexec: affinity: {}", mask(cpus));
        Ok(Self(own))
    }
}

/// CPUs as one number, as taskset(1) and runc's debug log have them.
fn mask(cpus: &[u8]) -> String {
    let digits = cpus.iter().rev().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits: String = digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect();
    format!("0x{}", digits.trim_start_matches('0'))
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // They were ours a moment ago; if the cpuset has changed meanwhile, the kernel has chosen others.
        sched::set_affinity(&self.0).ok();
    }
}

/// Keeps the first process of a new container off this thread's CPU, until this is dropped. Both have something to do then, and
/// the scheduler often lets one wait for the other while another CPU is idle ([`sched::set_apart`]).
///
/// After it, and after init's own step for that, the process runs wherever its cgroup allows.
pub(crate) struct Apart(Option<i32>);

impl Apart {
    /// Does so, if there is another CPU that we may use, too. The process must be a child that nobody has waited for.
    pub(crate) fn begin(pid: i32) -> Self {
        Self(sched::set_apart(pid).ok().map(|()| pid))
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // As init's step does.
            sched::set_affinity_of(pid, &[0xff; 1024]).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_lowest_cpu_is_the_last_digit() {
        assert_eq!(super::mask(&[0b11, 0, 0, 0]), "0x3");
        assert_eq!(super::mask(&[0, 0x12]), "0x1200");
    }
}
