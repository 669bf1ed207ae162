//! `orlop image remove` and `gc`

use orlop_command::output;
use orlop_image::reference::Name;
use orlop_image::store::Freed;

use super::Subcommand;
use crate::images::{self, Told as _};

pub(super) const REMOVE: Subcommand = Subcommand {
    name: "remove",
    about: "Take names of images away, and what nothing else needs with them",
    arguments: |command| {
        command.visible_alias("rm").args([images::names(true).num_args(1..), images::store_option()])
    },
    run: |arguments| {
        let store = images::store(arguments)?;
        for name in arguments.get_many::<Name>("name").into_iter().flatten() {
            let removed = store.remove(name).told()?;
            output::lines([removed.as_str()])?;
        }
        store.gc().told().map(drop)
    },
};

pub(super) const GC: Subcommand = Subcommand {
    name: "gc",
    about: "Remove layers that no image and no container needs, and what killed imports left",
    arguments: |command| command.arg(images::store_option()),
    run: |arguments| {
        let Freed { layers, documents, leftovers } = images::store(arguments)?.gc().told()?;
        output::lines(layers.iter().map(String::as_str))?;
        output::lines([format!(
            "{} layers, {documents} documents and {leftovers} leftovers removed",
            layers.len()
        )
        .as_str()])
        .map(drop)
    },
};
