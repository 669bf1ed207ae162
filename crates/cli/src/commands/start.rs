//! `orlop start`

use super::{Entry, PLAIN, status};
use crate::flags;

pub(super) const ENTRY: Entry = Entry {
    name: "start",
    about: "Let the program of a created container run; or run a supervised container again that has ended",
    arguments: |command| command.arg(flags::id()),
    run: |globals, arguments| {
        globals.runtime()?.start_any(&flags::get_id(arguments)?, &globals.given).map(status)
    },
    ..PLAIN
};
