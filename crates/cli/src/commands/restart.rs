//! `orlop restart`

use orlop_runtime::Error;

use super::{Entry, PLAIN};
use crate::{flags, several};

pub(super) const ENTRY: Entry = Entry {
    name: "restart",
    about: "End supervised containers as stop does, and run them again",
    arguments: |command| command.args([several::ids(), flags::time()]),
    run: |globals, arguments| {
        let runtime = globals.runtime()?;
        several::each_given(arguments, |id| {
            if !runtime.is_supervised(id)? {
                return Err(Error::usage(format!(
                    "container {id:?} has no supervisor that could run it again"
                )));
            }
            runtime.stop(id, flags::get_time(arguments))?;
            match runtime.start_any(id, &globals.given)? {
                0 => Ok(()),
                // The supervisor has said why.
                _ => Err(Error::usage(format!("container {id} could not be run again"))),
            }
        })
    },
    ..PLAIN
};
