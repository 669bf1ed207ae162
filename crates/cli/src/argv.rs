//! From arguments to the command that they ask for.
//!
//! The arguments are split by hand, at the command's name, and only that command is defined and parsed. On the way, long
//! options with one dash (`-bundle x`), which Go programs accept and engines therefore use, become ordinary ones.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use clap::error::ErrorKind;
use clap::{ArgMatches, Command};
use orlop_runtime::Error;

use crate::commands::{self, Entry};

/// The arguments, split at the command's name.
pub(crate) struct Split {
    /// The definition of the options before it.
    definition: Command,
    /// Options before the command.
    globals: Vec<OsString>,
    /// The command's name, and what follows.
    rest: VecDeque<OsString>,
}

/// Why no command is run.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Somebody asked for a text.
    Print(String),
    /// The arguments are wrong: an error, and how they should have been.
    Wrong(Box<Error>, String),
}

impl Split {
    /// Splits the arguments of this process, the first of which is its name.
    pub(crate) fn new(arguments: impl IntoIterator<Item = OsString>) -> Self {
        let mut rest: VecDeque<_> = arguments.into_iter().skip(1).collect();
        let mut globals = Vec::new();
        let definition = commands::globals_only();
        take_options(&definition, &mut rest, &mut globals);
        Self { definition, globals, rest }
    }

    /// Parses the global options.
    pub(crate) fn globals(&mut self) -> Result<ArgMatches, Stop> {
        let asked = |long: &str, short: &str| self.globals.iter().any(|arg| arg == long || arg == short);
        if asked("--version", "-v") {
            return Err(Stop::Print(commands::version()));
        }
        let help = || Stop::Print(commands::all().render_help().to_string());
        if asked("--help", "-h") {
            return Err(help());
        }
        let globals = self.definition.try_get_matches_from_mut(&self.globals)?;
        if self.rest.is_empty() { Err(help()) } else { Ok(globals) }
    }

    /// Finds the command, and parses its arguments.
    pub(crate) fn command(mut self) -> Result<(&'static Entry, ArgMatches), Stop> {
        let name = self.rest.pop_front().unwrap_or_default();
        let Some(entry) = commands::find(&name) else {
            if let Some(later) = commands::LATER.into_iter().find(|later| name == *later) {
                let error = Error::unsupported(format!("the command {later:?}"));
                return Err(Stop::Wrong(Box::new(error), String::new()));
            }
            // Only now are all of them needed: for `help`, or to find the one that was meant.
            self.rest.push_front(name);
            let mut all = commands::all().no_binary_name(true);
            return Err(match all.try_get_matches_from_mut(self.rest) {
                Err(e) => e.into(),
                Ok(_) => Stop::Print(all.render_help().to_string()),
            });
        };
        let command = entry.define();
        let arguments = rewrite(&command, entry.tail, self.rest);
        command
            .no_binary_name(true)
            .try_get_matches_from(arguments)
            .map(|parsed| (entry, parsed))
            .map_err(Stop::from)
    }
}

impl From<clap::Error> for Stop {
    fn from(e: clap::Error) -> Self {
        let text = e.render().to_string();
        if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand) {
            return Self::Print(text);
        }
        let (what, usage) = text.split_once("\n\n").unwrap_or((&text, ""));
        let what = what.strip_prefix("error: ").unwrap_or(what);
        let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
        Self::Wrong(Box::new(Error::usage(what)), usage.trim_end().to_owned())
    }
}

/// Brings the arguments of a command into the form that clap reads.
///
/// `tail`: after that many arguments that are not options, the others belong to another program and are left alone.
fn rewrite(command: &Command, tail: Option<usize>, mut from: VecDeque<OsString>) -> Vec<OsString> {
    let mut to = Vec::with_capacity(from.len() + 1);
    let mut positionals = 0;
    loop {
        take_options(command, &mut from, &mut to);
        if tail == Some(positionals) || from.front().is_none_or(|next| next == "--") {
            break;
        }
        to.extend(from.pop_front());
        positionals += 1;
        if tail == Some(positionals) {
            break;
        }
    }
    if from.front().is_some_and(|next| next != "--") {
        to.push("--".into());
    }
    to.extend(from);
    to
}

/// Moves options and their values, up to the first argument that is neither.
fn take_options(command: &Command, from: &mut VecDeque<OsString>, to: &mut Vec<OsString>) {
    while let Some(next) = from.front() {
        let bytes = next.as_bytes();
        if bytes.len() < 2 || bytes[0] != b'-' || bytes == b"--" {
            return;
        }
        let name = bytes.strip_prefix(b"--").unwrap_or(&bytes[1..]);
        let name = name.split(|b| *b == b'=').next().unwrap_or(name);
        let long = takes_value(command, name);
        let single_dash = bytes[1] != b'-';
        let wants_value = match long {
            Some(takes) => takes && !bytes.contains(&b'='),
            None => single_dash && short_wants_value(command, &bytes[1..]),
        };
        if long.is_some() && single_dash && name.len() > 1 {
            to.push(OsString::from_vec([b"-", bytes].concat()));
            from.pop_front();
        } else {
            to.extend(from.pop_front());
        }
        if wants_value {
            to.extend(from.pop_front());
        }
    }
}

/// Whether the long option with this name takes a value, if there is one.
fn takes_value(command: &Command, name: &[u8]) -> Option<bool> {
    let option =
        command.get_arguments().find(|arg| arg.get_long().is_some_and(|long| long.as_bytes() == name))?;
    Some(option.get_action().takes_values())
}

