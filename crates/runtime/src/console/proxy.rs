//! Our side of a container's terminal while we wait in the foreground: keys go in, what is written comes out.

use std::io::IsTerminal as _;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{OutputFlags, SetArg, tcgetattr, tcsetattr};
use nix::unistd::{read, write};

use super::host::Raw;
use crate::error::{Doing, Result};

/// Bytes on their way. As much as a pipe that is ready for writing takes without blocking (`PIPE_BUF`).
const ROOM: usize = 4096;

/// How long output is waited for after the container's process has ended while others still hold its terminal, in ms.
const LAST_WORDS: u16 = 100;

/// Connects a container's terminal with our standard input and output. Dropping it restores our terminal.
#[derive(Debug)]
pub struct Proxy {
    /// Not blocking.
    master: OwnedFd,
    host: Option<Raw>,
    input: Flow,
    output: Flow,
}

/// Which events the proxy waits for, and which have come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ready {
    pub(crate) stdin_readable: bool,
    pub(crate) master_readable: bool,
    pub(crate) master_writable: bool,
    pub(crate) stdout_writable: bool,
}

/// What the proxy waits for.
pub(crate) type Wants = Ready;

impl Proxy {
    /// Takes the master end of a container's terminal: our own terminal, if there is one, goes into raw mode, and the
    /// container's gets its size.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`](crate::Error::Kernel).
    pub fn new(master: OwnedFd) -> Result<Self> {
        let doing = || "take over the container's terminal".to_owned();
        fcntl(&master, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK)).doing(doing)?;
        let looked_at = std::io::stdout().is_terminal();
        let host = Raw::enter(looked_at)?;
        if !looked_at {
            // Lines in a file or a pipe end without a carriage return.
            let mut mode = tcgetattr(&master).doing(doing)?;
            mode.output_flags.remove(OutputFlags::ONLCR);
            tcsetattr(&master, SetArg::TCSANOW, &mode).doing(doing)?;
        }
        let proxy = Self { master, host, input: Flow::default(), output: Flow::default() };
        proxy.resize();
        Ok(proxy)
    }

    /// Gives the container's terminal the size of ours. A terminal that has just gone away is no error.
    pub fn resize(&self) {
        if let Some(host) = &self.host {
            host.copy_size_to(&self.master).ok();
        }
    }

    pub(crate) const fn master(&self) -> &OwnedFd {
        &self.master
    }

    pub(crate) fn wants(&self) -> Wants {
        Wants {
            stdin_readable: self.input.has_room(),
            master_readable: self.output.has_room(),
            master_writable: self.input.is_waiting(),
            stdout_writable: self.output.is_waiting(),
        }
    }

    /// Moves bytes where something is ready; nothing here blocks.
    pub(crate) fn serve(&mut self, ready: Ready) {
        if ready.stdin_readable {
            self.input.fill(&std::io::stdin());
        }
        if ready.master_writable || self.input.is_waiting() {
            self.input.flush(&self.master);
        }
        if ready.master_readable {
            self.output.fill(&self.master);
        }
        if ready.stdout_writable {
            self.output.flush(&std::io::stdout());
        }
    }

    /// Brings out what the container wrote before it ended. The kernel says when nobody holds the other end any more;
    /// where somebody still does, a moment's silence ends it.
    pub fn drain(&mut self) {
        while self.output.open || self.output.is_waiting() {
            let (stdout, waiting) = (std::io::stdout(), self.output.is_waiting());
            let (fd, event, timeout) = if waiting {
                (stdout.as_fd(), PollFlags::POLLOUT, PollTimeout::NONE)
            } else {
                (self.master.as_fd(), PollFlags::POLLIN, PollTimeout::from(LAST_WORDS))
            };
            match poll(&mut [PollFd::new(fd, event)], timeout) {
                Ok(0) => return,
                Err(Errno::EINTR) => {}
                Ok(_) if waiting => self.output.flush(&stdout),
                Ok(_) => self.output.fill(&self.master),
                Err(_) => return,
            }
        }
    }
}

/// One direction.
#[derive(Debug)]
struct Flow {
    /// Whether more can come.
    open: bool,
    /// Whether anybody takes it; what nobody takes is thrown away, so that the container does not block.
    taken: bool,
    buffer: Box<[u8; ROOM]>,
    start: usize,
    end: usize,
}

impl Default for Flow {
    fn default() -> Self {
        Self { open: true, taken: true, buffer: Box::new([0; ROOM]), start: 0, end: 0 }
    }
}

impl Flow {
    const fn is_waiting(&self) -> bool {
        self.start < self.end
    }

    const fn has_room(&self) -> bool {
        self.open && !self.is_waiting()
    }

    fn fill(&mut self, from: &impl AsFd) {
        if !self.has_room() {
            return;
        }
        match read(from, &mut self.buffer[..]) {
            Ok(n) if n > 0 => (self.start, self.end) = (0, if self.taken { n } else { 0 }),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            // EIO is how a terminal says that its other end is closed.
            Ok(_) | Err(_) => self.open = false,
        }
    }

    fn flush(&mut self, to: &impl AsFd) {
        while self.is_waiting() {
            match write(to, &self.buffer[self.start..self.end]) {
                Ok(n) => self.start += n,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => (self.taken, self.end) = (false, 0),
            }
        }
    }
}
