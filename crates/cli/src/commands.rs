//! The commands: one file each, with its arguments and what it prints.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::OnceLock;

use clap::{Arg, ArgAction, ArgMatches, Command};
use orlop_runtime::Result;

use crate::argv;
use crate::globals::{self, Globals};

mod checkpoint;
mod create;
mod delete;
mod events;
mod exec;
mod features;
mod gc;
mod kill;
mod list;
mod logs;
mod mounts;
#[cfg(test)]
mod parity;
mod pause;
mod ps;
mod restart;
mod restore;
mod resume;
mod run;
mod spec;
mod start;
mod state;
mod stats;
mod stop;
mod supervise;
mod top;
mod try_it;
mod update;
mod version;
mod wait;

/// A command.
pub(crate) struct Entry {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it does, in one line.
    about: &'static str,
    /// After how many arguments the others belong to another program, if ever.
    pub(crate) tail: Option<usize>,
    /// The exit status when it fails.
    pub(crate) failure: u8,
    /// It is for ourselves, and not shown.
    hidden: bool,
    /// Adds its arguments.
    arguments: fn(Command) -> Command,
    /// Adds those that are seldom given, and are not defined where none of them can be meant.
    rare: Option<fn(Command) -> Command>,
    /// Runs it; the exit status.
    pub(crate) run: fn(&Globals, &ArgMatches) -> Result<u8>,
}

/// What most commands are like.
const PLAIN: Entry = Entry {
    name: "",
    about: "",
    tail: None,
    failure: 1,
    hidden: false,
    arguments: |c| c,
    rare: None,
    run: |_, _| Ok(0),
};

/// All commands, in the order of a container's life.
pub(crate) const COMMANDS: &[Entry] = &[
    try_it::ENTRY,
    spec::ENTRY,
    run::ENTRY,
    create::ENTRY,
    start::ENTRY,
    state::ENTRY,
    list::ENTRY,
    ps::ENTRY,
    top::ENTRY,
    stats::ENTRY,
    logs::ENTRY,
    wait::ENTRY,
    exec::ENTRY,
    kill::ENTRY,
    stop::ENTRY,
    restart::ENTRY,
    pause::ENTRY,
    resume::ENTRY,
    update::ENTRY,
    mounts::ENTRY,
    events::ENTRY,
    checkpoint::ENTRY,
    restore::ENTRY,
    delete::ENTRY,
    gc::ENTRY,
    features::ENTRY,
    version::ENTRY,
    supervise::ENTRY,
];

/// The form of help that engines' tests know: the name first.
const HELP: &str = "NAME:\n   {bin} - {about}\n\n{usage-heading} {usage}\n\n{all-args}{after-help}";

const EXIT_STATUSES: &str = "\
Exit statuses:
  run, exec and restore without --detach, and try: the status of the process, or 128 + n if signal n killed it
  255: exec could not start the process
  1: any other error
  0: all is well";

impl Entry {
    /// Its definition for clap.
    pub(crate) fn define(&self) -> Command {
        self.rare.map_or_else(|| self.usual(), |rare| rare(self.usual()))
    }

    /// The same as far as it is needed to understand these arguments.
    pub(crate) fn define_for<'a>(&self, given: impl IntoIterator<Item = &'a OsString>) -> Command {
        let usual = self.usual();
        match self.rare {
            Some(rare) if given.into_iter().any(|arg| !argv::is_known(&usual, arg)) => rare(usual),
            _ => usual,
        }
    }

    fn usual(&self) -> Command {
        let name = format!("{} {}", program(), self.name);
        let command = Command::new(self.name).help_template(HELP.replace("{bin}", &name)).bin_name(name);
        // Of options given twice the last counts, as with Go.
        (self.arguments)(command.about(self.about).hide(self.hidden).args_override_self(true))
    }
}

/// The command with this name.
pub(crate) fn find(name: &OsStr) -> Option<&'static Entry> {
    COMMANDS.iter().find(|entry| name == entry.name)
}

/// The definition of the global options alone.
pub(crate) fn globals_only() -> Command {
    let version =
        Arg::new("version").long("version").short('v').action(ArgAction::SetTrue).help("Print the version");
    Command::new("orlop")
        .bin_name(program())
        .about("Open Container Initiative runtime")
        .help_template(HELP.replace("{bin}", program()))
        .args_override_self(true)
        .override_usage(format!("{} [OPTIONS] <COMMAND>", program()))
        .args(globals::options())
        .arg(version)
        .no_binary_name(true)
}

/// The definition of everything.
pub(crate) fn all() -> Command {
    let commands = COMMANDS.iter().map(Entry::define);
    let template = HELP
        .replace("{bin}", program())
        .replace("{all-args}", "Commands:\n{subcommands}\n\nOptions:\n{options}");
    globals_only().subcommands(commands).help_template(template).after_help(EXIT_STATUSES)
}

/// The name that this program goes by: its own, or that of a runtime whose place it has taken by a link of that name.
/// Some who call one tell it by this.
pub(crate) fn program() -> &'static str {
    static NAME: OnceLock<&str> = OnceLock::new();
    NAME.get_or_init(|| {
        let called = std::env::args_os().next().unwrap_or_default();
        let called = Path::new(&called).file_name().unwrap_or_default();
        ["runc", "crun"].into_iter().find(|name| called == *name).unwrap_or("orlop")
    })
}

/// What `--version` prints: lines that engines read.
pub(crate) fn version() -> String {
    let own = if program() == "orlop" { "" } else { " (orlop)" };
    format!(
        "{} version {}{own}\ncommit: {}\nspec: {}\n",
        program(),
        env!("CARGO_PKG_VERSION"),
        option_env!("ORLOP_COMMIT").unwrap_or("unknown"),
        orlop_spec::VERSION
    )
}

/// The exit status of a container's process as this process's own.
fn status(of_container: i32) -> u8 {
    // The kernel gives statuses from 0 to 255, and signals are numbered up to 64.
    u8::try_from(of_container).unwrap_or(u8::MAX)
}
