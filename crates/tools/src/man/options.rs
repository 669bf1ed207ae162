//! Options and arguments, as the table of commands defines them.

use clap::{Arg, Command};

use super::roff::{Page, bold, escaped, italic};

/// How commands are called, a line each.
pub(super) fn synopsis<'a>(page: &mut Page, commands: impl IntoIterator<Item = &'a Command>) {
    let mut lines = Vec::new();
    for command in commands {
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage:");
        lines.extend(usage.lines().map(|line| styled(line.trim())));
    }
    page.raw(&lines.join("\n.br\n"));
}

/// `orlop run [OPTIONS] <ID>`: what is typed is bold, what stands for something else is not.
fn styled(usage: &str) -> String {
    let word = |word: &str| {
        let name = word.trim_end_matches("...");
        let dots = &word[name.len()..];
        let inner = name.trim_matches(['[', ']', '<', '>']);
        let (open, close) = if name.starts_with('[') { ("[", "]") } else { ("", "") };
        if name.starts_with(['[', '<']) || !name.chars().any(char::is_lowercase) && !name.starts_with('-') {
            format!("{open}{}{close}{dots}", italic(inner))
        } else {
            bold(word)
        }
    };
    usage.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// Arguments, then options, each with what it is for.
pub(super) fn of(page: &mut Page, command: &Command) {
    let shown = |arg: &&Arg| !arg.is_hide_set();
    for arg in command.get_positionals().filter(shown) {
        page.item(&italic(&value_name(arg)), &help(arg));
    }
    for arg in command.get_arguments().filter(shown).filter(|arg| !arg.is_positional()) {
        page.item(&term(arg), &help(arg));
    }
}

fn value_name(arg: &Arg) -> String {
    let names = arg.get_value_names().and_then(|names| names.first());
    names.map_or_else(|| arg.get_id().to_string().to_uppercase(), ToString::to_string)
}

/// `-b, --bundle DIR`
fn term(arg: &Arg) -> String {
    let short = arg.get_short().map(|short| bold(&format!("-{short}")));
    let long = arg.get_long().map(|long| bold(&format!("--{long}")));
    let names = short.into_iter().chain(long).collect::<Vec<_>>().join(", ");
    if !arg.get_action().takes_values() {
        return names;
    }
    let value = italic(&value_name(arg));
    if arg.is_require_equals_set() { format!("{names}[={value}]") } else { format!("{names} {value}") }
}

fn help(arg: &Arg) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let defaults = arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned());
    let defaults = defaults.collect::<Vec<_>>().join(",");
    if !defaults.is_empty() && arg.get_action().takes_values() && !arg.is_hide_default_value_set() {
        text = format!("{text} [default: {defaults}]");
    }
    if text.is_empty() { escaped(&value_name(arg)) } else { text }
}
