//! What was meant by a name that is not there: "did you mean".

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

use crate::globals;

/// What could have been meant by the command or the option that `error` does not know, as the end of a sentence; or nothing.
pub(crate) fn meant(error: &clap::Error, command: &Command) -> String {
    let given = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let name = given(ContextKind::InvalidSubcommand);
            let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
            nearest(name, &shown.map(Command::get_name).collect::<Vec<_>>())
                .map_or_else(String::new, |near| format!("; did you mean '{near}'?"))
        }
        ErrorKind::UnknownArgument => given(ContextKind::InvalidArg)
            .strip_prefix("--")
            .and_then(|name| option(name.split('=').next().unwrap_or(name), command))
            .unwrap_or_default(),
        _ => String::new(),
    }
}

fn option(name: &str, command: &Command) -> Option<String> {
    if globals::usual().iter().chain(&globals::rare()).any(|arg| arg.get_long() == Some(name)) {
        return Some(format!("; '--{name}' belongs before the command"));
    }
    let all = command.get_arguments().chain(command.get_subcommands().flat_map(Command::get_arguments));
    let near = nearest(name, &all.filter_map(Arg::get_long).collect::<Vec<_>>())?;
    Some(format!("; did you mean '--{near}'?"))
}

/// The name that is the least changes away, if they are few for its length, or the only one that this is the beginning of.
fn nearest<'a>(wrong: &str, names: &[&'a str]) -> Option<&'a str> {
    let near = names.iter().map(|name| (distance(wrong.as_bytes(), name.as_bytes()), *name));
    let near = near.filter(|(changes, name)| *changes <= (name.len().max(wrong.len()) / 3).max(1));
    let mut begun = names.iter().copied().filter(|name| wrong.len() > 2 && name.starts_with(wrong));
    let only = begun.next().filter(|_| begun.next().is_none());
    only.or_else(|| near.min_by_key(|(changes, _)| *changes).map(|(_, name)| name))
}

/// How many letters have to be added, left out, replaced, or swapped with the next one.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut least = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *y && b[j - 1] == *x {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_counted() {
        for (a, b, changes) in
            [("", "run", 3), ("rn", "run", 1), ("rnu", "run", 1), ("list", "list", 0), ("lsit", "exec", 4)]
        {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), changes, "{a} {b}");
            assert_eq!(distance(b.as_bytes(), a.as_bytes()), changes, "{b} {a}");
        }
    }

    #[test]
    fn the_nearest_name_is_meant_or_none() {
        let names = ["run", "create", "list", "checkpoint", "state", "start", "stats", "stop"];
        let near = |wrong| nearest(wrong, &names);
        assert_eq!(near("rn"), Some("run"));
        assert_eq!(near("lst"), Some("list"));
        assert_eq!(near("strat"), Some("start"));
        assert_eq!(near("check"), Some("checkpoint"));
        assert_eq!(near("xyzzy"), None);
        assert_eq!(near(""), None);
        assert_eq!(near("-"), None);
    }
}
