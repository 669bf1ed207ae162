//! Bytes from one descriptor to another.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::unistd::{read, write};

/// How much is copied before others have their turn, in pieces of what is read at once.
const TURN: usize = 8;

/// Copies bytes. What was read and could not be written yet is kept, and nothing more is read until it is.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) from: OwnedFd,
    pub(crate) to: OwnedFd,
    pending: Vec<u8>,
}

/// What a copy waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Something to read.
    Reading,
    /// Room to write.
    Writing,
    /// Nothing more: one side has ended.
    Done,
}

impl Copy {
    /// From one descriptor to another, neither of which blocks.
    pub(crate) const fn new(from: OwnedFd, to: OwnedFd) -> Self {
        Self { from, to, pending: Vec::new() }
    }

    /// Copies what there is, through `scratch`. It may stop before it has to wait, so that others have their turn.
    pub(crate) fn run(&mut self, scratch: &mut [u8]) -> State {
        for _ in 0..TURN {
            match self.flush() {
                Ok(true) => {}
                Ok(false) => return State::Writing,
                Err(_) => return State::Done,
            }
            let n = match read(&self.from, scratch) {
                Ok(0) => return State::Done,
                Ok(n) => n,
                Err(Errno::EAGAIN) => return State::Reading,
                Err(Errno::EINTR) => continue,
                // A terminal that nobody has open any more says EIO.
                Err(_) => return State::Done,
            };
            match write_some(&self.to, &scratch[..n]) {
                Ok(written) => self.pending.extend(&scratch[written..n]),
                Err(_) => return State::Done,
            }
        }
        if self.pending.is_empty() { State::Reading } else { State::Writing }
    }

    /// Whether something that was read is not written yet.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Writes what was kept; whether all of it.
    fn flush(&mut self) -> nix::Result<bool> {
        if self.pending.is_empty() {
            return Ok(true);
        }
        let written = write_some(&self.to, &self.pending)?;
        self.pending.drain(..written);
        if self.pending.is_empty() {
            // Memory is for who needs it.
            self.pending = Vec::new();
        }
        Ok(self.pending.is_empty())
    }
}

/// Writes as much as is taken.
fn write_some(to: &OwnedFd, bytes: &[u8]) -> nix::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match write(to, &bytes[written..]) {
            Ok(n) => written += n,
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => break,
            Err(e) => return Err(e),
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::OFlag;
    use nix::unistd::pipe2;

    fn pipe() -> (OwnedFd, OwnedFd) {
        pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).unwrap()
    }

    #[test]
    fn a_slow_reader_loses_nothing_and_costs_no_more_than_one_piece() {
        let ((from, source), (sink, to)) = (pipe(), pipe());
        let mut copy = Copy::new(from, to);
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n / 7) as u8).collect();
        let (mut fed, mut got, mut scratch) = (0, Vec::<u8>::new(), [0; 4096]);
        while got.len() < bytes.len() {
            fed += write_some(&source, &bytes[fed..]).unwrap();
            let state = copy.run(&mut scratch);
            assert!(copy.pending.len() <= scratch.len());
            assert_ne!(state, State::Done);
            let mut piece = [0; 1000];
            if let Ok(n) = read(&sink, &mut piece) {
                got.extend(&piece[..n]);
            }
        }
        assert!(got == bytes);
        drop(source);
        assert_eq!(copy.run(&mut scratch), State::Done);
    }

    #[test]
    fn it_is_done_when_either_side_is() {
        let ((from, source), (sink, to)) = (pipe(), pipe());
        let mut copy = Copy::new(from, to);
        assert_eq!(copy.run(&mut [0; 16]), State::Reading);
        drop(sink);
        write(&source, b"x").unwrap();
        assert_eq!(copy.run(&mut [0; 16]), State::Done);
    }
}
