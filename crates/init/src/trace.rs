//! When each step began, for whoever asked: words in memory that is shared with the host side.

use crate::report::Fault;
use core::sync::atomic::{AtomicU64, Ordering};
use orlop_sys::{OwnedFd, memory, ticks};

/// Where the moments are written: word 0 is the begin of the first step, and each word the end of the step before it and the
/// begin of the next.
pub struct Trace(Option<&'static [AtomicU64]>);

impl Trace {
    /// In the memory that the host side passed, if it did.
    pub fn begin(memory: Option<OwnedFd>) -> Result<Self, Fault> {
        let words = memory.map(|memory| memory::map_shared(memory.fd())).transpose()?;
        Ok(Self(words))
    }

    /// The step with this index begins, and the one before it has ended.
    pub fn mark(&self, index: u32) {
        if let Some(word) = self.0.and_then(|words| words.get(index as usize)) {
            word.store(ticks::now(), Ordering::Relaxed);
        }
    }
}
