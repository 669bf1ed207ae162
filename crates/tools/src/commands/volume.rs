//! `orlop volume`

use clap::{Arg, ArgAction, Command};
use orlop_command::entry::{Entry, PLAIN};
use orlop_command::{flags, output};
use orlop_runtime::{Error, Result};
use serde_json::json;

use crate::format;
use crate::images;
use crate::run::{home, mounts};
use crate::volumes::{self, Volume};

pub(super) const ENTRY: Entry = Entry {
    name: "volume",
    about: "Volumes with a name: directories that outlive containers",
    arguments: |command| {
        let names =
            || Arg::new("name").value_name("NAME").required(true).action(ArgAction::Append).num_args(1..);
        command
            .arg(images::store_option())
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommands([
                Command::new("create").about("Make a volume").arg(names().help("Its name")),
                Command::new("list").visible_alias("ls").about("List volumes").args([
                    format::option("table"),
                    flags::switch("quiet", "Print names only").short('q').conflicts_with("format"),
                ]),
                Command::new("inspect")
                    .about("Print volumes as JSON")
                    .args([names().help("The volumes"), format::option("json")]),
                Command::new("remove")
                    .visible_alias("rm")
                    .about("Remove volumes that no container uses, with what is in them")
                    .arg(names().help("The volumes")),
                Command::new("prune").about("Remove all volumes that no container uses"),
            ])
    },
    run: |_, arguments| {
        let store = images::store(arguments)?.path().to_owned();
        let (what, arguments) = arguments.subcommand().unwrap_or(("", arguments));
        let names = || {
            let names = arguments.get_many::<String>("name").unwrap_or_default();
            names.map(|name| mounts::volume_name(name).map_err(Error::usage)).collect::<Result<Vec<_>>>()
        };
        match what {
            "create" => {
                for name in names()? {
                    volumes::ensure(&store.join(home::VOLUMES), &name)?;
                    output::lines([name.as_str()])?;
                }
            }
            "list" => list(&volumes::all(&store)?, arguments)?,
            "inspect" => {
                let found =
                    names()?.iter().map(|name| volumes::find(&store, name)).collect::<Result<Vec<_>>>()?;
                let found: Vec<_> = found.iter().map(|volume| json!(volume)).collect();
                if format::values(&format::get(arguments), &found, Some("  "))?.is_none() {
                    output::json(&found, Some("  "))?;
                }
            }
            "remove" => {
                for name in names()? {
                    volumes::remove(&store, &name)?;
                    output::lines([name.as_str()])?;
                }
            }
            _ => {
                for volume in volumes::all(&store)?.iter().filter(|volume| volume.used_by.is_empty()) {
                    volumes::remove(&store, &volume.name)?;
                    output::lines([volume.name.as_str()])?;
                }
            }
        }
        Ok(0)
    },
    ..PLAIN
};

fn list(all: &[Volume], arguments: &clap::ArgMatches) -> Result<()> {
    let values: Vec<_> = all.iter().map(|volume| json!(volume)).collect();
    if arguments.get_flag("quiet") {
        output::lines(all.iter().map(|volume| volume.name.as_str()))?;
    } else if format::values(&format::get(arguments), &values, None)?.is_none() {
        let head = ["NAME", "USED BY", "MOUNTPOINT"].map(str::to_owned);
        let row = |volume: &Volume| {
            [volume.name.clone(), volume.used_by.join(","), volume.mountpoint.display().to_string()]
        };
        let rows: Vec<_> = std::iter::once(head).chain(all.iter().map(row)).collect();
        output::write(output::titled(output::table(&rows)))?;
    }
    Ok(())
}
