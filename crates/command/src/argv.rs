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

use crate::entry::{self, Companion, Entry, Program};
use crate::suggest;

/// The arguments, split at the command's name.
pub struct Split {
    /// The program whose commands are meant.
    program: &'static Program,
    /// The definition of the options before it.
    definition: Command,
    /// Options before the command.
    globals: Vec<OsString>,
    /// The command's name, and what follows.
    rest: VecDeque<OsString>,
}

/// Why no command is run.
#[derive(Debug)]
pub enum Stop {
    /// Somebody asked for a text.
    Print(String),
    /// It is a command of the [companion](crate::companion)'s.
    Companion,
    /// The arguments are wrong: an error, and how they should have been.
    Wrong(Box<Error>, String),
}

impl Split {
    /// Splits the arguments of this process, the first of which is its name.
    pub fn new(program: &'static Program, arguments: impl IntoIterator<Item = OsString>) -> Self {
        let mut rest: VecDeque<_> = arguments.into_iter().skip(1).collect();
        let mut globals = Vec::new();
        let definition = program.globals_for(&rest);
        take_options(&definition, &mut rest, &mut globals);
        Self { program, definition, globals, rest }
    }

    /// Parses the global options.
    ///
    /// # Errors
    ///
    /// [`Stop`], if a text is asked for, or they are wrong.
    pub fn globals(&mut self) -> Result<ArgMatches, Stop> {
        let asked = |long: &str, short: &str| self.globals.iter().any(|arg| arg == long || arg == short);
        if self.globals.iter().any(asks_for_version) {
            return Err(Stop::Print(entry::version()));
        }
        let help = || Stop::Print(self.program.all().render_help().to_string());
        if asked("--help", "-h") {
            return Err(help());
        }
        let globals = self.definition.try_get_matches_from_mut(&self.globals);
        let globals = globals.map_err(|e| Stop::of(&e, &self.definition))?;
        if self.rest.is_empty() { Err(help()) } else { Ok(globals) }
    }

    /// The global options as they were given, in the form that clap reads.
    pub fn given(&self) -> &[OsString] {
        &self.globals
    }

    /// The exit status where the arguments of the command are wrong.
    pub fn failure(&self) -> u8 {
        self.rest.front().and_then(|name| self.program.find(name)).map_or(1, |entry| entry.failure)
    }

    /// Finds the command, and parses its arguments.
    ///
    /// # Errors
    ///
    /// [`Stop`]: a text is asked for, the command is the companion's, or the arguments are wrong.
    pub fn command(mut self) -> Result<(&'static Entry, ArgMatches), Stop> {
        let name = self.rest.pop_front().unwrap_or_default();
        let Some(entry) = self.program.find(&name) else {
            if let Some(topic) = self.rest.front().filter(|_| name == "help") {
                if self.is_of_companion(topic) {
                    return Err(Stop::Companion);
                }
                if let Some(codes) = self.program.codes.filter(|_| is_code(topic)) {
                    let unknown = || {
                        Error::usage(format!(
                            "there is no code {:?}; `orlop help ORL` lists them",
                            topic.display()
                        ))
                    };
                    return Err(codes(&topic.to_string_lossy())
                        .map_or_else(|| Stop::Wrong(Box::new(unknown()), String::new()), Stop::Print));
                }
            }
            if self.rest.iter().any(|arg| arg == "-h" || arg == "--help") {
                let error = Error::usage(format!("No help topic for '{}'", name.display()));
                return Err(Stop::Wrong(Box::new(error), String::new()));
            }
            // Only now are all of them needed: for `help`, or to find the one that was meant.
            self.rest.push_front(name);
            let mut all = self.program.all().no_binary_name(true);
            return Err(match all.try_get_matches_from_mut(self.rest) {
                Err(e) => Stop::of(&e, &all),
                Ok(_) => Stop::Print(all.render_help().to_string()),
            });
        };
        let of_template = || self.rest.iter().any(has_template);
        if entry.companion == Companion::Always || entry.companion == Companion::ForTemplates && of_template()
        {
            return Err(Stop::Companion);
        }
        let of_image = entry.companion == Companion::ForImages && self.rest.iter().any(may_be_image);
        let command = entry.define_for(&self.rest);
        let arguments = rewrite(&command, entry.tail, self.rest);
        let mut command = command.no_binary_name(true);
        match command.try_get_matches_from_mut(arguments) {
            // A colon in the value of an option is no image, and none is in an id.
            Ok(parsed) if of_image && parsed.get_one("id").is_some_and(|id: &String| id.contains(':')) => {
                Err(Stop::Companion)
            }
            Ok(parsed) => Ok((entry, parsed)),
            Err(_) if of_image => Err(Stop::Companion),
            Err(e) => Err(Stop::of(&e, &command).with_more_options(entry, &e, &command)),
        }
    }

