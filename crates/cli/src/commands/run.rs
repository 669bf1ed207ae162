//! `orlop run`

use orlop_runtime::{Error, RunOptions};

use orlop_command::entry::Companion;

use super::{Entry, PLAIN, ahead, status};
use crate::{companion, flags};

pub(super) const ENTRY: Entry = Entry {
    name: "run",
    companion: Companion::ForImages,
    about: "Create and start a container, wait for it, delete it",
    arguments: |command| {
        let of_images = "An image instead of ID has options of its own: `orlop run image: --help` lists them";
        command.after_help(of_images).args(flags::create()).arg(flags::detach())
    },
    rare: Some(|command| {
        let command = command.args(flags::rare_of_create()).args([
            flags::switch("keep", "Do not delete the container when it has ended"),
            flags::switch("no-subreaper", "Do not become the parent of the container's orphaned processes"),
        ]);
        let command = command.args(flags::supervise::all()).args(flags::strict::all());
        command.args([flags::overlay(), flags::trace()])
    }),
    ahead: Some(ahead::begin),
    run: |globals, arguments| {
        let options = RunOptions {
            detach: arguments.get_flag("detach"),
            keep: flags::is_given(arguments, "keep"),
            no_subreaper: flags::is_given(arguments, "no-subreaper"),
        };
        let runtime = globals.runtime()?;
        let (id, create) = (flags::get_id(arguments)?, flags::get_create(arguments));
        flags::strict::check(arguments, &create)?;
        let supervision = flags::supervise::get(arguments)?;
        let run = || match supervision {
            None => runtime.run(&id, &create, &options),
            Some(_) if !options.detach => Err(Error::usage(flags::supervise::NEEDS_DETACH)),
            Some(_) if create.trace.is_some() => {
                Err(Error::usage("--trace cannot be had with a supervisor: it is a process of its own"))
            }
            Some(supervision) => runtime.run_supervised(&id, &create, &supervision, &globals.given),
        };
        companion::traced(create.trace.as_deref(), || run().map(status))
    },
    ..PLAIN
};
