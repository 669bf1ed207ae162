//! The `orlop` command; its commands are the library's beside it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// One-shot processes need no memory back: nothing is freed but at the end.
#[cfg(target_env = "musl")]
#[global_allocator]
static ARENA: orlop_sys::arena::Arena = orlop_sys::arena::Arena::new();

fn main() -> ExitCode {
    orlop_cli::main(|| {
        #[cfg(target_env = "musl")]
        ARENA.live_on();
    })
}
