//! `orlop top`

use super::{Entry, PLAIN, ps};
use crate::flags;

pub(super) const ENTRY: Entry = Entry {
    name: "top",
    about: "List the processes of a container, as Docker does: ps without options of its own",
    tail: Some(1),
    arguments: |command| command.args([flags::id(), ps::options()]),
    run: |globals, arguments| {
        ps::print(&globals.runtime()?.processes(&flags::get_id(arguments)?)?, arguments)?;
        Ok(0)
    },
    ..PLAIN
};
