//! Arguments that several commands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::parser::MatchesError;
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use orlop_runtime::supervise::STOP_TIMEOUT;
use orlop_runtime::{ContainerId, CreateOptions, Result};

use crate::values;

pub mod criu;
pub mod strict;
pub mod supervise;

/// An option without a value.
pub fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// An option with a value.
pub fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    // A value may look like an option, a working directory that begins with a dash for instance.
    Arg::new(name).long(name).value_name(value).allow_hyphen_values(true).help(help)
}

/// An option whose value is a path.
pub fn path(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    option(name, value, help).value_parser(value_parser!(PathBuf))
}

/// The container's id.
pub fn id() -> Arg {
    Arg::new("id").value_name("ID").required(true).help("The container")
}

/// `--pidfd-socket` and `--preserve-fds`, which whatever starts a process takes, and is seldom given.
pub fn rare_of_process() -> [Arg; 2] {
    [
        path("pidfd-socket", "SOCKET", "Send a pidfd of the process to the Unix socket SOCKET"),
        option(
            "preserve-fds",
            "N",
            "Let the process inherit N descriptors from 3 on, after those of LISTEN_FDS",
        )
        .value_parser(value_parser!(u32))
        .default_value("0")
        .hide_default_value(true),
    ]
}

/// `--pid-file`.
pub fn pid_file() -> Arg {
    path("pid-file", "FILE", "Write the process id to FILE")
}

/// `--console-socket`.
pub fn console_socket() -> Arg {
    path("console-socket", "SOCKET", "Send the master end of the terminal to the Unix socket SOCKET")
}

/// `--bundle`.
pub fn bundle() -> Arg {
    path("bundle", "DIR", "The bundle [default: the current directory]").short('b')
}

/// The value of `--bundle`.
pub fn get_bundle(arguments: &ArgMatches) -> PathBuf {
    get(arguments, "bundle").cloned().unwrap_or_else(|| PathBuf::from("."))
}

/// `--detach`.
pub fn detach() -> Arg {
    switch("detach", "Return once the process runs").short('d')
}

/// What `create` and `run` share.
pub fn create() -> [Arg; 4] {
    [id(), bundle(), pid_file(), console_socket()]
}

/// The same, of what is seldom given.
pub fn rare_of_create() -> [Arg; 6] {
    let [pidfd_socket, preserve_fds] = rare_of_process();
    [
        path("config", "FILE", "The config [default: config.json in the bundle]").short('f'),
        switch("no-pivot", "Do not use pivot_root(2): only for a root file system on the initial ramfs"),
        switch("no-new-keyring", "Keep the caller's session keyring"),
        switch("init", "Have a first process that hands signals on to the program and reaps orphans"),
        pidfd_socket,
        preserve_fds,
    ]
}

/// `--time`.
pub fn time() -> Arg {
    option("time", "SECONDS", "How long it may take to end by itself; -1 is for ever [default: 10]")
        .short('t')
        .value_parser(values::patience)
}

/// The value of `--time`; `None` is for ever.
pub fn get_time(arguments: &ArgMatches) -> Option<Duration> {
    get(arguments, "time").copied().unwrap_or(Some(STOP_TIMEOUT))
}

/// `--trace`, which whatever starts a process takes.
pub fn trace() -> Arg {
    path(
        "trace",
        "FILE",
        "Write when each step began and ended: a page if FILE ends in .html, events for chrome://tracing if in .json, else text",
    )
}

/// `--overlay`, which `create` and `run` take.
pub fn overlay() -> Arg {
    option(
        "overlay",
        "UPPER",
        "Leave the root file system as it is: changes go to a tmpfs and are lost at the end, or to the directory UPPER",
    )
    .num_args(0..=1)
    .require_equals(true)
    .default_missing_value("tmpfs")
}

/// The container's id, checked.
///
/// # Errors
///
/// It is none.
pub fn get_id(arguments: &ArgMatches) -> Result<ContainerId> {
    ContainerId::new(get(arguments, "id").map_or("", String::as_str))
}

/// The value of an option, if it was given.
pub fn get<'a, T: Clone + Send + Sync + 'static>(arguments: &'a ArgMatches, name: &str) -> Option<&'a T> {
    arguments.get_one(name)
}

/// The value of an option that may not have been defined, if it was given.
///
/// # Panics
///
/// It was defined with another type.
pub fn get_rare<'a, T: Clone + Send + Sync + 'static>(
    arguments: &'a ArgMatches,
    name: &str,
) -> Option<&'a T> {
    match arguments.try_get_one(name) {
        Err(MatchesError::UnknownArgument { .. }) => None,
        found => found.expect("it has this type"),
    }
}

/// Whether a switch was given; it may not have been defined.
pub fn is_given(arguments: &ArgMatches, name: &str) -> bool {
    get_rare(arguments, name).copied().unwrap_or_default()
}

/// What `create` and `run` take.
pub fn get_create(arguments: &ArgMatches) -> CreateOptions {
    CreateOptions {
        bundle: get_bundle(arguments),
        config: get_rare(arguments, "config").cloned(),
        pid_file: get(arguments, "pid-file").cloned(),
        console_socket: get(arguments, "console-socket").cloned(),
        pidfd_socket: get_rare(arguments, "pidfd-socket").cloned(),
        trace: get_rare(arguments, "trace").cloned(),
        overlay: get_rare(arguments, "overlay").cloned(),
        no_pivot: is_given(arguments, "no-pivot"),
        no_new_keyring: is_given(arguments, "no-new-keyring"),
        preserve_fds: get_rare(arguments, "preserve-fds").copied().unwrap_or_default(),
        init: is_given(arguments, "init"),
    }
}

/// What `--format` is for, where there are templates.
pub const FORMAT_HELP: &str = "How to print: table, json, or a template such as '{{.ID}}'";

/// `--format`.
pub fn format() -> Arg {
    option("format", "FORMAT", "How to print: table or json")
        .short('f')
        .value_parser(["table", "json"])
        .hide_possible_values(true)
        .default_value("table")
}

/// Whether `--format` asks for JSON.
pub fn is_json(arguments: &ArgMatches) -> bool {
    get(arguments, "format").is_some_and(|format: &String| format == "json")
}
