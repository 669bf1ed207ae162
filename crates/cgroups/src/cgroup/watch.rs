//! Waiting for what happens in a cgroup: kills for want of memory, and the end of its last process.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::Cgroup;
use super::events::Events;
use crate::controller::Controller;
use crate::dir::{Dir, call, errno_of};
use crate::error::Result;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The kernel has killed, or is about to kill, a process of the cgroup because a limit of memory was reached.
    OutOfMemory,
    /// No process is left.
    Empty,
}

/// Somebody who waits for occasions. What happens from its making on is noticed, whenever it is asked.
pub struct Watch<'a> {
    events: Events<'a>,
    memory: Option<Kills<'a>>,
}

/// Where the kernel tells of kills for want of memory.
enum Kills<'a> {
    /// `memory.events` (cgroup-v2.rst): a counter, and a notification of every change for each open file.
    V2 { dir: &'a Dir, file: File, known: u64 },
    /// An eventfd(2) that was registered for `memory.oom_control` (cgroup-v1/memory.rst, section 10).
    V1 { dir: &'a Dir, event: EventFd },
}

impl Cgroup {
    /// Begins to watch. Without the memory controller there are no kills to tell of.
    ///
    /// # Errors
    /// When a file cannot be opened or registered.
    pub fn watch(&self) -> Result<Watch<'_>> {
        let v1 = self.v1_dirs().find(|(controller, _)| *controller == Controller::Memory);
        let memory = match v1 {
            Some((_, dir)) => Some(Kills::v1(dir)?),
            None => Kills::v2(&self.v2)?,
        };
        Ok(Watch { events: Events::open(&self.v2)?, memory })
    }
}

impl Watch<'_> {
    /// Waits for the next occasion; `None` if there was none by `until`.
    ///
    /// # Errors
    /// When a file cannot be read or waited for.
    pub fn wait(&mut self, until: Instant) -> Result<Option<Occasion>> {
        loop {
            // Reading comes first: it arms the next notification, so nothing is lost between it and poll(2). And a kill
            // comes before the end that it may bring.
            if self.memory.as_mut().map_or(Ok(false), Kills::happened)? {
                return Ok(Some(Occasion::OutOfMemory));
            }
            if !self.events.state()?.populated {
                return Ok(Some(Occasion::Empty));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            // Rounded up: a wait of zero milliseconds would spin.
            let timeout = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
            let mut fds = vec![PollFd::new(self.events.file.as_fd(), PollFlags::POLLPRI)];
            fds.extend(self.memory.as_ref().map(Kills::fd));
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(call("poll", self.events.dir.join("cgroup.events"), errno)),
            }
        }
    }
}

impl<'a> Kills<'a> {
    fn v2(dir: &'a Dir) -> Result<Option<Self>> {
        let file = match dir.open_file("memory.events") {
            Ok(file) => file,
            Err(Errno::ENOENT | Errno::ENODEV) => return Ok(None),
            Err(errno) => return Err(call("open", dir.join("memory.events"), errno)),
        };
        let known = count(dir, &file)?;
        Ok(Some(Self::V2 { dir, file, known }))
    }

    fn v1(dir: &'a Dir) -> Result<Self> {
        let failed = |errno| call("register an event of", dir.join("memory.oom_control"), errno);
        let control = dir.open_file("memory.oom_control").map_err(failed)?;
        let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).map_err(failed)?;
        let words = format!("{} {}", event.as_fd().as_raw_fd(), control.as_raw_fd());
        dir.write("cgroup.event_control", &words).map_err(failed)?;
        Ok(Self::V1 { dir, event })
    }

    /// Whether there was a kill since this was asked last.
    fn happened(&mut self) -> Result<bool> {
        match self {
            Self::V2 { dir, file, known } => {
                let before = std::mem::replace(known, count(dir, file)?);
                Ok(*known > before)
            }
            Self::V1 { dir, event } => match event.read() {
                // The removal of the cgroup is an event too.
                Ok(_) => Ok(!dir.is_removed()),
                Err(Errno::EAGAIN) => Ok(false),
                Err(errno) => Err(call("read an event of", dir.join("memory.oom_control"), errno)),
            },
        }
    }

    fn fd(&self) -> PollFd<'_> {
        match self {
            Self::V2 { file, .. } => PollFd::new(file.as_fd(), PollFlags::POLLPRI),
            Self::V1 { event, .. } => PollFd::new(event.as_fd(), PollFlags::POLLIN),
        }
    }
}

/// How many processes were killed so far. A cgroup that has been removed meanwhile counts no more.
fn count(dir: &Dir, file: &File) -> Result<u64> {
    let mut buffer = [0; 512];
    let n = match file.read_at(&mut buffer, 0) {
        Ok(n) => n,
        Err(e) if errno_of(&e) == Errno::ENODEV => return Ok(0),
        Err(e) => return Err(call("read", dir.join("memory.events"), errno_of(&e))),
    };
    let text = String::from_utf8_lossy(&buffer[..n]);
    let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    Ok(line.and_then(|count| count.trim().parse().ok()).unwrap_or_default())
}
