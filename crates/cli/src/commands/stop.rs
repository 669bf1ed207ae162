//! `orlop stop`

use clap::ArgAction;

use super::{Entry, PLAIN};
use crate::{flags, several};

pub(super) const ENTRY: Entry = Entry {
    name: "stop",
    about: "End containers: SIGTERM or the signal of their image, then SIGKILL; they are not restarted",
    arguments: |command| {
        let ids = flags::id().action(ArgAction::Append).num_args(1..).help("The containers");
        command.args([ids, flags::time()])
    },
    run: |globals, arguments| {
        let runtime = globals.runtime()?;
        several::each(&several::given(arguments)?, |id| runtime.stop(id, flags::get_time(arguments)))
    },
    ..PLAIN
};
