//! The `orlop` command: arguments in, output and an exit status out. What happens in between is `orlop-runtime`'s.
//!
//! | file | what is in it |
//! |---|---|
//! | [`commands`] | one file per command: its arguments, and what it prints |
//! | [`several`] | commands for several containers at once |
//!
//! What it shares with `orlop-tools`, arguments and output above all, is in `orlop-command`.
#![forbid(unsafe_code)]

mod commands;
mod several;

use std::process::ExitCode;

use orlop_command::{companion, flags, output, values};

/// One-shot processes need no memory back: nothing is freed but at the end.
#[cfg(target_env = "musl")]
#[global_allocator]
static ARENA: orlop_sys::arena::Arena = orlop_sys::arena::Arena::new();

/// This process is no one-shot: its memory has to be taken back.
pub(crate) fn live_on() {
    #[cfg(target_env = "musl")]
    ARENA.live_on();
}

fn main() -> ExitCode {
    orlop_command::main(&commands::ORLOP)
}
