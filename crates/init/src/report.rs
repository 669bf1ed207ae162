//! What a failing step leaves behind: an error, which part of the step it was, and the kernel's own words.

use orlop_program::message::{Failed, MAX, Message};
use orlop_sys::{Error, Fd, OwnedFd, file, process, socket};

/// No part of a step, but all of it.
const WHOLE: u32 = u32::MAX;

/// As much of the kernel's own words as is told, in bytes.
pub const WORDS: usize = 160;

/// Why a step failed.
#[derive(Debug)]
pub struct Fault {
    /// The call and what the kernel answered.
    error: Error,
    /// Which part of the step, or [`WHOLE`].
    part: u32,
    /// The file-system context it happened in, which may have the kernel's own words about it.
    context: Option<OwnedFd>,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self { error, part: WHOLE, context: None }
    }
}

impl Fault {
    /// Whether this is what the kernel answered.
    pub fn is(&self, errno: i32) -> bool {
        self.error.is(errno)
    }

    /// The same fault, with the file-system context in which it happened.
    #[must_use]
    pub fn in_context(self, context: OwnedFd) -> Self {
        Self { context: Some(context), ..self }
    }

    /// The same fault, of this part of the step.
    #[must_use]
    pub fn of_part(self, part: u32) -> Self {
        Self { part, ..self }
    }

    /// What to tell of this fault of a step; `words` is room for the kernel's own.
    pub fn told<'w>(&self, step: u32, words: &'w mut [u8]) -> Failed<'w> {
        let len = self.kernel_words(words);
        Failed {
            step,
            part: self.part,
            call: self.error.call(),
            errno: self.error.errno() as u16,
            text: words.get(..len).unwrap_or(&[]),
        }
    }

    /// The next message of the file-system context
    /// ([fsopen(2)](https://man7.org/linux/man-pages/man2/fsopen.2.html)); how much of the buffer it fills.
    fn kernel_words(&self, buffer: &mut [u8]) -> usize {
        self.context.as_ref().and_then(|context| file::read(context.fd(), buffer).ok()).unwrap_or(0)
    }
}

/// Sends a message; a host side that is gone is no reason to go on.
pub fn send(socket: Fd, message: &Message<'_>, fd: Option<Fd>) -> Result<(), Error> {
    let mut buffer = [0; MAX];
    let len = message.write(&mut buffer);
    let bytes = buffer.get(..len).unwrap_or(&[]);
    match fd {
        Some(_) => socket::send(socket, bytes, fd),
        // The container's filter may be in force already, and not know sendmsg(2); every filter knows write(2).
        None => file::write(socket, bytes).map(drop),
    }
}

/// Says which step failed and why, and ends.
pub fn give_up(socket: Option<Fd>, step: u32, fault: &Fault) -> ! {
    let mut words = [0; WORDS];
    let failed = fault.told(step, &mut words);
    if let Some(socket) = socket {
        // Whoever would have read it is gone if this fails; ending is all that is left.
        send(socket, &Message::Failed(failed), None).ok();
    }
    process::exit(1)
}