    /// Whether help on this is the companion's: on one of its commands, or on an error by its code.
    fn is_of_companion(&self, topic: &OsString) -> bool {
        self.program.find(topic).is_some_and(|entry| entry.companion == Companion::Always)
            || self.program.codes.is_none() && is_code(topic)
    }
}

impl Stop {
    /// An option that is not there may be one for images: the command's help says where those are.
    fn with_more_options(mut self, entry: &Entry, e: &clap::Error, command: &Command) -> Self {
        if let (Self::Wrong(_, usage), Some(more)) = (&mut self, command.get_after_help())
            && entry.companion == Companion::ForImages
            && e.kind() == ErrorKind::UnknownArgument
        {
            usage.push('\n');
            usage.push_str(&more.to_string());
        }
        self
    }

    /// What clap says of the arguments of a command.
    fn of(e: &clap::Error, command: &Command) -> Self {
        let text = e.render().to_string();
        if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand) {
            return Self::Print(text);
        }
        let (what, usage) = text.split_once("\n\n").unwrap_or((&text, ""));
        let what = what.strip_prefix("error: ").unwrap_or(what);
        let what = what.split_whitespace().collect::<Vec<_>>().join(" ") + &suggest::meant(e, command);
        // clap's own tip, how an option could be passed as a value, is seldom what was meant.
        let usage = usage
            .trim_start()
            .strip_prefix("tip: ")
            .and_then(|tip| tip.split_once("\n\n"))
            .map_or(usage, |(_, rest)| rest);
        Self::Wrong(Box::new(Error::usage(what)), usage.trim_end().to_owned())
    }
}

/// Whether a topic of help is the code of an error, such as `ORL-0304`, or `ORL` for all of them.
fn is_code(topic: &OsString) -> bool {
    let bytes = topic.as_bytes();
    bytes.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"ORL"))
        && bytes.get(3).is_none_or(|next| *next == b'-')
}

/// Whether an argument looks like an image, `oci:DIR:TAG` or `debian:13`: no option, and with a colon in it.
fn may_be_image(argument: &OsString) -> bool {
    let bytes = argument.as_bytes();
    bytes.first().is_some_and(|first| *first != b'-') && bytes.contains(&b':')
}

/// Whether an argument has a template in it, such as `{{.ID}}`.
fn has_template(argument: &OsString) -> bool {
    argument.as_bytes().windows(2).any(|two| two == b"{{")
}

/// Brings the arguments of a command into the form that clap reads.
///
/// `tail`: after that many arguments that are not options, the others belong to another program and are left alone.
pub fn rewrite(command: &Command, tail: Option<usize>, mut from: VecDeque<OsString>) -> Vec<OsString> {
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

/// Whether this argument is `--version`, by one of its names.
pub fn asks_for_version(argument: &OsString) -> bool {
    ["--version", "-v", "-V"].iter().any(|name| argument == name)
}

/// Whether the options before the first other argument, or `--version`, are all defined, by their long names.
pub fn begins_with_known<'a>(command: &Command, arguments: impl IntoIterator<Item = &'a OsString>) -> bool {
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let Some(name) = argument.as_bytes().strip_prefix(b"-") else { return true };
        let name = name.strip_prefix(b"-").unwrap_or(name);
        match takes_value(command, name.split(|b| *b == b'=').next().unwrap_or_default()) {
            None => return asks_for_version(argument),
            Some(true) if !name.contains(&b'=') => drop(arguments.next()),
            Some(_) => {}
        }
    }
    // Without a command they are asked about.
    false
}

/// Whether an argument is no option, or one that is defined, by its long name or its letter.
pub fn is_known(command: &Command, argument: &OsString) -> bool {
    let Some(name) = argument.as_bytes().strip_prefix(b"-") else { return true };
    let name = name.strip_prefix(b"-").unwrap_or(name);
    let name = name.split(|b| *b == b'=').next().unwrap_or_default();
    name.is_empty() || takes_value(command, name).is_some() || is_letter(command, name)
}

fn is_letter(command: &Command, name: &[u8]) -> bool {
    let [letter] = name else { return false };
    command.get_arguments().any(|arg| arg.get_short() == Some(char::from(*letter)))
}

/// Whether the long option with this name takes a value, if there is one.
fn takes_value(command: &Command, name: &[u8]) -> Option<bool> {
    let option =
        command.get_arguments().find(|arg| arg.get_long().is_some_and(|long| long.as_bytes() == name))?;
    Some(option.get_action().takes_values() && !option.is_require_equals_set())
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
