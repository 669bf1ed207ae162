//! `orlop mounts`

use std::path::PathBuf;

use clap::{Arg, value_parser};

use super::{Entry, PLAIN};
use crate::flags;

pub(super) const ENTRY: Entry = Entry {
    name: "mounts",
    about: "Add mounts to a running container, or remove some",
    arguments: |command| {
        let action = Arg::new("action").value_name("add|remove").required(true);
        let file = Arg::new("file").value_name("FILE").required(true).value_parser(value_parser!(PathBuf));
        command.args([
            action.value_parser(["add", "remove"]).hide_possible_values(true).help("What to do with them"),
            flags::id(),
            file.help("The mounts as JSON: an array like that of a config; - is standard input"),
        ])
    },
    run: |globals, arguments| {
        let (runtime, id) = (globals.runtime()?, flags::get_id(arguments)?);
        let file: PathBuf = flags::get(arguments, "file").cloned().unwrap_or_default();
        if flags::get(arguments, "action").is_some_and(|action: &String| action == "add") {
            runtime.add_mounts(&id, &file)?;
        } else {
            runtime.remove_mounts(&id, &file)?;
        }
        Ok(0)
    },
    ..PLAIN
};
