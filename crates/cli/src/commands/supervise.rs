//! `orlop supervise`: what `run` and `start` call for a supervised container. Nobody else has a use for it.

use super::{Entry, PLAIN};
use crate::flags;

pub(super) const ENTRY: Entry = Entry {
    name: "supervise",
    about: "Run a container that `run` or `start` has prepared, and keep what it writes and how it ends",
    hidden: true,
    arguments: |command| command.arg(flags::id()),
    run: |globals, arguments| {
        crate::live_on();
        globals.runtime()?.supervise(&flags::get_id(arguments)?).map(|()| 0)
    },
    ..PLAIN
};
