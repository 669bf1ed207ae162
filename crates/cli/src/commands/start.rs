//! `orlop start`

use super::{Entry, PLAIN};
use crate::flags;

pub(super) const ENTRY: Entry = Entry {
    name: "start",
    about: "Let the program of a created container run",
    arguments: |command| command.arg(flags::id()),
    run: |globals, arguments| globals.runtime()?.start(&flags::get_id(arguments)?).map(|()| 0),
    ..PLAIN
};
