//! The CPUs that the process runs on.

use crate::machine::Outcome;
use orlop_sys::sched;

/// Runs on these CPUs from now on, or on every one that the cgroup allows, now or later.
pub fn affinity(cpus: Option<&[u8]>) -> Outcome {
    let Some(cpus) = cpus else {
        // As many CPUs as a kernel can be built for: it ignores those beyond its own limit. Giving up the caller's
        // affinity is a courtesy: where the call is forbidden, that stays.
        sched::set_affinity(&[0xff; 1024]).ok();
        return Ok(());
    };
    Ok(sched::set_affinity(cpus)?)
}
