//! Where on the command line a word is.

use clap::{Arg, Command};

/// The place of the word after some others.
pub(super) struct Place<'a> {
    pub(super) spot: Spot<'a>,
    /// The options that are given, by their ids.
    pub(super) given: Vec<&'a str>,
    /// The index of the first argument that is no option, if there is one.
    pub(super) first_argument: usize,
}

/// What is in a place.
pub(super) enum Spot<'a> {
    /// The value of an option.
    Value(&'a Arg),
    /// An argument.
    Argument {
        /// How many there are before it.
        index: usize,
        /// An option could stand here, too.
        options: bool,
    },
}

/// The place after these words. `tail`: after that many arguments, the others belong to another program.
pub(super) fn of<'a>(command: &'a Command, words: &[String], tail: Option<usize>) -> Place<'a> {
    let mut place = Place {
        spot: Spot::Argument { index: 0, options: true },
        given: Vec::new(),
        first_argument: words.len(),
    };
    let (mut index, mut options, mut value_of) = (0, true, None);
    for (at, word) in words.iter().enumerate() {
        if value_of.take().is_some() {
            continue;
        }
        if options && word == "--" {
            options = false;
        } else if options && word.len() > 1 && word.starts_with('-') {
            let (arg, wants_value) = option(command, word);
            place.given.extend(arg.map(|arg| arg.get_id().as_str()));
            value_of = arg.filter(|_| wants_value);
        } else {
            place.first_argument = place.first_argument.min(at);
            index += 1;
            options &= tail.is_none_or(|tail| index < tail);
            if tail == Some(0) {
                // What follows is of another definition.
                break;
            }
        }
    }
    place.spot = value_of.map_or(Spot::Argument { index, options }, Spot::Value);
    place
}

/// The option that a word names, and whether its value is the next word.
fn option<'a>(command: &'a Command, word: &str) -> (Option<&'a Arg>, bool) {
    let double = word.starts_with("--");
    let name = word.trim_start_matches('-');
    let (name, has_value) = name.split_once('=').map_or((name, false), |(name, _)| (name, true));
    let takes = |arg: &Arg| arg.get_action().takes_values() && !arg.is_require_equals_set();
    // Go's way of writing long options, with one dash, is understood, too.
    if let Some(arg) = command.get_arguments().find(|arg| arg.get_long() == Some(name)) {
        return (Some(arg), takes(arg) && !has_value);
    }
    if double {
        return (None, false);
    }
    let letter = |letter| command.get_arguments().find(|arg| arg.get_short() == Some(letter));
    // Of several letters, the first one with a value has the rest for it.
    let mut letters = name.chars();
    while let Some(next) = letters.next() {
        match letter(next) {
            Some(arg) if takes(arg) => return (Some(arg), letters.as_str().is_empty() && !has_value),
            Some(arg) if letters.as_str().is_empty() => return (Some(arg), false),
            _ => {}
        }
    }
    (None, false)
}
