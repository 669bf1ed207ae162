//! `orlop-tools man`: writes the manual pages, for whoever installs or packages orlop.

use std::path::PathBuf;

use clap::{Arg, value_parser};
use orlop_command::entry::{Entry, PLAIN};
use orlop_command::flags::get;
use orlop_runtime::clock;
use orlop_runtime::error::Doing as _;
use orlop_runtime::{Error, Result};

use crate::man;

pub(super) const ENTRY: Entry = Entry {
    name: "man",
    about: "Write the manual pages of all commands to a directory; called by make install",
    hidden: true,
    arguments: |command| {
        let dir = Arg::new("dir").value_name("DIR").required(true).value_parser(value_parser!(PathBuf));
        command.arg(dir.help("Where to, with man1 and man8 below it"))
    },
    run: |_, arguments| {
        let dir = get::<PathBuf>(arguments, "dir").cloned().unwrap_or_default();
        for (file, text) in man::pages(&date()?) {
            let section = dir.join(format!("man{}", file.rsplit('.').next().unwrap_or_default()));
            let path = section.join(file);
            std::fs::create_dir_all(&section).doing(|| format!("make {}", section.display()))?;
            std::fs::write(&path, text).doing(|| format!("write {}", path.display()))?;
        }
        Ok(0)
    },
    ..PLAIN
};

/// The day of `SOURCE_DATE_EPOCH`, for builds that are the same every time; else today.
fn date() -> Result<String> {
    let moment = match std::env::var("SOURCE_DATE_EPOCH") {
        Err(_) => clock::now(),
        Ok(text) => {
            let seconds = text.parse().map_err(|_| {
                Error::usage(format!("SOURCE_DATE_EPOCH: {text:?} is no number of seconds since 1970"))
            })?;
            clock::rfc3339(seconds, 0)
        }
    };
    Ok(moment.get(..10).unwrap_or_default().to_owned())
}
