//! OCI seccomp profiles to BPF: compiler, disassembler, simulator.
#![forbid(unsafe_code)]

mod arch;
pub mod tables;

pub use arch::Arch;
