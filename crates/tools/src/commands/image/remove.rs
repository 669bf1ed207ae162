//! `orlop image remove` and `gc`

use orlop_command::{flags, output};
use orlop_image::reference::Name;
use orlop_image::store::Freed;

use super::Subcommand;
use crate::images::{self, Told as _};
use crate::run::home;

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
    arguments: |command| {
        let containers = "Also what is left of containers that no runtime knows any more, after a crash of the machine: with \
                          what they have changed";
        command.args([flags::switch("containers", containers), images::store_option()])
    },
    run: |arguments| {
        let store = images::store(arguments)?;
        let containers = home::sweep(store.path(), arguments.get_flag("containers"))?;
        output::lines(containers.iter().map(String::as_str))?;
        let Freed { layers, documents, leftovers } = store.gc().told()?;
        output::lines(layers.iter().map(String::as_str))?;
        output::lines([format!(
            "{} layers, {documents} documents and {leftovers} leftovers removed",
            layers.len()
        )
        .as_str()])
        .map(drop)
    },
};
