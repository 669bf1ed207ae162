//! Work that may take long, in threads of its own: hooks that run during `create`, processes that take their time to die.
//!
//! The one thread that owns everything hands such work out and goes on. What is to happen with the result is a function that
//! runs in that thread again.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

/// More threads than this are not started: what comes then waits.
const MOST: usize = 64;
/// The stack of a thread, in bytes: only what is used of it is ever there.
const STACK: usize = 1 << 20;
/// How often it is tried to tell of a result. The kernel knows no reason to refuse that.
const WAKE_TRIES: usize = 100;

/// What to do with a result.
pub(crate) type Then<S> = Box<dyn FnOnce(&mut S) + Send>;
/// The work, in the thread.
type Work<S> = Box<dyn FnOnce() -> Then<S> + Send>;

/// Work under way for an owner (`S`).
pub(crate) struct Jobs<S> {
    results: Arc<Results<S>>,
    running: usize,
    waiting: VecDeque<Work<S>>,
}

struct Results<S> {
    ready: Mutex<Vec<Then<S>>>,
    wake: EventFd,
}

impl<S: 'static> Jobs<S> {
    pub(crate) fn new() -> io::Result<Self> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let results = Arc::new(Results { ready: Mutex::new(Vec::new()), wake });
        Ok(Self { results, running: 0, waiting: VecDeque::new() })
    }

    /// Does `work` in a thread, and `then` with its result where this is called.
    pub(crate) fn start<R: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> R + Send + 'static,
        then: impl FnOnce(&mut S, R) + Send + 'static,
    ) {
        self.waiting.push_back(Box::new(move || {
            let result = work();
            Box::new(move |owner: &mut S| then(owner, result))
        }));
        self.next();
    }

    fn next(&mut self) {
        while self.running < MOST
            && let Some(work) = self.waiting.pop_front()
        {
            let results = Arc::clone(&self.results);
            // A place for the work that is left if there is no thread for it.
            let shared = Arc::new(Mutex::new(Some(work)));
            let take =
                |work: &Mutex<Option<Work<S>>>| work.lock().unwrap_or_else(PoisonError::into_inner).take();
            let theirs = Arc::clone(&shared);
            let started = std::thread::Builder::new().name("job".into()).stack_size(STACK).spawn(move || {
                if let Some(work) = take(&theirs) {
                    results.add(work());
                }
            });
            self.running += 1;
            if let Err(e) = started {
                tracing::warn!("no thread, so everything else waits: {e}");
                if let Some(work) = take(&shared) {
                    self.results.add(work());
                }
            }
        }
    }

    /// Results that have come in since the last call; each is to be called with the owner.
    pub(crate) fn finished(&mut self) -> Vec<Then<S>> {
        // Reading resets it; that there is nothing to read is no matter.
        self.results.wake.read().ok();
        let ready = std::mem::take(&mut *self.results.ready.lock().unwrap_or_else(PoisonError::into_inner));
        self.running -= ready.len();
        self.next();
        ready
    }

    /// Whether nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.running == 0
    }
}

impl<S> Results<S> {
    fn add(&self, then: Then<S>) {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).push(then);
        // Without this nobody hears of the result.
        let mut last = Ok(0);
        let told = (0..WAKE_TRIES).any(|_| {
            last = self.wake.write(1);
            last.is_ok()
        });
        // If it is full all the time, there is something to be read already.
        if !told && last != Err(Errno::EAGAIN) {
            tracing::error!("a job is done, and the event for it cannot be had");
        }
    }
}

impl<S> AsFd for Jobs<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.results.wake.as_fd()
    }
}

/// How much is under way, for a report.
impl<S> std::fmt::Display for Jobs<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} under way, {} to come", self.running, self.waiting.len())
    }
}

impl<S> std::fmt::Debug for Jobs<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").field("running", &self.running).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    #[test]
    fn every_job_is_done_once_and_its_result_comes_home() {
        let mut jobs: Jobs<Vec<u32>> = Jobs::new().unwrap();
        let mut owner = Vec::new();
        let count = 3 * MOST as u32;
        for number in 0..count {
            jobs.start(move || number * 2, |owner: &mut Vec<u32>, twice| owner.push(twice));
            assert!(jobs.running <= MOST);
        }
        while owner.len() < count as usize {
            poll(&mut [PollFd::new(jobs.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
            jobs.finished().into_iter().for_each(|then| then(&mut owner));
        }
        owner.sort_unstable();
        assert_eq!(owner, (0..count).map(|number| number * 2).collect::<Vec<_>>());
        assert!(jobs.is_idle());
    }
}
