//! `orlop image …`

mod import;
mod look;
mod remove;
mod save;

use clap::{ArgMatches, Command};
use orlop_command::entry::{Entry, PLAIN};
use orlop_runtime::{Error, Result};

pub(super) const ENTRY: Entry = Entry {
    name: "image",
    about: "Import, list, inspect, remove and save images",
    arguments: |command| {
        command
            .subcommand_required(true)
            .arg_required_else_help(true)
            .disable_help_subcommand(true)
            .subcommands(
                SUBCOMMANDS.iter().map(|sub| (sub.arguments)(Command::new(sub.name).about(sub.about))),
            )
    },
    run: |_, arguments| {
        let (name, arguments) =
            arguments.subcommand().ok_or_else(|| Error::usage("image needs a command"))?;
        let named = |sub: &&Subcommand| sub.name == name;
        let sub =
            SUBCOMMANDS.iter().find(named).ok_or_else(|| Error::usage(format!("no such command: {name}")))?;
        (sub.run)(arguments).map(|()| 0)
    },
    ..PLAIN
};

/// A command below `orlop image`.
struct Subcommand {
    name: &'static str,
    about: &'static str,
    arguments: fn(Command) -> Command,
    run: fn(&ArgMatches) -> Result<()>,
}

const SUBCOMMANDS: &[Subcommand] =
    &[import::IMPORT, look::LIST, look::INSPECT, look::HISTORY, remove::REMOVE, remove::GC, save::SAVE];
