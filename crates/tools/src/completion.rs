//! What could come next on a command line: the part of completions that is the same for every shell.
//!
//! A shell's script hands over the words so far and gets lines back: what fits, a tab, what it is; at last how to go on
//! where none does, `:files`, `:directories` or `:nothing`.
//!
//! | file | what is in it |
//! |---|---|
//! | `place.rs` | where on the line the last word is: a command, an option, the value of one, an argument |
//! | `want.rs` | what belongs there |
//! | `orlop.bash`, `orlop.zsh`, `orlop.fish` | the scripts |

mod place;
mod want;

use clap::{Arg, Command};
use orlop_cli::ORLOP;

use crate::table;
use place::{Place, Spot};
pub(crate) use want::{Named, Source};
use want::{Otherwise, Want};

/// The scripts, by their shells' names.
pub(crate) const SCRIPTS: [(&str, &str); 3] = [
    ("bash", include_str!("completion/orlop.bash")),
    ("zsh", include_str!("completion/orlop.zsh")),
    ("fish", include_str!("completion/orlop.fish")),
];

/// What fits in the place of the last word, as the scripts read it.
pub(crate) fn answer(words: &[String], source: &dyn Source) -> String {
    let (last, before) = words.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
    let Offer { mut named, otherwise } = offer(before, last, source);
    named.retain(|(name, _)| name.starts_with(last));
    let mut seen = std::collections::HashSet::new();
    named.retain(|(name, _)| seen.insert(name.clone()));
    let lines = named.iter().map(|(name, what)| format!("{name}\t{}\n", one_line(what)));
    lines.chain([format!(":{}\n", otherwise.word())]).collect()
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// What could stand in a place.
#[derive(Default)]
struct Offer {
    named: Vec<Named>,
    otherwise: Otherwise,
}

fn offer(before: &[String], last: &str, source: &dyn Source) -> Offer {
    let globals = ORLOP.globals_only();
    let at = place::of(&globals, before, Some(0));
    let Spot::Argument { index: 1.., .. } = at.spot else {
        let commands = table::commands().map(|command| (command.name.to_owned(), command.about.to_owned()));
        let help = ("help".to_owned(), "Help on a command, or on the code of an error".to_owned());
        return filled(&globals, &at, last, source, || Offer {
            named: commands.chain([help]).collect(),
            ..Offer::default()
        });
    };
    let Some((name, rest)) = before.get(at.first_argument..).and_then(<[String]>::split_first) else {
        return Offer::default();
    };
    if name == "help" {
        let named = table::commands().map(|command| (command.name.to_owned(), command.about.to_owned()));
        return Offer { named: named.collect(), ..Offer::default() };
    }
    let Some(command) = table::find(name) else { return Offer::default() };
    let mut all = Offer::default();
    // Once an image is named, the options are those for images.
    let image = rest.iter().any(|word| !word.starts_with('-') && word.contains(':'));
    let forms = command.forms.iter().skip(if image { command.forms.len() - 1 } else { 0 });
    for form in forms {
        let Offer { named, otherwise } =
            of_command(command.name, &form.definition, form.tail, rest, last, source);
        all.named.extend(named);
        all.otherwise = all.otherwise.max(otherwise);
    }
    all
}

fn of_command(
    path: &str,
    command: &Command,
    tail: Option<usize>,
    words: &[String],
    last: &str,
    source: &dyn Source,
) -> Offer {
    if !command.has_subcommands() {
        let at = place::of(command, words, tail);
        return filled(command, &at, last, source, || argument(path, command, &at, source));
    }
    let at = place::of(command, words, Some(0));
    let Spot::Argument { index: 1.., .. } = at.spot else {
        let named = |sub: &Command| {
            let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
            (sub.get_name().to_owned(), about)
        };
        return filled(command, &at, last, source, || Offer {
            named: command.get_subcommands().filter(|sub| sub.get_name() != "help").map(named).collect(),
            ..Offer::default()
        });
    };
    let chosen = words.get(at.first_argument).and_then(|name| command.find_subcommand(name));
    chosen.map_or_else(Offer::default, |sub| {
        let rest = words.get(at.first_argument + 1..).unwrap_or_default();
        of_command(&format!("{path} {}", sub.get_name()), sub, None, rest, last, source)
    })
}

/// What fits: options, if the last word begins as one, the values of one, or else what `argument` says.
fn filled(
    command: &Command,
    at: &Place<'_>,
    last: &str,
    source: &dyn Source,
    argument: impl FnOnce() -> Offer,
) -> Offer {
    match at.spot {
        Spot::Value(option) => value(command.get_name(), option, "", source),
        Spot::Argument { options: true, .. } if last.starts_with('-') => {
            let split = last.strip_prefix("--").and_then(|rest| rest.split_once('='));
            let Some((name, _)) = split else { return options(command, &at.given, last) };
            let option = command.get_arguments().find(|arg| arg.get_long() == Some(name));
            option.map_or_else(Offer::default, |option| {
                value(command.get_name(), option, &format!("--{name}="), source)
            })
        }
        Spot::Argument { .. } => argument(),
    }
}

/// The options that are not given yet, or can be given again.
fn options(command: &Command, given: &[&str], last: &str) -> Offer {
    let again = |arg: &&Arg| {
        !given.contains(&arg.get_id().as_str()) || matches!(arg.get_action(), clap::ArgAction::Append)
    };
    let mut named = Vec::new();
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()).filter(again) {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        named.extend(arg.get_long().map(|long| (format!("--{long}"), help.clone())));
        // With two dashes or a letter already, short ones are not what is looked for.
        named.extend(arg.get_short().filter(|_| last == "-").map(|short| (format!("-{short}"), help)));
    }
    Offer { named, ..Offer::default() }
}

fn argument(path: &str, command: &Command, at: &Place<'_>, source: &dyn Source) -> Offer {
    let Spot::Argument { index, .. } = at.spot else { return Offer::default() };
    let positionals: Vec<&Arg> = command.get_positionals().collect();
    let many = |arg: &&&Arg| arg.get_num_args().is_some_and(|range| range.max_values() > 1);
    let arg = positionals.get(index).or_else(|| positionals.last().filter(many));
    arg.map_or_else(Offer::default, |arg| value(path, arg, "", source))
}

/// The values of an option or an argument, each after `prefix`.
fn value(path: &str, arg: &Arg, prefix: &str, source: &dyn Source) -> Offer {
    let Want { named, otherwise } = want::of(path, arg, source);
    let named = named.into_iter().map(|(name, what)| (format!("{prefix}{name}"), what));
    Offer { named: named.collect(), otherwise }
}

#[cfg(test)]
mod tests;
