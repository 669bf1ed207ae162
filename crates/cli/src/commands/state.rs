//! `orlop state`

use super::{Entry, PLAIN};
use crate::{flags, output};

pub(super) const ENTRY: Entry = Entry {
    name: "state",
    about: "Print the state of a container as JSON",
    arguments: |command| command.arg(flags::id()),
    run: |globals, arguments| {
        let state = globals.runtime()?.state(&flags::get_id(arguments)?)?;
        output::json(&state, Some("  "))?;
        Ok(0)
    },
    ..PLAIN
};
