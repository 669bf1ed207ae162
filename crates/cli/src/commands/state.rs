//! `orlop state`

use orlop_command::entry::Companion;

use super::{Entry, PLAIN};
use crate::{flags, output};

pub(super) const ENTRY: Entry = Entry {
    name: "state",
    about: "Print the state of a container as JSON",
    companion: Companion::ForTemplates,
    arguments: |command| command.arg(flags::id()),
    // The companion takes it.
    rare: Some(|command| {
        let format = flags::option("format", "TEMPLATE", "Print a template such as '{{.pid}}'").short('f');
        command.arg(format.value_parser(["{{…}}"]).hide_possible_values(true))
    }),
    run: |globals, arguments| {
        let state = globals.runtime()?.state(&flags::get_id(arguments)?)?;
        output::json(&state, Some("  "))?;
        Ok(0)
    },
    ..PLAIN
};
