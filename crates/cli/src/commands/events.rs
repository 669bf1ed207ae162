//! `orlop events`

use std::time::Duration;

use super::{Entry, PLAIN};
use crate::{flags, output, values};

pub(super) const ENTRY: Entry = Entry {
    name: "events",
    about: "Tell, as lines of JSON, what a container uses and when it runs out of memory, until it ends",
    arguments: |command| {
        let interval =
            flags::option("interval", "TIME", "How often to tell what it uses, such as 5s or 1m30s")
                .value_parser(values::duration)
                .default_value("5s");
        command.args([flags::id(), interval, flags::switch("stats", "Tell once what it uses, and exit")])
    },
    run: |globals, arguments| {
        let (runtime, id) = (globals.runtime()?, flags::get_id(arguments)?);
        if arguments.get_flag("stats") {
            output::json(&runtime.stats(&id)?, None)?;
            return Ok(0);
        }
        let interval = flags::get(arguments, "interval").copied().unwrap_or(Duration::from_secs(5));
        runtime.events(&id, interval, &mut |event| output::json(event, None))?;
        Ok(0)
    },
    ..PLAIN
};
