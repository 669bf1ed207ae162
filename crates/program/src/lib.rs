//! Steps, programs, and how they are written down.
//!
//! A [`Program`] is what the compiler makes of a bundle and what `orlop-init` runs: a flat list of typed [`Step`]s. It is
//! *encoded* on the host side, before anything is started, into the bytes that init decodes without allocating. The same
//! bytes are what `orlop explain` shows, so what is explained is what runs.
//!
//! On the host side each step also has an *origin* (where in `config.json`, or which clause or rule, it comes from)
//! and a one-line *why*. Init never sees them: a failing step reports its index, and the host side finds the words.
//!
//! | file | what |
//! |---|---|
//! | [`step`] | every step: the vocabulary of the machine |
//! | `define.rs` | what every step has, made of that one table |
//! | [`source`] | where what is mounted comes from |
//! | [`slot`] | where steps find the descriptors they use |
//! | [`wire`] | the encoding of values |
//! | [`program`] | the encoding of programs, building and reading them |
//! | [`message`] | what init and the host side say to each other while a program runs |
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "build")]
extern crate alloc;

#[macro_use]
mod define;
pub mod message;
pub mod program;
pub mod slot;
pub mod source;
pub mod step;
pub mod wire;

#[cfg(feature = "build")]
pub use program::{Builder, Built, StepInfo};
pub use program::{Program, Steps};
pub use slot::Slot;
pub use source::Source;
pub use step::Step;
pub use wire::{List, Malformed, Str};
