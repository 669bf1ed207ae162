//! `orlop wait`

use super::{Entry, PLAIN};
use crate::{output, several};

pub(super) const ENTRY: Entry = Entry {
    name: "wait",
    about: "Wait until supervised containers have ended for good; print the exit status of each",
    arguments: |command| command.arg(several::ids()),
    run: |globals, arguments| {
        let runtime = globals.runtime()?;
        several::each_given(arguments, |id| {
            let status = runtime.wait_for(id)?;
            output::write(format!("{status}\n")).map(drop)
        })
    },
    ..PLAIN
};
