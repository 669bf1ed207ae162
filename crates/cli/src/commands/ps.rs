//! `orlop ps`

use std::process::Command;

use clap::{Arg, ArgMatches};
use orlop_runtime::error::Doing as _;
use orlop_runtime::{Error, Result};

use super::{Entry, PLAIN};
use crate::{flags, output};

pub(super) const ENTRY: Entry = Entry {
    name: "ps",
    about: "List the processes of a container",
    tail: Some(1),
    arguments: |command| command.args([flags::format(), flags::id(), options()]),
    run: |globals, arguments| {
        let pids = globals.runtime()?.processes(&flags::get_id(arguments)?)?;
        if flags::is_json(arguments) {
            output::json(&pids, None)?;
        } else {
            print(&pids, arguments)?;
        }
        Ok(0)
    },
    ..PLAIN
};

/// Prints what ps(1) says of these processes, with the options that were given.
pub(super) fn print(pids: &[i32], arguments: &ArgMatches) -> Result<()> {
    let options: Vec<&String> = arguments.get_many("options").unwrap_or_default().collect();
    output::lines(choose(&ask_ps(&options)?, pids)?).map(drop)
}

/// Options of ps(1).
pub(super) fn options() -> Arg {
    Arg::new("options").value_name("OPTIONS").num_args(0..).help("Options of ps(1) [default: -ef]")
}

/// What ps(1) prints of all processes.
fn ask_ps(options: &[&String]) -> Result<String> {
    let mut command = Command::new("ps");
    if options.is_empty() {
        command.arg("-ef");
    } else {
        command.args(options);
    }
    let done = command.output().doing(|| "run ps".to_owned())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if done.status.success() {
        Ok(text(&done.stdout))
    } else {
        Err(Error::usage(format!("ps: {}: {}", done.status, text(&done.stderr).trim())))
    }
}

/// The title and the lines of these processes.
fn choose<'a>(table: &'a str, pids: &[i32]) -> Result<Vec<&'a str>> {
    let mut lines = table.lines();
    let title = lines.next().unwrap_or_default();
    let column = title.split_whitespace().position(|name| name == "PID");
    let column = column.ok_or_else(|| Error::usage("these options make ps print no PID column"))?;
    let is_one = |line: &&str| {
        let pid = line.split_whitespace().nth(column).and_then(|field| field.parse().ok());
        pid.is_some_and(|pid| pids.contains(&pid))
    };
    Ok(std::iter::once(title).chain(lines.filter(is_one)).collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_the_containers_processes_are_shown() {
        let table = "UID   PID  PPID CMD\nroot    1     0 init 7\nroot    7     1 sh\nroot   17     7 ls\n";
        assert_eq!(super::choose(table, &[7]).unwrap(), ["UID   PID  PPID CMD", "root    7     1 sh"]);
        assert_eq!(super::choose(table, &[]).unwrap(), ["UID   PID  PPID CMD"]);
        assert!(super::choose("CMD\nsh\n", &[7]).is_err());
        assert!(super::choose("", &[7]).is_err());
    }
}
