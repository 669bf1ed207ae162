//! `orlop checkpoint`

use std::path::PathBuf;

use clap::{Arg, ArgMatches, value_parser};
use orlop_runtime::CheckpointOptions;

use super::{Entry, PLAIN};
use crate::flags::{self, criu, get, option, path, switch};
use crate::values;

pub(super) const ENTRY: Entry = Entry {
    name: "checkpoint",
    about: "Save a running container to files, by CRIU",
    arguments: |command| command.arg(flags::id()).args(criu::shared()).args(own()),
    run: |globals, arguments| {
        globals.runtime()?.checkpoint(&flags::get_id(arguments)?, &options(arguments))?;
        Ok(0)
    },
    ..PLAIN
};

fn own() -> [Arg; 7] {
    [
        path("parent-path", "DIR", "The images of an earlier --pre-dump, relative to those of this one"),
        switch("leave-running", "The container goes on afterwards"),
        switch("pre-dump", "Save only memory, for a later checkpoint that has less to do"),
        switch("tcp-skip-in-flight", "Leave out TCP connections that are being made"),
        switch("link-remap", "Give files that were deleted a name, so that they can be restored"),
        option("page-server", "ADDRESS:PORT", "Send memory pages there; with --lazy-pages, offer them there")
            .value_parser(values::address),
        option("status-fd", "FD", "Write a NUL byte to FD once --lazy-pages is ready")
            .value_parser(value_parser!(i32).range(0..)),
    ]
}

fn options(arguments: &ArgMatches) -> CheckpointOptions {
    CheckpointOptions {
        criu: criu::get_shared(arguments),
        parent_path: get::<PathBuf>(arguments, "parent-path").cloned(),
        leave_running: arguments.get_flag("leave-running"),
        pre_dump: arguments.get_flag("pre-dump"),
        tcp_skip_in_flight: arguments.get_flag("tcp-skip-in-flight"),
        link_remap: arguments.get_flag("link-remap"),
        page_server: get(arguments, "page-server").cloned(),
        status_fd: get(arguments, "status-fd").copied(),
    }
}
