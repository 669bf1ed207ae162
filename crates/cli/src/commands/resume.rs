//! `orlop resume`

use super::{Entry, PLAIN};
use crate::flags;

pub(super) const ENTRY: Entry = Entry {
    name: "resume",
    about: "Let a paused container go on",
    arguments: |command| command.arg(flags::id()),
    run: |globals, arguments| globals.runtime()?.resume(&flags::get_id(arguments)?).map(|()| 0),
    ..PLAIN
};
