//! The first process of a pod whose containers share their PID namespace: it is there, and that is all. Without it, the
//! namespace would end with whichever container came first. Orphans are gone as soon as they have ended.

use crate::exec::end_by_signals;
use orlop_sys::process;

/// Stays until a signal ends it.
pub fn stay() -> ! {
    if process::ignore_children().and_then(|()| end_by_signals()).is_err() {
        process::exit(1);
    }
    process::stay()
}
