//! `orlop audit`

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command};
use orlop_command::entry::{Entry, PLAIN};
use orlop_command::globals::Globals;
use orlop_command::{flags, output};
use orlop_explain::Assumptions;
use orlop_explain::audit::{Audit, Level, rules};
use orlop_explain::inspect::View;
use orlop_runtime::{ContainerId, Error, Result};

use super::{explain, inspect};
use crate::terminal;

/// The status if there is a finding of the level of `--fail-on`, or a worse one: an error of the command has another one.
const FOUND: u8 = 2;

pub(super) const ENTRY: Entry = Entry {
    name: "audit",
    about: "Show what a bundle's container, a running one or any process could reach",
    arguments,
    run,
    ..PLAIN
};

fn arguments(command: Command) -> Command {
    command.args([
        Arg::new("subject").value_name("BUNDLE|ID").help("A bundle or a container [default: the bundle .]"),
        inspect::pid(),
        flags::path("config", "FILE", "The config [default: config.json in the bundle]"),
        flags::option("format", "FORMAT", "How to print: text, json or sarif")
            .short('f')
            .value_parser(["text", "json", "sarif"])
            .hide_possible_values(true)
            .default_value("text"),
        flags::option(
            "fail-on",
            "LEVEL",
            "End with 2 on findings of this level and worse ones: critical, high, medium, low, info",
        )
        .value_parser(level),
        flags::option("accept", "RULE,…", "Leave out these findings, by their names or those of their rules")
            .value_delimiter(',')
            .action(ArgAction::Append),
        flags::option("assume", "FACTS", "Facts of another machine, as for explain")
            .value_parser(Assumptions::parse),
    ])
}

fn level(name: &str) -> std::result::Result<Level, String> {
    Level::from_name(name).ok_or_else(|| format!("{name:?} is none of critical, high, medium, low, info"))
}

/// What is wanted.
fn accepted(arguments: &ArgMatches) -> Result<Vec<String>> {
    let names: Vec<String> = arguments.get_many("accept").into_iter().flatten().cloned().collect();
    names.iter().find(|name| !rules::is_name(name)).map_or(Ok(()), |name| {
        let why = format!("--accept {name}: there is no such rule; `orlop audit` names what it finds");
        Err(Error::usage(why))
    })?;
    Ok(names)
}

fn run(globals: &Globals, arguments: &ArgMatches) -> Result<u8> {
    let accepted = accepted(arguments)?;
    let audit = audit(globals, arguments)?.without(&accepted);
    output::write(match flags::get(arguments, "format").map_or("text", String::as_str) {
        "json" => audit.json(),
        "sarif" => audit.sarif(),
        _ => audit.text(&terminal::page()),
    })?;
    let fail = flags::get::<Level>(arguments, "fail-on").is_some_and(|level| audit.reaches(*level));
    Ok(if fail { FOUND } else { 0 })
}

fn audit(globals: &Globals, arguments: &ArgMatches) -> Result<Audit> {
    let subject = flags::get::<String>(arguments, "subject");
    if let Some(pid) = flags::get::<i32>(arguments, "pid") {
        if subject.is_some() {
            return Err(Error::usage("either a bundle, a container or --pid can be looked at"));
        }
        of_bundles_only(arguments)?;
        return Ok(Audit::of_process(&View::of_pid(*pid)?.report(None)?, None));
    }
    match subject {
        Some(id) if !is_bundle(id) => {
            of_bundles_only(arguments)?;
            let id = ContainerId::new(id)?;
            let report = inspect::of_container(globals, &id)?.report(Some(id.to_string()))?;
            // Where it cannot be compiled any more, what the kernel tells has to do.
            let made_from = globals.runtime()?.plan_again(&id).ok();
            Ok(Audit::of_process(&report, made_from.as_ref()))
        }
        bundle => {
            let bundle = PathBuf::from(bundle.map_or(".", String::as_str));
            let (planned, assumed) = explain::plan(globals, arguments, bundle)?;
            Ok(Audit::of_bundle(&planned, assumed))
        }
    }
}

/// Refuses what has no meaning for what runs already.
fn of_bundles_only(arguments: &ArgMatches) -> Result<()> {
    let given = ["config", "assume"].into_iter().find(|name| arguments.contains_id(name));
    given.map_or(Ok(()), |name| {
        Err(Error::usage(format!("--{name} is for bundles: a process is as the kernel says")))
    })
}

/// A path is a bundle, and so is a name that is a directory with a config; any other name is a container's.
fn is_bundle(subject: &str) -> bool {
    subject.contains('/') || [".", ".."].contains(&subject) || Path::new(subject).join("config.json").exists()
}
