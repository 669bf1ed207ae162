//! OCI seccomp profiles to BPF: compiler, disassembler, simulator.
//!
//! [`compile()`] turns the `linux.seccomp` block of a config into the program that `seccomp(2)` loads. It is pure:
//! nothing is read but the profile, and nothing is loaded. Its decisions are libseccomp's (the tests compare the two
//! on every system call), but it takes a fraction of the time, and its programs take a fraction of the kernel's.
//!
//! | module | what it knows |
//! |---|---|
//! | `profile` | the specification's strings; every diagnostic but one comes from here |
//! | `compile` | which rule decides which number on which architecture |
//! | `verdicts` | what the rules say about each system call of an architecture |
//! | `numbers` | the search from a number to its target |
//! | `condition`, `chain` | arguments: conditions as 32-bit tests, and how tests follow each other |
//! | `assembler` | jumps and their reach |
//! | [`standard()`] | the profile of containers that were not given one |
//! | `reason` | which rule is responsible for a decision |
//! | [`tables`] | system calls by name and number |
//! | [`mod@verify`], [`mod@simulate`], [`mod@disassemble`] | programs, seen from outside |
#![forbid(unsafe_code)]

mod action;
mod arch;
mod assembler;
mod bpf;
mod chain;
mod compile;
mod condition;
mod diagnostic;
pub mod disassemble;
mod numbers;
mod profile;
mod reason;
pub mod simulate;
mod standard;
pub mod tables;
mod verdicts;
pub mod verify;

pub use action::Action;
pub use arch::Arch;
pub use bpf::{Insn, MAX_INSNS};
pub use compile::{Filter, Options, compile};
pub use diagnostic::{Diagnostic, Place, Problem};
pub use disassemble::{disassemble, disassemble_program};
pub use profile::flag;
pub use reason::{Reason, reason};
pub use simulate::{Outcome, SeccompData, simulate};
pub use standard::standard;
pub use verify::{Malformed, Verified, verify};
