//! `orlop create`

use super::{Entry, PLAIN};
use crate::flags;

pub(super) const ENTRY: Entry = Entry {
    name: "create",
    about: "Create a container; its program waits for start",
    arguments: |command| {
        command.args(flags::create()).arg(
            // crun takes it and does nothing with it; nothing is what it asks for here.
            flags::switch("no-subreaper", "Accepted as crun does: create never becomes a subreaper")
                .hide(true),
        )
    },
    rare: Some(|command| command.arg(flags::overlay())),
    run: |globals, arguments| {
        let runtime = globals.runtime()?;
        runtime.create(&flags::get_id(arguments)?, &flags::get_create(arguments))?;
        Ok(0)
    },
    ..PLAIN
};
