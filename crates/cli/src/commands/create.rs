//! `orlop create`

use super::{Entry, PLAIN, ahead};
use crate::{companion, flags};

pub(super) const ENTRY: Entry = Entry {
    name: "create",
    about: "Create a container; its program waits for start",
    arguments: |command| command.args(flags::create()),
    rare: Some(|command| {
        // crun takes it and does nothing with it; nothing is what it asks for here.
        let no_subreaper =
            flags::switch("no-subreaper", "Accepted as crun does: create never becomes a subreaper");
        command
            .args(flags::rare_of_create())
            .arg(no_subreaper.hide(true))
            .args([flags::overlay(), flags::trace()])
            .args(flags::strict::all())
    }),
    ahead: Some(ahead::begin),
    run: |globals, arguments| {
        let runtime = globals.runtime()?;
        let create = flags::get_create(arguments);
        flags::strict::check(arguments, &create)?;
        let id = flags::get_id(arguments)?;
        companion::traced(create.trace.as_deref(), || runtime.create(&id, &create).map(|()| 0))
    },
    ..PLAIN
};
