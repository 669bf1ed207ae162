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
        let own = own().doing(|| "ask for our own CPUs".to_owned())?;
        sched::set_affinity(cpus).doing(|| "set the initial CPU affinity".to_owned()).map_err(|e| {
            e.at("/process/execCPUAffinity/initial")
                .with_hint("at least one of the CPUs must be online and in the caller's cpuset")
        })?;
        tracing::debug!("nsexec: affinity: {}", mask(cpus));
        Ok(Self(own))
    }
}

/// The CPUs that this thread may run on.
fn own() -> orlop_sys::Result<Vec<u8>> {
    let mut own = vec![0; 1024];
    let filled = sched::affinity(&mut own)?;
    own.truncate(filled);
    Ok(own)
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

/// Keeps this thread off the CPU of a process that it has started. Both have something to do then, and the scheduler often lets one
/// wait for the other while another CPU is idle. It is we who go: nobody waits for us.
pub(super) struct Apart {
    /// The CPUs that we run on before and after.
    own: Vec<u8>,
}

impl Apart {
    /// Asks for what is to be known before. The kernel wakes us on the new process's CPU, which then waits for us.
    pub(super) fn new() -> Option<Self> {
        own().ok().map(|own| Self { own })
    }

    /// Goes to other CPUs than this, if we may use any, until the result is dropped.
    pub(super) fn leave(self, cpu: u32) -> Option<Borrowed> {
        sched::set_affinity_but(0, &self.own, cpu).ok().map(|()| Borrowed(self.own))
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
