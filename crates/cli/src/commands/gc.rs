//! `orlop gc`

use orlop_runtime::leftovers::Leftover;
use orlop_runtime::{Error, log};
use serde::Serialize;

use super::{Entry, PLAIN};
use crate::{flags, output};

pub(super) const ENTRY: Entry = Entry {
    name: "gc",
    about: "Remove what containers that are gone have left behind",
    arguments: |command| {
        let dry = flags::switch("dry-run", "Only show it");
        let stopped = flags::switch("stopped", "Delete containers that have ended, too");
        command.args([dry, stopped, flags::format()])
    },
    run: |globals, arguments| {
        let runtime = globals.runtime()?;
        let mut failure: Option<Error> = None;
        let mut rows = Vec::new();
        for leftover in runtime.leftovers(arguments.get_flag("stopped"))? {
            let outcome = if !leftover.processes.is_empty() {
                // Nobody knows any more what they are for.
                "in use"
            } else if arguments.get_flag("dry-run") {
                "found"
            } else if let Err(e) = runtime.remove_leftover(&leftover) {
                if let Some(earlier) = failure.replace(e) {
                    log::failure(&earlier);
                }
                "left"
            } else {
                "removed"
            };
            rows.push(Row { leftover, outcome });
        }
        if flags::is_json(arguments) {
            output::json(&rows, None)?;
        } else {
            output::write(table(&rows))?;
        }
        failure.map_or(Ok(0), Err)
    },
    ..PLAIN
};

/// A leftover, and what has become of it.
#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    leftover: Leftover,
    outcome: &'static str,
}

fn table(rows: &[Row]) -> String {
    let mut cells = vec![["KIND", "ID", "OUTCOME", "PATH", "WHY"].map(str::to_owned)];
    cells.extend(rows.iter().map(|Row { leftover, outcome }| {
        let path = leftover.path.display().to_string();
        let inside = match &*leftover.processes {
            [] => String::new(),
            inside => format!("; processes in it: {inside:?}"),
        };
        let why = format!("{}{inside}", leftover.why);
        [leftover.kind.to_string(), leftover.id.clone(), (*outcome).to_owned(), path, why]
    }));
    output::table(&cells)
}
