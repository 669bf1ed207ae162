//! `orlop delete`

use orlop_runtime::{ContainerId, Error, Result, Runtime};

use super::{Entry, PLAIN};
use crate::{flags, several};

pub(super) const ENTRY: Entry = Entry {
    name: "delete",
    about: "Remove what stopped containers still hold",
    arguments: |command| {
        let force = flags::switch("force", "Kill running ones first; one that does not exist is no error");
        command.args([several::ids(), force.short('f'), several::regex()])
    },
    run: |globals, arguments| {
        let (runtime, force) = (globals.runtime()?, arguments.get_flag("force"));
        let ids = several::chosen(&runtime, arguments)?;
        several::each(&ids, |id| delete(&runtime, id, force))
    },
    ..PLAIN
};

fn delete(runtime: &Runtime, id: &ContainerId, force: bool) -> Result<()> {
    match runtime.delete(id, force) {
        Err(Error::NotExist { .. }) if force => Ok(()),
        done => done,
    }
}
