//! `orlop list`, `state` and `stats` with a template: without one they are the runtime's own commands.

use clap::ArgMatches;
use orlop_command::entry::{Entry, PLAIN};
use orlop_command::{flags, output};
use orlop_runtime::{ContainerState, Error, Result, Usage};
use serde_json::json;

use crate::format::{self, Format};
use crate::template::{Row, Template};

pub(super) const LIST: Entry = Entry {
    name: "list",
    about: "List containers",
    arguments: |command| {
        let quiet = flags::switch("quiet", "Print ids only").short('q');
        command.args([format::option("table"), quiet.conflicts_with("format")])
    },
    run: |globals, arguments| {
        let states = globals.runtime()?.list()?;
        format::print(&template(arguments)?, &states.iter().map(of_state).collect::<Vec<_>>())?;
        Ok(0)
    },
    ..PLAIN
};

pub(super) const STATE: Entry = Entry {
    name: "state",
    about: "Print the state of a container as JSON",
    arguments: |command| command.args([format::option("json"), flags::id()]),
    run: |globals, arguments| {
        let state = globals.runtime()?.state(&flags::get_id(arguments)?)?;
        format::print(&template(arguments)?, &[of_state(&state)])?;
        Ok(0)
    },
    ..PLAIN
};

pub(super) const STATS: Entry = Entry {
    name: "stats",
    about: "Show what running containers use, every second",
    arguments: |command| command.arg(format::option("table")).args(orlop_cli::stats_arguments()),
    run: |globals, arguments| {
        let template = template(arguments)?;
        orlop_cli::watch_stats(globals, arguments, &mut |clear, usages| {
            let text = format::text(&template, &usages.iter().map(of_usage).collect::<Vec<_>>())?;
            output::write(format!("{clear}{text}"))
        })
    },
    ..PLAIN
};

/// The template, without which nobody comes here.
fn template(arguments: &ArgMatches) -> Result<Template> {
    match format::get(arguments) {
        Format::Template(template) => Ok(template),
        _ => Err(Error::usage("--format: a template is needed, such as '{{.ID}}'")),
    }
}

/// A container, with Docker's names for what there is of it.
fn of_state(state: &ContainerState) -> Row {
    Row {
        value: json!(state),
        shown: vec![
            ("ID", state.id.clone()),
            ("Names", state.id.clone()),
            ("Name", state.id.clone()),
            ("Status", orlop_cli::list_status(state)),
            ("State", state.status.to_string()),
            ("CreatedAt", state.created.clone()),
        ],
    }
}

fn of_usage(usage: &Usage) -> Row {
    let [id, cpu, memory, share, net, disk, pids] = orlop_cli::stats_row(usage);
    let shown = [
        ("ID", id.clone()),
        ("Container", id.clone()),
        ("Name", id),
        ("CPUPerc", cpu),
        ("MemUsage", memory),
        ("MemPerc", share),
        ("NetIO", net),
        ("BlockIO", disk),
        ("PIDs", pids),
    ];
    Row { value: json!(usage), shown: shown.to_vec() }
}
