//! Bytes that nobody meant, for everything in orlop that reads bytes.
//!
//! | file | what is in it |
//! |---|---|
//! | `targets.rs`, `targets/` | who reads: a function of bytes, which panics if something is wrong |
//! | `corpus.rs` | what to begin with |
//! | `change.rs` | how bytes are changed without guidance |
//! | `main.rs` | the program of `make fuzz`: libFuzzer, which is guided by coverage |
//! | `tests/bounded.rs` | what `make test` does: a fixed number of changes, without guidance, in seconds |
//!
//! Bytes that have broken something are kept in `corpus/TARGET/`, where every run begins with them. Other files there have
//! been found by `make fuzz` to reach what the usual beginnings do not.
#![forbid(unsafe_code)]
#![allow(clippy::missing_panics_doc, reason = "a panic is how a target says that something is wrong")]

pub mod change;
pub mod corpus;
pub mod targets;

pub use targets::{TARGETS, Target};
