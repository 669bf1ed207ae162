//! What a command is, and a program that is made of commands.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::OnceLock;

use clap::{Arg, ArgAction, ArgMatches, Command};
use orlop_runtime::Result;

use crate::argv;
use crate::globals::{self, Globals};

/// A command.
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// After how many arguments the others belong to another program, if ever.
    pub tail: Option<usize>,
    /// The exit status when it fails.
    pub failure: u8,
    /// It is for ourselves, and not shown.
    pub hidden: bool,
    /// When the companion is asked instead.
    pub companion: Companion,
    /// Adds its arguments.
    pub arguments: fn(Command) -> Command,
    /// Adds those that are seldom given, and are not defined where none of them can be meant.
    pub rare: Option<fn(Command) -> Command>,
    /// Begins what takes long, before the arguments are understood: it sees all that follow its name, and may guess.
    pub ahead: Option<fn(&[OsString])>,
    /// Runs it; the exit status.
    pub run: fn(&Globals, &ArgMatches) -> Result<u8>,
}

/// When a command is the [companion](crate::companion)'s.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Companion {
    /// Never.
    Never,
    /// Always: it has the command, and here is just its name.
    Always,
    /// If an argument names an image: it has a colon, as no id of a container has.
    ForImages,
    /// If an argument is a template, for `--format`.
    ForTemplates,
}

/// What most commands are like.
pub const PLAIN: Entry = Entry {
    name: "",
    about: "",
    tail: None,
    failure: 1,
    hidden: false,
    companion: Companion::Never,
    arguments: |c| c,
    rare: None,
    ahead: None,
    run: |_, _| Ok(0),
};

/// A command that the companion has.
pub const fn of_companion(name: &'static str, about: &'static str) -> Entry {
    // Whatever follows is for the companion to understand.
    Entry { name, about, companion: Companion::Always, ..PLAIN }
}

/// The form of help that engines' tests know: the name first.
const HELP: &str = "NAME:\n   {bin} - {about}\n\n{usage-heading} {usage}\n\n{all-args}{after-help}";

impl Entry {
    /// Its definition for clap.
    pub fn define(&self) -> Command {
        self.rare.map_or_else(|| self.usual(), |rare| rare(self.usual()))
    }

    /// The same as far as it is needed to understand these arguments.
    pub fn define_for<'a>(&self, given: impl IntoIterator<Item = &'a OsString>) -> Command {
        let usual = self.usual();
        match self.rare {
            Some(rare) if given.into_iter().any(|arg| !argv::is_known(&usual, arg)) => rare(usual),
            _ => usual,
        }
    }

    fn usual(&self) -> Command {
        let name = format!("{} {}", called(), self.name);
        let command = Command::new(self.name).help_template(HELP.replace("{bin}", &name)).bin_name(name);
        // Of options given twice the last counts, as with Go.
        (self.arguments)(command.about(self.about).hide(self.hidden).args_override_self(true))
    }
}

/// A program that is made of commands.
pub struct Program {
    /// What it is, in a few words.
    pub about: &'static str,
    /// All its commands, in the order in which they are listed.
    pub commands: &'static [Entry],
    /// What `--help` says at its end.
    pub after_help: &'static str,
    /// Help on the code of an error, such as `ORL-0304`; the companion has it where this is absent.
    pub codes: Option<fn(&str) -> Option<String>>,
}

impl Program {
    /// The command with this name.
    pub fn find(&self, name: &OsStr) -> Option<&'static Entry> {
        self.commands.iter().find(|entry| name == entry.name)
    }

    /// Begins what the command that these arguments seem to be about takes long for. The value of a global option may have the
    /// name of a command: nothing comes of it then.
    pub fn begin(&self, arguments: &[OsString]) {
        let found = |(at, name): (usize, &OsString)| self.find(name).map(|entry| (entry, at));
        if let Some((Entry { ahead: Some(ahead), .. }, at)) = arguments.iter().enumerate().find_map(found) {
            ahead(&arguments[at + 1..]);
        }
    }

    /// The definition of the global options alone, as far as it is needed to understand these arguments.
    pub fn globals_for<'a>(&self, given: impl IntoIterator<Item = &'a OsString>) -> Command {
        let usual = self.usual_globals();
        if argv::begins_with_known(&usual, given) { usual } else { with_rare_globals(usual) }
    }

    /// The definition of the global options alone.
    pub fn globals_only(&self) -> Command {
        with_rare_globals(self.usual_globals())
    }

    fn usual_globals(&self) -> Command {
        Command::new("orlop")
            .bin_name(called())
            .about(self.about)
            .help_template(HELP.replace("{bin}", called()))
            .args_override_self(true)
            .override_usage(format!("{} [OPTIONS] <COMMAND>", called()))
            .args(globals::usual())
            .no_binary_name(true)
    }

    /// The definition of everything.
    pub fn all(&self) -> Command {
        let commands = self.commands.iter().map(Entry::define);
        let template = HELP
            .replace("{bin}", called())
            .replace("{all-args}", "Commands:\n{subcommands}\n\nOptions:\n{options}");
        self.globals_only().subcommands(commands).help_template(template).after_help(self.after_help)
    }
}

fn with_rare_globals(usual: Command) -> Command {
    let version = Arg::new("version").long("version").short('v').action(ArgAction::SetTrue);
    usual.args(globals::rare()).arg(version.help("Print the version"))
}

/// The name that this program goes by: its own, or that of a runtime whose place it has taken by a link of that name.
/// Some who call one tell it by this.
pub fn called() -> &'static str {
    static NAME: OnceLock<&str> = OnceLock::new();
    NAME.get_or_init(|| {
        let called = orlop_sys::entry::arguments().next().unwrap_or_default();
        let called = Path::new(&called).file_name().unwrap_or_default();
        ["runc", "crun"].into_iter().find(|name| called == *name).unwrap_or("orlop")
    })
}

/// What this program can do, as crun says it; whether the machine can is another question (`orlop doctor`).
const FEATURES: &str = "+SYSTEMD +SELINUX +APPARMOR +CAP +SECCOMP +EBPF +LANDLOCK +RDT +CRIU";

/// What `--version` prints: lines that engines read.
pub fn version() -> String {
    let own = if called() == "orlop" { "" } else { " (orlop)" };
    format!(
        "{} version {}{own}\ncommit: {}\nspec: {}\nrustc: {}\n{FEATURES}\n",
        called(),
        env!("CARGO_PKG_VERSION"),
        option_env!("ORLOP_COMMIT").unwrap_or("unknown"),
        orlop_spec::VERSION,
        option_env!("ORLOP_RUSTC").unwrap_or("unknown"),
    )
}

/// The exit status of a container's process as this process's own.
pub fn status(of_container: i32) -> u8 {
    // The kernel gives statuses from 0 to 255, and signals are numbered up to 64.
    u8::try_from(of_container).unwrap_or(u8::MAX)
}
