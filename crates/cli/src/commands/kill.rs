//! `orlop kill`

use clap::Arg;
use orlop_runtime::error::Action;
use orlop_runtime::{ContainerId, Error, Result, Runtime};

use super::{Entry, PLAIN};
use crate::{flags, several, values};

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
            .args([all.short('a'), several::regex()])
    },
    run: |globals, arguments| {
        let (runtime, all) = (globals.runtime()?, arguments.get_flag("all"));
        let signal = flags::get(arguments, "signal").copied().unwrap_or(libc::SIGTERM);
        let ids = several::chosen(&runtime, arguments)?;
        several::each(&ids, |id| kill(&runtime, id, signal, all))
    },
    ..PLAIN
};

fn kill(runtime: &Runtime, id: &ContainerId, signal: i32, all: bool) -> Result<()> {
    match runtime.kill(id, signal, all) {
        Err(Error::WrongState { action: Action::Kill, .. }) if all => Ok(()),
        done => done,
    }
}
