//! The commands of `orlop`: arguments in, output and an exit status out. What happens in between is `orlop-runtime`'s.
//!
//! | file | what is in it |
//! |---|---|
//! | [`commands`] | one file per command: its arguments, and what it prints |
//! | [`several`] | commands for several containers at once |
//!
//! A library, so that `orlop-tools` can read the table that the program is made of: manual pages and completions come from
//! it. What both share, arguments and output above all, is in `orlop-command`.
#![forbid(unsafe_code)]

mod commands;
mod several;

use std::sync::OnceLock;

use orlop_command::{companion, flags, output, values};

pub use commands::{ORLOP, list_status, stats_arguments, stats_row, watch_stats};

/// What [`main`] was given.
static LIVE_ON: OnceLock<fn()> = OnceLock::new();

/// The program's `main`; the exit status. `live_on` is called when this process turns out to be no one-shot, whose memory has
/// to be taken back.
pub fn main(live_on: fn()) -> u8 {
    LIVE_ON.get_or_init(|| live_on);
    orlop_command::main(&ORLOP)
}

/// This process is no one-shot.
pub(crate) fn live_on() {
    if let Some(live_on) = LIVE_ON.get() {
        live_on();
    }
}
