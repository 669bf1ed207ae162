//! What joiner and child say to the caller, where they do not share its memory.

use super::Failure;
use crate::raw::{Error, Result};
use crate::{Fd, socket};

/// No join failed.
pub(super) const NO_JOIN: u32 = u32::MAX;

/// What a new process says to the caller.
#[derive(Clone, Copy)]
pub(super) struct Said {
    /// The child, if a joiner made one.
    pub(super) pid: i32,
    /// Call and errno of what failed, 0 for nothing.
    pub(super) error: u32,
    /// Which join failed.
    pub(super) join: u32,
}

impl Said {
    /// Says it through the gate.
    pub(super) fn send(self, gate: Fd) -> Result<()> {
        let mut bytes = [0; 12];
        for (to, from) in bytes.chunks_exact_mut(4).zip([self.pid as u32, self.error, self.join]) {
            to.copy_from_slice(&from.to_ne_bytes());
        }
        socket::send(gate, &bytes, None)
    }

    /// The next thing that is said through the gate; nothing if there is nobody left to say anything.
    pub(super) fn receive(gate: Fd) -> Self {
        Self::take(gate, 0)
    }

    /// What somebody has said through the gate who has ended since then; nothing if it was killed before. The child that it
    /// has made has the other end, too, and says nothing before it hears of us.
    pub(super) fn left(gate: Fd) -> Self {
        Self::take(gate, libc::MSG_DONTWAIT)
    }

    fn take(gate: Fd, flags: i32) -> Self {
        let mut bytes = [0_u8; 12];
        let mut receive = || socket::receive(gate, &mut bytes, flags);
        // A child that ends without having read our word resets the connection; what it said is still there.
        let n = receive().or_else(|e| if e.is(libc::ECONNRESET) { receive() } else { Err(e) });
        if n != Ok(bytes.len()) {
            return Self { pid: 0, error: 0, join: NO_JOIN };
        }
        let word = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self { pid: word(0) as i32, error: word(4), join: word(8) }
    }

    /// The failure, if it is one.
    pub(super) fn failure(self) -> Option<Failure> {
        let error = Error::new((self.error >> 16) as u16, self.error as u16);
        match self.join {
            _ if self.error == 0 => None,
            NO_JOIN => Some(Failure::Call(error)),
            index => Some(Failure::Join(index as usize, error)),
        }
    }
}
