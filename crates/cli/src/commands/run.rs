//! `orlop run`

use orlop_runtime::RunOptions;

use super::{Entry, PLAIN, status};
use crate::flags;

pub(super) const ENTRY: Entry = Entry {
    name: "run",
    about: "Create and start a container, wait for it, delete it",
    arguments: |command| {
        command.args(flags::create()).args([
            flags::detach(),
            flags::switch("keep", "Do not delete the container when it has ended"),
            flags::switch("no-subreaper", "Do not become the parent of the container's orphaned processes"),
        ])
    },
    run: |globals, arguments| {
        let options = RunOptions {
            detach: arguments.get_flag("detach"),
            keep: arguments.get_flag("keep"),
            no_subreaper: arguments.get_flag("no-subreaper"),
        };
        let runtime = globals.runtime()?;
        runtime.run(&flags::get_id(arguments)?, &flags::get_create(arguments), &options).map(status)
    },
    ..PLAIN
};
