//! `orlop restore`

use clap::{Arg, ArgMatches};
use orlop_runtime::{CreateOptions, RestoreOptions, RunOptions};

use super::{Entry, PLAIN, status};
use crate::flags::{self, criu, get, option, switch};

pub(super) const ENTRY: Entry = Entry {
    name: "restore",
    about: "Make a container of what checkpoint saved, and run it",
    arguments: |command| {
        command
            .args([flags::id(), flags::bundle(), flags::pid_file(), flags::console_socket(), flags::detach()])
            .args(criu::shared())
            .args(own())
    },
    run: |globals, arguments| {
        let create = CreateOptions {
            bundle: flags::get_bundle(arguments),
            pid_file: get(arguments, "pid-file").cloned(),
            console_socket: get(arguments, "console-socket").cloned(),
            no_pivot: arguments.get_flag("no-pivot"),
            ..CreateOptions::default()
        };
        let run = RunOptions {
            detach: arguments.get_flag("detach"),
            no_subreaper: arguments.get_flag("no-subreaper"),
            ..RunOptions::default()
        };
        let id = flags::get_id(arguments)?;
        globals.runtime()?.restore(&id, &create, &run, &options(arguments)).map(status)
    },
    ..PLAIN
};

fn own() -> [Arg; 5] {
    [
        switch("tcp-close", "Close TCP connections"),
        switch("no-subreaper", "Do not become the parent of the container's orphaned processes"),
        switch("no-pivot", "Refused: CRIU always uses pivot_root(2)").hide(true),
        option("lsm-profile", "TYPE:NAME", "The profile of the security module, such as apparmor:name"),
        option("lsm-mount-context", "CONTEXT", "The security context of mounts"),
    ]
}

fn options(arguments: &ArgMatches) -> RestoreOptions {
    RestoreOptions {
        criu: criu::get_shared(arguments),
        tcp_close: arguments.get_flag("tcp-close"),
        lsm_profile: get(arguments, "lsm-profile").cloned(),
        lsm_mount_context: get(arguments, "lsm-mount-context").cloned(),
    }
}
