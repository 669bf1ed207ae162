//! What init and the host side say to each other while a program runs.
//!
//! ```text
//!   host side                         init                                  `orlop start`
//!     │   ◀──── Born ───────────────────────────────────┤  (only if it joins a PID namespace: the one that was born there)
//!     │   ◀──── Reached(Begin) ─────────────────────────┤  Sync (only if the host side sets the OOM score)
//!     ├──── one byte ─────────────────────────────────▶ │
//!     │   ◀──── MapIds (+ a mount's descriptor) ────────┤  Bind (only where the host side maps its ids)
//!     ├──── one byte ─────────────────────────────────▶ │
//!     │   ◀──── Reached(Root) ──────────────────────────┤  Tell (only if the host side makes file systems: never with MapIds)
//!     ├──── one byte (+ a mount's descriptor) ────────▶ │  Mount
//!     ├──── one byte ─────────────────────────────────▶ │  AwaitBeside: what belongs in /dev is there
//!     │   ◀──── Reached(Hooks) ─────────────────────────┤  Sync
//!     │ prestart, createRuntime, createContainer hooks  │
//!     ├──── one byte ─────────────────────────────────▶ │
//!     │   ◀──── Console (+ the master's descriptor) ────┤  Console (only with a terminal)
//!     │ the terminal gets its size and mode             │
//!     ├──── one byte ─────────────────────────────────▶ │
//!     │   ◀──── Reached(Ready) ─────────────────────────┤  Sync (create only)
//!     │ state becomes "created"                         │
//!     ├──── one byte ─────────────────────────────────▶ │
//!                                                       │  AwaitStart  ◀──────── connect ────┤
//!                                                       │                 startContainer hooks│
//!                                                       │ ◀───────────────────── one byte ────┤
//!                                                       │  Seccomp ────────── SeccompListener ▶│
//!                                                       │         pidfd_getfd(2), to the agent│
//!                                                       │ ◀───────────────────── one byte ────┤
//!                                                       │  Exec ─────── Executing, then EOF ─▶│
//! ```
//! There is a `SeccompListener` only with `SCMP_ACT_NOTIFY`.
//!
//! With `run` there is no `AwaitStart`: all that follows goes to the host side, and before exec init waits
//! for one more byte that says that the state is written down (`AwaitWord`). At any time a failing step says `Failed`
//! instead, and init ends. An end of file without `Executing` before it means that init was killed.
//!
//! Messages are packets (`SOCK_SEQPACKET`) of at most [`MAX`] bytes. The host side trusts none of them more than it
//! would trust the container: until exec only init writes them, but what they say is only shown to people.

use crate::wire::{Malformed, Reader, Wire};

/// No message is longer.
pub const MAX: usize = 512;

/// In the place of a step's index: init failed before the first one, at being born.
pub const BEFORE: u32 = u32::MAX;

/// Where init waits for the host side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Point {
    /// Mounts are made, the root is not yet switched: hooks run.
    Hooks = 1,
    /// Everything but exec is done.
    Ready = 2,
    /// Nothing is done yet, but init runs: the process has a memory of its own.
    Begin = 3,
    /// The container's root is a mount. Init goes on (`Step::Tell`).
    Root = 4,
}

impl Point {
    /// The point with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Hooks),
            2 => Some(Self::Ready),
            3 => Some(Self::Begin),
            4 => Some(Self::Root),
            _ => None,
        }
    }
}

/// What a failing step says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed<'a> {
    /// Its index in the program, or [`BEFORE`].
    pub step: u32,
    /// Which of its parts failed, or `u32::MAX`.
    pub part: u32,
    /// The number of the system call.
    pub call: u16,
    /// What the kernel answered.
    pub errno: u16,
    /// What the kernel said beyond that (a file system's own words), as far as it fits.
    pub text: &'a [u8],
}

/// From init to the host side, or to `orlop start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Init waits for one byte, but at [`Point::Root`].
    Reached(Point),
    /// The message carries the master end of the console.
    Console,
    /// The seccomp filter is in force, and this is the number of its notification descriptor in init. Init waits for one
    /// byte: until then the host side takes a copy of it.
    SeccompListener(i32),
    /// The message carries a detached mount, whose ids the host side is to map in the way that has this number. Init waits
    /// for one byte.
    MapIds(u8),
    /// Whoever says so has been born in the PID namespace that was to be joined, and goes on; the init that made it ends. Its
    /// process id there is of no use to the host side: the kernel tells which it is here (unix(7), `SCM_CREDENTIALS`).
    Born,
    /// The next thing that happens is exec.
    Executing,
    /// A step failed; init ends.
    Failed(Failed<'a>),
}

impl<'a> Message<'a> {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// The bytes are none.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let reader = &mut Reader::new(bytes);
        let message = match u8::get(reader) {
            1 => Self::Reached(Point::from_number(u8::get(reader)).ok_or(Malformed)?),
            2 => Self::Console,
            3 => Self::Executing,
            4 => Self::Failed(Failed {
                step: u32::get(reader),
                part: u32::get(reader),
                call: u16::get(reader),
                errno: u16::get(reader),
                text: reader.rest(),
            }),
            5 => Self::SeccompListener(i32::get(reader)),
            6 => Self::MapIds(u8::get(reader)),
            7 => Self::Born,
            _ => return Err(Malformed),
        };
        reader.checked(message)
    }

    /// Writes it to `out`; how much of it was used.
    pub fn write(&self, out: &mut [u8; MAX]) -> usize {
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            let room = &mut out[at..];
            let n = bytes.len().min(room.len());
            room[..n].copy_from_slice(&bytes[..n]);
            at += n;
        };
        match self {
            Self::Reached(point) => put(&[1, *point as u8]),
            Self::Console => put(&[2]),
            Self::Executing => put(&[3]),
            Self::Failed(failed) => {
                put(&[4]);
                put(&failed.step.to_le_bytes());
                put(&failed.part.to_le_bytes());
                put(&failed.call.to_le_bytes());
                put(&failed.errno.to_le_bytes());
                put(failed.text);
            }
            Self::MapIds(number) => put(&[6, *number]),
            Self::Born => put(&[7]),
            Self::SeccompListener(number) => {
                put(&[5]);
                put(&number.to_le_bytes());
            }
        }
        at
    }
}
