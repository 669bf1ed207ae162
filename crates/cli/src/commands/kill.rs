//! `orlop kill`

use clap::Arg;
use orlop_runtime::Error;
use orlop_runtime::error::Action;

use super::{Entry, PLAIN};
use crate::{flags, values};

pub(super) const ENTRY: Entry = Entry {
    name: "kill",
    about: "Send a signal to a container's process",
    arguments: |command| {
        let signal =
            Arg::new("signal").value_name("SIGNAL").default_value("TERM").value_parser(values::signal);
        let all = flags::switch("all", "Send it to every process of the container; none left is no error");
        command
            .arg(flags::id())
            .arg(signal.help("A number, or a name with or without SIG"))
            .arg(all.short('a'))
    },
    run: |globals, arguments| {
        let all = arguments.get_flag("all");
        let signal = flags::get(arguments, "signal").copied().unwrap_or(libc::SIGTERM);
        match globals.runtime()?.kill(&flags::get_id(arguments)?, signal, all) {
            Err(Error::WrongState { action: Action::Kill, .. }) if all => Ok(0),
            done => done.map(|()| 0),
        }
    },
    ..PLAIN
};
