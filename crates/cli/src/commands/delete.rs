//! `orlop delete`

use orlop_runtime::Error;

use super::{Entry, PLAIN};
use crate::flags;

pub(super) const ENTRY: Entry = Entry {
    name: "delete",
    about: "Remove what a stopped container still holds",
    arguments: |command| {
        let force = flags::switch("force", "Kill a running one first; one that does not exist is no error");
        command.arg(flags::id()).arg(force.short('f'))
    },
    run: |globals, arguments| {
        let force = arguments.get_flag("force");
        match globals.runtime()?.delete(&flags::get_id(arguments)?, force) {
            Err(Error::NotExist { .. }) if force => Ok(0),
            done => done.map(|()| 0),
        }
    },
    ..PLAIN
};
