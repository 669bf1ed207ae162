//! `orlop image save`

use std::path::PathBuf;

use orlop_command::flags;
use orlop_image::reference::Name;
use orlop_runtime::Error;

use super::Subcommand;
use crate::images::{self, Told as _};

pub(super) const SAVE: Subcommand = Subcommand {
    name: "save",
    about: "Write an image as an archive that skopeo, podman and docker read",
    arguments: |command| {
        command.args([
            images::names(true).num_args(1),
            flags::path("output", "FILE", "Where to [default: standard output]").short('o'),
            images::store_option(),
        ])
    },
    run: |arguments| {
        let store = images::store(arguments)?;
        let name: &Name = flags::get(arguments, "name").ok_or_else(|| Error::usage("an image is needed"))?;
        let image = store.image(name).told()?;
        let called = image.name.clone().unwrap_or_else(|| name.to_string());
        let mut to = images::output(flags::get::<PathBuf>(arguments, "output").map(PathBuf::as_path))?;
        orlop_image::save::save(&store, &image, &called, &mut to).told()
    },
};