/// Whether the last of these short options takes a value, which then is the next argument.
fn short_wants_value(command: &Command, letters: &[u8]) -> bool {
    let takes = |letter: u8| {
        let is_it = |arg: &&clap::Arg| arg.get_short() == Some(char::from(letter));
        command.get_arguments().find(is_it).is_some_and(|arg| arg.get_action().takes_values())
    };
    letters.iter().position(|letter| takes(*letter)) == Some(letters.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(line: &str) -> String {
        let mut words: VecDeque<OsString> = line.split(' ').map(OsString::from).collect();
        let entry = commands::find(&words.pop_front().unwrap()).unwrap();
        let out = rewrite(&entry.define(), entry.tail, words);
        out.join(std::ffi::OsStr::new(" ")).into_string().unwrap()
    }

    fn split(line: &str) -> Split {
        Split::new(line.split(' ').map(OsString::from))
    }

    fn parsed(line: &str) -> ArgMatches {
        match split(line).command() {
            Ok((_, arguments)) => arguments,
            Err(e) => panic!("{line}: {e:?}"),
        }
    }

    fn wrong(line: &str) -> String {
        match split(line).command() {
            Err(Stop::Wrong(e, _)) => e.to_string(),
            other => panic!("{line}: {:?}", other.map(|(entry, _)| entry.name)),
        }
    }

    #[test]
    fn single_dash_long_options_become_ordinary_ones() {
        assert_eq!(
            rewritten("create -bundle /b -no-pivot web"),
            "create --bundle /b --no-pivot web".split_once(' ').unwrap().1
        );
        assert_eq!(rewritten("create -bundle=/b -pid-file=/p web"), "--bundle=/b --pid-file=/p web");
        assert_eq!(rewritten("create -b /b web"), "-b /b web");
        assert_eq!(rewritten("delete web -force"), "web --force");
        assert_eq!(rewritten("run -d -keep web"), "-d --keep web");
    }

    #[test]
    fn values_are_left_alone_even_if_they_look_like_options() {
        assert_eq!(rewritten("create -b -no-pivot web"), "-b -no-pivot web");
        assert_eq!(rewritten("create --pid-file -keep web"), "--pid-file -keep web");
        assert_eq!(rewritten("exec -te -user web sh"), "-te -user web -- sh");
    }

    #[test]
    fn what_follows_belongs_to_the_other_program() {
        assert_eq!(rewritten("exec -t web ls -user --tty"), "-t web -- ls -user --tty");
        assert_eq!(rewritten("exec web -- ls -- -user"), "web -- ls -- -user");
        assert_eq!(rewritten("exec -- web ls -user"), "-- web ls -user");
        assert_eq!(rewritten("ps -format json web -aux"), "--format json web -- -aux");
        assert_eq!(rewritten("try -memory 64m ls -net"), "--memory 64m -- ls -net");
        assert_eq!(rewritten("try -- ls -net"), "-- ls -net");
        let exec = parsed("orlop exec -t web ls -user --tty -- x");
        assert_eq!(exec.get_one::<String>("id").unwrap(), "web");
        let command: Vec<&String> = exec.get_many("command").unwrap().collect();
        assert_eq!(command, ["ls", "-user", "--tty", "--", "x"]);
        let exec = parsed("orlop exec -- web ls -t");
        assert!(!exec.get_flag("tty"));
        assert_eq!(exec.get_many::<String>("command").unwrap().count(), 2);
    }

    #[test]
    fn the_command_is_found_behind_global_options() {
        for line in [
            "orlop --root /r --log /l --log-format json create -b . web",
            "orlop -root /r -debug -log=/l create web",
            "orlop --root create create web",
        ] {
            let mut split = split(line);
            assert!(split.globals().is_ok(), "{line}");
            assert_eq!(split.command().ok().unwrap().0.name, "create", "{line}");
        }
    }

    #[test]
    fn wrong_arguments_are_told_in_one_line() {
        assert_eq!(wrong("orlop create"), "the following required arguments were not provided: <ID>");
        assert_eq!(wrong("orlop state a b"), "unexpected argument 'b' found");
        assert_eq!(wrong("orlop create --no-pivots web"), "unexpected argument '--no-pivots' found");
        assert_eq!(wrong("orlop strat web"), "unrecognized subcommand 'strat'");
        assert!(wrong("orlop exec -u +1 web sh").contains("\"+1\" is not a number from 0 to 4294967294"));
        assert!(matches!(split("orlop --colour create web").globals(), Err(Stop::Wrong(..))));
    }

    #[test]
    fn commands_that_are_not_built_yet_are_refused_as_such() {
        for later in commands::LATER {
            assert!(commands::find(later.as_ref()).is_none(), "{later} is built");
            let line = format!("orlop {later} --resources=- web");
            assert_eq!(wrong(&line), format!("the command {later:?} is not supported yet"));
        }
    }

    #[test]
    fn help_and_version_are_printed() {
        let printed = |line: &str| match split(line).globals().err().or_else(|| split(line).command().err()) {
            Some(Stop::Print(text)) => text,
            _ => panic!("{line}"),
        };
        for line in ["orlop", "orlop --help", "orlop -h", "orlop help", "orlop --debug --help"] {
            let help = printed(line);
            for entry in commands::COMMANDS {
                assert!(help.contains(entry.name), "{line}: {}", entry.name);
            }
            assert!(help.contains("255"), "{line}: exit statuses");
        }
        for line in ["orlop run --help", "orlop run -h", "orlop run -help", "orlop help run"] {
            assert!(printed(line).contains("--no-subreaper"), "{line}");
        }
        for line in ["orlop --version", "orlop -v", "orlop -version"] {
            assert!(printed(line).starts_with("orlop version "), "{line}");
        }
    }

    #[test]
    fn every_definition_is_sound() {
        commands::all().debug_assert();
    }
}
