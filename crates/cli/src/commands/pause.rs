//! `orlop pause`

use super::{Entry, PLAIN};
use crate::flags;

pub(super) const ENTRY: Entry = Entry {
    name: "pause",
    about: "Freeze every process of a container",
    arguments: |command| command.arg(flags::id()),
    run: |globals, arguments| globals.runtime()?.pause(&flags::get_id(arguments)?).map(|()| 0),
    ..PLAIN
};
