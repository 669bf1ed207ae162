//! Programs: a table of slots that are filled beforehand, then the steps.
//!
//! ```text
//! ┌───────┬───────┬─────────────────────┬──────────┬────────┬────────┬─────
//! │ magic │ count │ slot, descriptor, … │ count    │ step 0 │ step 1 │ …
//! └───────┴───────┴─────────────────────┴──────────┴────────┴────────┴─────
//! ```
//! A program lies in the same sealed file as the machine that runs it, after it: the machine's last eight bytes say how long
//! the program is.

use crate::wire::{List, Malformed, Reader, Wire};
use crate::{Slot, Step};
#[cfg(feature = "build")]
use alloc::vec::Vec;

const MAGIC: u64 = u64::from_le_bytes(*b"orlop\0\0\x01");

/// A program, as it is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Program<'a> {
    /// Slots filled by the host side, each with the number of its descriptor.
    pub slots: List<'a, (Slot, i32)>,
    /// What to do.
    pub steps: Steps<'a>,
}

impl<'a> Program<'a> {
    /// Reads the head of a program; the steps are read one by one.
    ///
    /// # Errors
    ///
    /// The bytes do not begin as a program does.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let reader = &mut Reader::new(bytes);
        if u64::get(reader) != MAGIC {
            return Err(Malformed);
        }
        let slots = List::get(reader);
        let count = u32::get(reader);
        reader.checked(Self { slots, steps: Steps { reader: reader.rest(), count } })
    }
}

/// The steps of a program, read as they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps<'a> {
    reader: &'a [u8],
    count: u32,
}

#[allow(clippy::copy_iterator)] // it is three words, and a `Program` is copied to be read twice
impl<'a> Iterator for Steps<'a> {
    type Item = Result<Step<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(left) = self.count.checked_sub(1) else {
            // Bytes after the last step mean that writer and reader disagree.
            return (!core::mem::take(&mut self.reader).is_empty()).then_some(Err(Malformed));
        };
        let mut reader = Reader::new(self.reader);
        let step = Step::get(&mut reader);
        let step = reader.checked(step);
        (self.reader, self.count) = if step.is_ok() { (reader.rest(), left) } else { (&[][..], 0) };
        Some(step)
    }
}

/// Where a step comes from and why it is there, for people.
#[cfg(feature = "build")]
#[derive(Clone, Debug, PartialEq)]
pub struct StepInfo<O> {
    /// Where in `config.json`, or which clause or rule, asks for it.
    pub origin: O,
    /// One sentence.
    pub why: &'static str,
    /// Origins of parts of it that can fail by themselves, such as single mount options.
    pub parts: Vec<O>,
}

/// Writes a program.
#[cfg(feature = "build")]
#[derive(Clone, Debug)]
pub struct Builder<O> {
    steps: Vec<u8>,
    infos: Vec<StepInfo<O>>,
    /// Steps in which a string holds a NUL byte.
    unwritable: Vec<usize>,
}

#[cfg(feature = "build")]
impl<O> Default for Builder<O> {
    fn default() -> Self {
        Self { steps: Vec::with_capacity(4096), infos: Vec::with_capacity(64), unwritable: Vec::new() }
    }
}

#[cfg(feature = "build")]
impl<O> Builder<O> {
    /// The index that the next step will have.
    pub const fn next_index(&self) -> usize {
        self.infos.len()
    }

    /// Adds a step.
    pub fn push(&mut self, step: Step<'_>, origin: O, why: &'static str) {
        self.push_with_parts(step, origin, why, Vec::new());
    }

    /// Adds a step of which parts can fail by themselves.
    pub fn push_with_parts(&mut self, step: Step<'_>, origin: O, why: &'static str, parts: Vec<O>) {
        if step.put(&mut self.steps).is_err() {
            self.unwritable.push(self.infos.len());
        }
        self.infos.push(StepInfo { origin, why, parts });
    }

    /// The finished program.
    ///
    /// # Errors
    ///
    /// The origins of steps in which a string holds a NUL byte, which no kernel interface can carry.
    pub fn finish(self) -> Result<Built<O>, Vec<O>> {
        if self.unwritable.is_empty() {
            return Ok(Built { steps: self.steps, infos: self.infos });
        }
        let bad =
            |(index, info): (usize, StepInfo<O>)| self.unwritable.contains(&index).then_some(info.origin);
        Err(self.infos.into_iter().enumerate().filter_map(bad).collect())
    }
}

/// A program without its slots: these are known when the host side has opened its descriptors.
#[cfg(feature = "build")]
#[derive(Clone, Debug, PartialEq)]
pub struct Built<O> {
    steps: Vec<u8>,
    infos: Vec<StepInfo<O>>,
}

#[cfg(feature = "build")]
impl<O> Built<O> {
    /// The steps, read back from what was written.
    pub const fn steps(&self) -> Steps<'_> {
        Steps { reader: self.steps.as_slice(), count: self.infos.len() as u32 }
    }

    /// What is known of each step.
    pub fn infos(&self) -> &[StepInfo<O>] {
        &self.infos
    }

    /// The whole program with its slots.
    pub fn encode(&self, slots: &[(Slot, i32)]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.steps.len() + 5 * slots.len() + 32);
        let head =
            [MAGIC.put(&mut out), List::from(slots).put(&mut out), (self.infos.len() as u32).put(&mut out)];
        debug_assert!(head.iter().all(Result::is_ok), "numbers can always be written");
        out.extend_from_slice(&self.steps);
        out
    }
}
