//! `orlop try`

use clap::{Arg, ArgAction};
use orlop_runtime::{NetMode, TryOptions};

use super::{Entry, PLAIN, status};
use crate::{flags, values};

pub(super) const ENTRY: Entry = Entry {
    name: "try",
    about: "Run a command in a throw-away container, without a bundle or an image",
    tail: Some(0),
    arguments: |command| {
        command.override_usage("orlop try [OPTIONS] [--] [COMMAND]...").args(limits()).args([
            flags::path(
                "rootfs",
                "DIR",
                "The root file system [default: the host's, changes are thrown away]",
            ),
            flags::switch("read-only", "Make the root file system read-only"),
            flags::option(
                "user",
                "UID[:GID]",
                "The user [default: 0:0]; without GID, the group has the same number",
            )
            .short('u')
            .value_parser(values::user),
            flags::option("net", "MODE", "The network: none or host")
                .value_parser(["none", "host"])
                .hide_possible_values(true)
                .default_value("none"),
            flags::option("hostname", "NAME", "The hostname"),
            flags::option("env", "NAME=VALUE", "Add to the environment").short('e').action(ArgAction::Append),
            Arg::new("command")
                .value_name("COMMAND")
                .num_args(0..)
                .help("The program and its arguments [default: an interactive shell]"),
        ])
    },
    run: |globals, arguments| {
        let strings =
            |name: &str| arguments.get_many(name).unwrap_or_default().cloned().collect::<Vec<String>>();
        let user: Option<&(u32, Option<u32>)> = flags::get(arguments, "user");
        let options = TryOptions {
            command: strings("command"),
            rootfs: flags::get(arguments, "rootfs").cloned(),
            memory: flags::get(arguments, "memory").copied(),
            cpus: flags::get(arguments, "cpus").copied(),
            pids: flags::get(arguments, "pids").copied(),
            read_only: arguments.get_flag("read-only"),
            user: user.map(|(uid, gid)| (*uid, gid.unwrap_or(*uid))),
            net: match flags::get::<String>(arguments, "net") {
                Some(mode) if mode == "host" => NetMode::Host,
                _ => NetMode::None,
            },
            hostname: flags::get(arguments, "hostname").cloned(),
            env: strings("env"),
        };
        globals.runtime()?.try_it(&options).map(status)
    },
    ..PLAIN
};

fn limits() -> [Arg; 3] {
    [
        flags::option("memory", "BYTES", "Limit memory, such as 64m or 1.5GiB")
            .short('m')
            .value_parser(values::bytes),
        flags::option("cpus", "N", "Limit CPU time, such as 0.5").value_parser(values::cpus),
        flags::option("pids", "N", "Limit the number of processes").value_parser(values::processes),
    ]
}
