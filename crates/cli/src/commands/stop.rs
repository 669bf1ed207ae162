//! `orlop stop`

use super::{Entry, PLAIN};
use crate::{flags, several};

pub(super) const ENTRY: Entry = Entry {
    name: "stop",
    about: "End containers: SIGTERM or the signal of their image, then SIGKILL; they are not restarted",
    arguments: |command| command.args([several::ids(), flags::time()]),
    run: |globals, arguments| {
        let runtime = globals.runtime()?;
        several::each_given(arguments, |id| runtime.stop(id, flags::get_time(arguments)))
    },
    ..PLAIN
};
