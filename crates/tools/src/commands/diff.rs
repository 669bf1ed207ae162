//! `orlop diff`

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use orlop_command::entry::{Entry, PLAIN};
use orlop_command::{flags, output};
use orlop_compile::{OVERLAY, OVERLAY_LOWER, Upper};
use orlop_image::diff::{Kind, diff};
use orlop_runtime::{ContainerId, ContainerState, Error, Result};

use crate::images::Told as _;

pub(super) const ENTRY: Entry = Entry {
    name: "diff",
    about: "Show what a container has changed in its root file system, if that is an overlay",
    arguments: |command| {
        command
            .arg(flags::id())
            .after_help("A: added, C: changed, D: deleted; a directory is changed if something in it is")
    },
    run: |globals, arguments: &ArgMatches| {
        let id: ContainerId = flags::get_id(arguments)?;
        let (upper, lowers) = layers(&globals.runtime()?.state(&id)?)?;
        let mut text = Vec::new();
        for change in diff(&upper, &lowers).told()? {
            text.extend(match change.kind {
                Kind::Added => b"A ",
                Kind::Changed => b"C ",
                Kind::Deleted => b"D ",
            });
            text.extend(change.path);
            text.push(b'\n');
        }
        output::write(text)?;
        Ok(0)
    },
    ..PLAIN
};

/// Where a container's changes are, and the directories below, the topmost first.
///
/// # Errors
///
/// Its root is no overlay, or its changes are in memory.
pub(crate) fn layers(state: &ContainerState) -> Result<(PathBuf, Vec<PathBuf>)> {
    let id = &state.id;
    let of_bundle = |path: &str| state.bundle.join(Path::new(path));
    let upper = match state.annotations.get(OVERLAY).and_then(|text| Upper::parse(text)) {
        None => {
            return Err(Error::usage(format!(
                "container {id}: its root is no overlay, so nobody has noted what was there before"
            )));
        }
        Some(Upper::Memory(_)) => {
            let message = format!("container {id}: its changes are in memory, in a mount that only it has");
            return Err(Error::usage(message));
        }
        Some(Upper::Directory(path)) => of_bundle(path).join("upper"),
    };
    let lowers = match state.annotations.get(OVERLAY_LOWER) {
        None => vec![state.rootfs.clone()],
        Some(list) => list.split(':').map(of_bundle).collect(),
    };
    Ok((upper, lowers))
}
