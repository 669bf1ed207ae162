//! `orlop wait`

use clap::ArgAction;

use super::{Entry, PLAIN};
use crate::{flags, output, several};

pub(super) const ENTRY: Entry = Entry {
    name: "wait",
    about: "Wait until supervised containers have ended for good; print the exit status of each",
    arguments: |command| {
        command.arg(flags::id().action(ArgAction::Append).num_args(1..).help("The containers"))
    },
    run: |globals, arguments| {
        let runtime = globals.runtime()?;
        several::each(&several::given(arguments)?, |id| {
            let status = runtime.wait_for(id)?;
            output::write(format!("{status}\n")).map(drop)
        })
    },
    ..PLAIN
};
