//! `orlop stats`

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches};
use orlop_runtime::{Result, Usage};

use orlop_command::entry::Companion;
use orlop_command::globals::Globals;

use super::{Entry, PLAIN};
use crate::{flags, output, several};

/// How often is looked.
const INTERVAL: Duration = Duration::from_secs(1);
/// To the upper left corner of a terminal, and nothing below.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

pub(super) const ENTRY: Entry = Entry {
    name: "stats",
    about: "Show what running containers use, every second",
    companion: Companion::ForTemplates,
    arguments: |command| command.arg(flags::format().help(flags::FORMAT_HELP)).args(arguments()),
    run: |globals, arguments| {
        let json = flags::is_json(arguments);
        watch(globals, arguments, &mut |clear, usages| {
            if json { lines_of_json(usages) } else { output::write(format!("{clear}{}", table(usages))) }
        })
    },
    ..PLAIN
};

/// Which containers, and whether once.
pub fn arguments() -> [Arg; 2] {
    let ids = flags::id().required(false).action(ArgAction::Append).num_args(0..);
    [
        ids.help("The containers [default: all that run]"),
        flags::switch("no-stream", "Show it once, after a second"),
    ]
}

/// Tells every second what the containers of [`arguments`] use, and what clears the screen before it is shown, if there is
/// one; until nobody wants to hear more. The exit status.
///
/// # Errors
///
/// A bad id, one that no running container has, or what `tell` says.
pub fn watch(
    globals: &Globals,
    arguments: &ArgMatches,
    tell: &mut dyn FnMut(&str, &[Usage]) -> Result<bool>,
) -> Result<u8> {
    let (ids, once) = (several::given(arguments)?, arguments.get_flag("no-stream"));
    let clear = if !once && std::io::stdout().is_terminal() { CLEAR } else { "" };
    globals.runtime()?.usage(&ids, INTERVAL, once, &mut |usages| tell(clear, usages))?;
    Ok(0)
}

fn lines_of_json(usages: &[Usage]) -> Result<bool> {
    for usage in usages {
        if !output::json(usage, None)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn table(usages: &[Usage]) -> String {
    let titles = ["ID", "CPU %", "MEMORY / LIMIT", "MEM %", "NET IN / OUT", "DISK READ / WRITTEN", "PIDS"];
    let mut rows = vec![titles.map(str::to_owned)];
    rows.extend(usages.iter().map(row));
    output::titled(output::table(&rows))
}

/// The cells of a container's row, for people.
pub fn row(usage: &Usage) -> [String; 7] {
    let share = usage.memory.zip(usage.memory_limit).map(|(used, limit)| real(used) / real(limit) * 100.0);
    let pids = match (usage.pids, usage.pids_limit) {
        (Some(pids), Some(limit)) => format!("{pids} / {limit}"),
        (Some(pids), None) => pids.to_string(),
        (None, _) => UNKNOWN.to_owned(),
    };
    [
        usage.id.clone(),
        percent(usage.cpu_percent),
        pair(usage.memory, usage.memory_limit),
        percent(share),
        pair(usage.received_bytes, usage.sent_bytes),
        pair(usage.read_bytes, usage.written_bytes),
        pids,
    ]
}

/// What nobody counts, or limits.
const UNKNOWN: &str = "--";

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| UNKNOWN.to_owned(), |share| format!("{share:.2}%"))
}

fn pair(first: Option<u64>, second: Option<u64>) -> String {
    let size = |bytes: Option<u64>| bytes.map_or_else(|| UNKNOWN.to_owned(), size);
    format!("{} / {}", size(first), size(second))
}

#[expect(clippy::cast_precision_loss, reason = "it is for people, rounded to few digits")]
const fn real(number: u64) -> f64 {
    number as f64
}

/// Bytes in a unit that leaves at most four digits before the point.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut number = real(bytes) / 1024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    while number >= 1024.0
        && let Some(larger) = units.next()
    {
        number /= 1024.0;
        unit = Some(larger);
    }
    format!("{number:.1}{}", unit.unwrap_or(&""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        for (bytes, text) in
            [(0, "0B"), (1023, "1023B"), (1536, "1.5KiB"), (64 << 20, "64.0MiB"), (3 << 40, "3.0TiB")]
        {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(size(u64::MAX), "16384.0PiB");
    }

    #[test]
    fn what_is_not_counted_is_said_to_be_unknown() {
        let usage = Usage { id: "web".into(), pids: Some(3), ..Usage::default() };
        assert_eq!(row(&usage), ["web", "--", "-- / --", "--", "-- / --", "-- / --", "3"]);
        let usage = Usage {
            cpu_percent: Some(12.345),
            memory: Some(1 << 20),
            memory_limit: Some(4 << 20),
            pids_limit: Some(64),
            ..usage
        };
        let expected = ["web", "12.35%", "1.0MiB / 4.0MiB", "25.00%", "-- / --", "-- / --", "3 / 64"];
        assert_eq!(row(&usage), expected);
    }
}
