//! `orlop explain`

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use orlop_command::entry::{Entry, PLAIN};
use orlop_command::globals::Globals;
use orlop_command::{flags, output};
use orlop_explain::Assumptions;
use orlop_explain::explain::{Story, diff, html, mermaid, tell, text};
use orlop_explain::filter::{Call, Filter};
use orlop_runtime::{ContainerId, CreateOptions, Error, Planned, Result};
use orlop_seccomp::Arch;

use crate::terminal;

/// The status if a call that was asked about does not pass: an error of the command has another one.
const REFUSED: u8 = 2;

pub(super) const ENTRY: Entry = Entry {
    name: "explain",
    about: "Show what would be done for a bundle, step by step, and why",
    arguments,
    run,
    ..PLAIN
};

fn arguments(command: Command) -> Command {
    let bundle = Arg::new("bundle").value_name("BUNDLE").action(ArgAction::Append).num_args(0..=2);
    let formats = ["text", "json", "html", "mermaid"];
    command.args([
        bundle.value_parser(value_parser!(PathBuf)).help("The bundle, or with --diff two [default: .]"),
        flags::path("config", "FILE", "The config [default: config.json in the bundle]"),
        flags::option("format", "FORMAT", "How to print: text, json, html or mermaid")
            .short('f')
            .value_parser(formats)
            .hide_possible_values(true)
            .default_value("text"),
        flags::option(
            "assume",
            "FACTS",
            "Facts of another machine, such as kernel=6.8,cgroup=v2,caps=all, or typical",
        )
        .value_parser(Assumptions::parse),
        flags::switch("diff", "Show what the second bundle's container gets that the first one's does not")
            .conflicts_with_all(["seccomp", "syscall", "config"]),
        flags::switch("seccomp", "Show the system call filter"),
        flags::option(
            "syscall",
            "CALL",
            "Say whether a system call passes the filter, such as 'socket(AF_ALG)'",
        )
        .value_parser(Call::parse)
        .action(ArgAction::Append),
        flags::option(
            "arch",
            "ARCH",
            "The architecture that makes the call, such as x86 [default: this one]",
        )
        .requires("syscall")
        .value_parser(arch),
        flags::switch("no-pivot", "As for create"),
        flags::switch("init", "As for create"),
    ])
}

fn arch(name: &str) -> std::result::Result<Arch, String> {
    let upper = name.to_ascii_uppercase();
    let found = Arch::all().find(|arch| arch.name() == upper);
    found.ok_or_else(|| {
        let names: Vec<_> = Arch::all().map(|arch| arch.name().to_ascii_lowercase()).collect();
        format!("there is no architecture {name:?}; there are {}", names.join(" "))
    })
}

fn run(globals: &Globals, arguments: &ArgMatches) -> Result<u8> {
    let bundles: Vec<PathBuf> = arguments.get_many("bundle").into_iter().flatten().cloned().collect();
    if arguments.get_flag("diff") {
        return difference(globals, arguments, &bundles);
    }
    if bundles.len() > 1 {
        return Err(Error::usage("one bundle can be explained at a time; --diff compares two"));
    }
    let bundle = bundles.into_iter().next().unwrap_or_else(|| PathBuf::from("."));
    let (planned, assumed) = plan(globals, arguments, bundle)?;
    let calls: Vec<&Call> = arguments.get_many("syscall").into_iter().flatten().collect();
    if arguments.get_flag("seccomp") || !calls.is_empty() {
        return filter(&planned, arguments, &calls);
    }
    let story = tell(&planned, assumed);
    output::write(render(&story, format(arguments)))?;
    Ok(0)
}

fn format(arguments: &ArgMatches) -> &str {
    flags::get(arguments, "format").map_or("text", String::as_str)
}

fn render(story: &Story, format: &str) -> String {
    match format {
        "json" => story.json(),
        "html" => html::render(story),
        "mermaid" => mermaid::render(story),
        _ => text::render(story, &terminal::page()),
    }
}

/// Compiles a bundle with the facts of this machine, or with others; what was assumed.
pub(super) fn plan(
    globals: &Globals,
    arguments: &ArgMatches,
    bundle: PathBuf,
) -> Result<(Planned, Vec<String>)> {
    let assume: Assumptions = flags::get(arguments, "assume").cloned().unwrap_or_default();
    let has = |flag: &str| arguments.try_get_one::<bool>(flag).ok().flatten() == Some(&true);
    let config: Option<PathBuf> = arguments.try_get_one("config").ok().flatten().cloned();
    let options = CreateOptions {
        bundle,
        config,
        no_pivot: has("no-pivot"),
        init: has("init"),
        ..CreateOptions::default()
    };
    let mut assumed = Vec::new();
    let id = ContainerId::new("container")?;
    let planned =
        globals.runtime()?.plan(&id, &options, &mut |spec, host| assumed = assume.apply(spec, host))?;
    Ok((planned, assumed))
}

fn difference(globals: &Globals, arguments: &ArgMatches, bundles: &[PathBuf]) -> Result<u8> {
    let [first, second] = bundles else {
        return Err(Error::usage("--diff needs two bundles"));
    };
    let story = |bundle: &PathBuf| {
        let (planned, assumed) = plan(globals, arguments, bundle.clone())?;
        Result::Ok(tell(&planned, assumed))
    };
    let difference = diff::compare(&story(first)?, &story(second)?);
    match format(arguments) {
        "json" => output::write(difference.json())?,
        "text" => output::write(difference.text(&terminal::page()))?,
        other => return Err(Error::usage(format!("--diff can be printed as text or json, not as {other}"))),
    };
    Ok(0)
}

/// The status is 2 if a call that was asked about does not pass.
fn filter(planned: &Planned, arguments: &ArgMatches, calls: &[&Call]) -> Result<u8> {
    let page = terminal::page();
    let json = match format(arguments) {
        "text" => false,
        "json" if !calls.is_empty() => true,
        other => return Err(Error::usage(format!("a filter cannot be printed as {other}"))),
    };
    let Some(filter) = Filter::of(planned) else {
        let text = "There is no system call filter: every call of every architecture reaches the kernel.\n";
        output::write(if json { "[]\n" } else { text })?;
        return Ok(0);
    };
    if calls.is_empty() {
        output::write(filter.disassembly(&page))?;
        return Ok(0);
    }
    let host = Arch::host().ok_or_else(|| Error::usage("--arch is needed on this machine"))?;
    let arch = flags::get(arguments, "arch").copied().unwrap_or(host);
    let answers = calls.iter().map(|call| filter.ask(call, arch)).collect::<std::result::Result<Vec<_>, _>>();
    let answers = answers.map_err(Error::usage)?;
    if json {
        output::json(&answers, Some("  "))?;
    } else {
        output::write(answers.iter().map(|answer| answer.render(&page)).collect::<String>())?;
    }
    Ok(if answers.iter().all(|answer| answer.passes) { 0 } else { REFUSED })
}
