//! `orlop inspect`

use clap::{Arg, ArgMatches, value_parser};
use orlop_command::entry::{Entry, PLAIN};
use orlop_command::globals::Globals;
use orlop_command::{flags, output};
use orlop_explain::inspect::{Report, View};
use orlop_runtime::{Error, Result};
use orlop_spec::Status;
use serde_json::json;

use crate::format::{self, Format};
use crate::template::Row;
use crate::terminal;

pub(super) const ENTRY: Entry = Entry {
    name: "inspect",
    about: "Show a running container, or any process, from the kernel's side",
    arguments: |command| {
        let id = flags::id().required(false);
        command.args([id, pid(), format::option("text")])
    },
    run: |globals, arguments| {
        let (view, id) = view(globals, arguments)?;
        let report = view.report(id)?;
        match format::get(arguments) {
            Format::Plain => output::write(report.text(&terminal::page())),
            Format::Json => output::write(report.json()),
            Format::Template(template) => format::print(&template, &[row(globals, arguments, &report)?]),
        }?;
        Ok(0)
    },
    ..PLAIN
};

/// What the kernel says, and below `state`, as Docker has it, what is recorded.
fn row(globals: &Globals, arguments: &ArgMatches, report: &Report) -> Result<Row> {
    let mut value = json!(report);
    let mut shown = Vec::new();
    if report.id.is_some() {
        let state = globals.runtime()?.state(&flags::get_id(arguments)?)?;
        let is = |status| state.status == status;
        value["state"] = json!({
            "status": state.status, "pid": state.pid, "running": is(Status::Running), "paused": is(Status::Paused),
        });
        shown = vec![("Name", state.id.clone()), ("Created", state.created)];
    }
    Ok(Row { value, shown })
}

/// `--pid`.
pub(super) fn pid() -> Arg {
    flags::option("pid", "PID", "Any process, of any runtime").value_parser(value_parser!(i32).range(1..))
}

/// `--format`, of text and JSON.
pub(super) fn format() -> Arg {
    flags::option("format", "FORMAT", "How to print: text or json")
        .short('f')
        .value_parser(["text", "json"])
        .hide_possible_values(true)
        .default_value("text")
}

/// The process that is meant, held, and the container's id.
fn view(globals: &Globals, arguments: &ArgMatches) -> Result<(View, Option<String>)> {
    match (flags::get::<i32>(arguments, "pid"), flags::get::<String>(arguments, "id")) {
        (Some(pid), None) => Ok((View::of_pid(*pid)?, None)),
        (None, Some(_)) => {
            let id = flags::get_id(arguments)?;
            Ok((of_container(globals, &id)?, Some(id.to_string())))
        }
        _ => Err(Error::usage("either a container's ID or --pid is needed")),
    }
}

/// The first process of a container.
pub(super) fn of_container(globals: &Globals, id: &orlop_runtime::ContainerId) -> Result<View> {
    let process = globals.runtime()?.first_process_of(id)?;
    View::of(
        process.ok_or_else(|| {
            Error::usage(format!("container {id} does not run: there is nothing to look at"))
        })?,
    )
}
