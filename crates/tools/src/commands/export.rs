//! `orlop export`

use std::path::PathBuf;

use clap::ArgMatches;
use orlop_command::entry::{Entry, PLAIN};
use orlop_command::flags;
use orlop_compile::OVERLAY;
use orlop_image::Tree;
use orlop_runtime::ContainerId;

use super::diff;
use crate::images::{Told as _, output};

pub(super) const ENTRY: Entry = Entry {
    name: "export",
    about: "Write an archive of a container's root file system",
    arguments: |command| {
        command
            .args([
                flags::id(),
                flags::path("output", "FILE", "Where to [default: standard output]").short('o'),
            ])
            .after_help("Without what is mounted in it, whether it runs or not.")
    },
    run: |globals, arguments: &ArgMatches| {
        let id: ContainerId = flags::get_id(arguments)?;
        let state = globals.runtime()?.state(&id)?;
        // Looked at where it lies, so that it is without mounts.
        let tree = if state.annotations.contains_key(OVERLAY) {
            let (upper, lowers) = diff::layers(&state)?;
            // A container that has never got so far as to have a root has changed nothing.
            let upper = Some(upper).filter(|upper| upper.exists());
            Tree::layered(&upper.into_iter().chain(lowers).collect::<Vec<_>>())
        } else {
            Tree::open(&state.rootfs)
        };
        let mut to = output(flags::get::<PathBuf>(arguments, "output").map(PathBuf::as_path))?;
        orlop_image::export(&tree.told()?, &mut to).told().map(|()| 0)
    },
    ..PLAIN
};
