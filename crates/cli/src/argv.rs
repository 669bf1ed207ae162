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
        if asked("--version", "-v") || asked("-V", "-V") {
            return Err(Stop::Print(commands::version()));
        }
        let help = || Stop::Print(commands::all().render_help().to_string());
        if asked("--help", "-h") {
            return Err(help());
        }
        let globals = self.definition.try_get_matches_from_mut(&self.globals)?;
        if self.rest.is_empty() { Err(help()) } else { Ok(globals) }
    }

    /// The global options as they were given, in the form that clap reads.
    pub(crate) fn given(&self) -> &[OsString] {
        &self.globals
    }

    /// The exit status where the arguments of the command are wrong.
    pub(crate) fn failure(&self) -> u8 {
        self.rest.front().and_then(|name| commands::find(name)).map_or(1, |entry| entry.failure)
    }

    /// Finds the command, and parses its arguments.
    pub(crate) fn command(mut self) -> Result<(&'static Entry, ArgMatches), Stop> {
        let name = self.rest.pop_front().unwrap_or_default();
        let Some(entry) = commands::find(&name) else {
            if self.rest.iter().any(|arg| arg == "-h" || arg == "--help") {
                let error = Error::usage(format!("No help topic for '{}'", name.display()));
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
        let (name, value) = match name.iter().position(|b| *b == b'=') {
            Some(at) => (&name[..at], Some(&name[at + 1..])),
            None => (name, None),
        };
        let long = takes_value(command, name);
        let single_dash = bytes[1] != b'-';
        if let Some(on) = value.and_then(boolean).filter(|_| is_switch(command, name, single_dash)) {
            let dashes = if single_dash && name.len() == 1 { "-" } else { "--" };
            to.extend(on.then(|| OsString::from_vec([dashes.as_bytes(), name].concat())));
            from.pop_front();
            continue;
        }
        let wants_value = match long {
            Some(takes) => takes && value.is_none(),
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

/// Whether this is an option without a value, by its long name or its letter.
fn is_switch(command: &Command, name: &[u8], single_dash: bool) -> bool {
    let short = |arg: &clap::Arg| arg.get_short().is_some_and(|letter| name == [letter as u8]);
    let long = |arg: &clap::Arg| arg.get_long().is_some_and(|long| long.as_bytes() == name);
    let found = command.get_arguments().find(|arg| long(arg) || single_dash && short(arg));
    found.is_some_and(|arg| !arg.get_action().takes_values())
}

/// A switch may be given a value, as with Go: `--detach=false` is the same as nothing.
fn boolean(value: &[u8]) -> Option<bool> {
    match value {
        b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True" => Some(true),
        b"0" | b"f" | b"F" | b"false" | b"FALSE" | b"False" => Some(false),
        _ => None,
    }
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
    fn switches_may_be_given_a_value() {
        assert_eq!(rewritten("run --detach=true -keep=1 -d=T web"), "--detach --keep -d web");
        assert_eq!(rewritten("run --detach=false -keep=0 --bundle=true web"), "--bundle=true web");
        assert!(wrong("orlop run --detach=maybe web").contains("unexpected value 'maybe'"));
        assert!(parsed("orlop delete --force web web2 --force").get_flag("force"));
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
        assert_eq!(wrong("orlop strat -h"), "No help topic for 'strat'");
        assert!(wrong("orlop exec -u +1 web sh").contains("\"+1\" is not a number from 0 to 4294967294"));
        assert!(matches!(split("orlop --colour create web").globals(), Err(Stop::Wrong(..))));
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
            assert!(help.starts_with("NAME:\n   orlop - "), "{line}: {help}");
        }
        for line in ["orlop run --help", "orlop run -h", "orlop run -help", "orlop help run"] {
            let help = printed(line);
            assert!(help.contains("--no-subreaper"), "{line}");
            assert!(help.starts_with("NAME:\n   orlop run - "), "{line}: {help}");
        }
        for line in ["orlop --version", "orlop -v", "orlop -V", "orlop -version"] {
            assert!(printed(line).starts_with("orlop version "), "{line}");
        }
    }

    #[test]
    fn every_definition_is_sound() {
        commands::all().debug_assert();
    }
}
