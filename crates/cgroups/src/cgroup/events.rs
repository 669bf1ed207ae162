//! `cgroup.events`, read and waited for (cgroup-v2.rst, "Core Interface Files").
//!
//! The kernel tells of a change at once or, if it told of another less than ten milliseconds ago, when these are over. If the
//! cgroup is removed before that, it never tells: so whoever waits looks again from time to time, too.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::dir::{Dir, call, errno_of};
use crate::error::{Error, Result};

/// What the file says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// There are live processes in the cgroup or below it.
    pub(super) populated: bool,
    /// Every task in the cgroup and below it is frozen.
    pub(super) frozen: bool,
    /// There is no such cgroup any more.
    pub(super) removed: bool,
}

/// After how much time to look again without having been told.
const AGAIN: Duration = Duration::from_millis(100);

/// The file, held open: a change is reported once for each open file.
pub(super) struct Events<'a> {
    pub(super) dir: &'a Dir,
    pub(super) file: File,
}

impl<'a> Events<'a> {
    pub(super) fn open(dir: &'a Dir) -> Result<Self> {
        match dir.open_file("cgroup.events") {
            Ok(file) => Ok(Self { dir, file }),
            Err(errno) => Err(call("open", dir.join("cgroup.events"), errno)),
        }
    }

    /// Reads it. A cgroup that has been removed meanwhile is neither populated nor frozen.
    pub(super) fn state(&self) -> Result<State> {
        let mut buffer = [0; 256];
        let n = match self.file.read_at(&mut buffer, 0) {
            Ok(n) => n,
            Err(e) if errno_of(&e) == Errno::ENODEV => {
                return Ok(State { removed: true, ..State::default() });
            }
            Err(e) => return Err(call("read", self.dir.join("cgroup.events"), errno_of(&e))),
        };
        let text = String::from_utf8_lossy(&buffer[..n]);
        let mut state = State::default();
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("populated", value)) => state.populated = value == "1",
                Some(("frozen", value)) => state.frozen = value == "1",
                Some(_) => {}
                None => {
                    return Err(Error::Parse { path: self.dir.join("cgroup.events"), text: line.into() });
                }
            }
        }
        Ok(state)
    }

    /// Waits until `wanted` holds; whether it did by `until`, or when the cgroup was removed.
    pub(super) fn wait(&self, until: Instant, mut wanted: impl FnMut(State) -> bool) -> Result<bool> {
        loop {
            // The read arms the next notification, so nothing is lost between it and poll(2).
            let state = self.state()?;
            if wanted(state) {
                return Ok(true);
            }
            let left = until.saturating_duration_since(Instant::now()).min(AGAIN);
            if state.removed || left.is_zero() {
                return Ok(false);
            }
            // Rounded up: a wait of zero milliseconds would spin.
            let millis = i32::try_from(left.as_millis() + 1).unwrap_or(i32::MAX);
            let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.file.as_fd(), PollFlags::POLLPRI)], timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(call("poll", self.dir.join("cgroup.events"), errno)),
            }
        }
    }
}
