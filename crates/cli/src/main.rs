//! The `orlop` command; its commands are the library's beside it.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_main)]

/// One-shot processes need no memory back: nothing is freed but at the end.
#[cfg(target_env = "musl")]
#[global_allocator]
static ARENA: orlop_sys::arena::Arena = orlop_sys::arena::Arena::new();

#[cfg(not(test))]
orlop_sys::entry!(run);

#[cfg(not(test))]
fn run() -> u8 {
    orlop_cli::main(|| {
        #[cfg(target_env = "musl")]
        ARENA.live_on();
    })
}
