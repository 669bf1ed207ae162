//! `orlop logs`

use orlop_runtime::supervise::{LogOptions, Stream};

use super::{Entry, PLAIN};
use crate::{flags, output, values};

pub(super) const ENTRY: Entry = Entry {
    name: "logs",
    about: "Print what a supervised container has written, each stream to ours",
    arguments: |command| {
        command.args([
            flags::id(),
            flags::switch("follow", "Go on until the container has ended").short('f'),
            flags::option("tail", "N", "Begin with the last N lines")
                .short('n')
                .value_parser(values::lines)
                .default_value("all"),
            flags::option(
                "since",
                "TIME",
                "Only what was written since then: 2026-01-31T12:00:00Z, or 10m ago",
            )
            .value_parser(values::moment),
            flags::switch("timestamps", "Print when each line was written").short('t'),
        ])
    },
    run: |globals, arguments| {
        let options = LogOptions {
            follow: arguments.get_flag("follow"),
            tail: flags::get(arguments, "tail").copied().flatten(),
            since: flags::get(arguments, "since").copied(),
        };
        let timestamps = arguments.get_flag("timestamps");
        globals.runtime()?.logs(&flags::get_id(arguments)?, &options, &mut |written| {
            let time = if timestamps { format!("{} ", written.time) } else { String::new() };
            let text = format!("{time}{}", written.text);
            match written.stream {
                Stream::Stdout => output::write(text),
                Stream::Stderr => output::write_error(text),
            }
        })?;
        Ok(0)
    },
    ..PLAIN
};
