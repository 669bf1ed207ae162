//! `orlop doctor`

use orlop_command::entry::{Entry, PLAIN};
use orlop_command::{flags, output};
use orlop_explain::doctor::Diagnosis;

use super::inspect;
use crate::terminal;

pub(super) const ENTRY: Entry = Entry {
    name: "doctor",
    about: "Show whether this host can run containers, and what would help",
    arguments: |command| command.arg(inspect::format()),
    run: |globals, arguments| {
        let found = globals.runtime().and_then(|runtime| runtime.leftovers(false));
        let diagnosis = Diagnosis::of_this_host(found.map_err(|e| e.to_string()));
        let json = flags::get(arguments, "format").is_some_and(|format: &String| format == "json");
        output::write(if json { diagnosis.json() } else { diagnosis.text(&terminal::page()) })?;
        Ok(u8::from(!diagnosis.fit))
    },
    ..PLAIN
};
