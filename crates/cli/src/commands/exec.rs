//! `orlop exec`

use std::path::PathBuf;

use clap::parser::MatchesError;
use clap::{Arg, ArgAction, ArgMatches};
use orlop_runtime::{Error, ExecArgs, ExecOptions, ProcessSource, Result};

use super::{Entry, PLAIN, status};
use crate::{companion, flags, values};

pub(super) const ENTRY: Entry = Entry {
    name: "exec",
    about: "Execute another process in a running container",
    tail: Some(1),
    failure: 255,
    arguments: |command| {
        let what = Arg::new("command").value_name("COMMAND").num_args(0..).conflicts_with("process");
        // The file says everything. --tty is no conflict: engines give it in addition, saying the same.
        let process = flags::path("process", "FILE", "Read the process, as JSON, from FILE").short('p');
        command
            .override_usage(
                "orlop exec [OPTIONS] <ID> <COMMAND>...\n       orlop exec [OPTIONS] --process <FILE> <ID>",
            )
            .args([flags::id(), what.help("The program and its arguments"), flags::detach(), process])
            .args([flags::pid_file(), flags::console_socket()])
    },
    rare: Some(|command| {
        command.args(changes().map(|arg| arg.conflicts_with("process"))).args(flags::rare_of_process()).args(
            [
                flags::switch("tty", "Give it a terminal").short('t'),
                flags::option(
                    "cgroup",
                    "PATH",
                    "Start it in a cgroup below the container's own; or CONTROLLER:PATH",
                )
                .action(ArgAction::Append),
                flags::switch("ignore-paused", "Do it in a paused container too; it freezes until resume"),
                flags::trace(),
            ],
        )
    }),
    run: |globals, arguments| {
        let options = options(arguments)?;
        let (runtime, id) = (globals.runtime()?, flags::get_id(arguments)?);
        companion::traced(options.trace.as_deref(), || runtime.exec(&id, &options).map(status))
    },
    ..PLAIN
};

/// How the process differs from the container's own.
fn changes() -> [Arg; 8] {
    [
        flags::option("cwd", "DIR", "The working directory inside the container"),
        flags::option("env", "NAME=VALUE", "Add to the environment").short('e').action(ArgAction::Append),
        flags::option("user", "UID[:GID]", "The user, and the group").short('u').value_parser(values::user),
        flags::option("additional-gids", "GID", "Add supplementary groups")
            .short('g')
            .action(ArgAction::Append)
            .value_delimiter(',')
            .value_parser(values::user_id),
        flags::option("cap", "CAPABILITY", "Add a capability").short('c').action(ArgAction::Append),
        flags::switch("no-new-privs", "Let it gain no privileges by executing programs"),
        flags::option("apparmor", "PROFILE", "Its AppArmor profile"),
        flags::option("process-label", "LABEL", "Its SELinux label"),
    ]
}

fn options(arguments: &ArgMatches) -> Result<ExecOptions> {
    Ok(ExecOptions {
        process: process(arguments)?,
        pid_file: flags::get(arguments, "pid-file").cloned(),
        console_socket: flags::get(arguments, "console-socket").cloned(),
        pidfd_socket: flags::get_rare(arguments, "pidfd-socket").cloned(),
        detach: arguments.get_flag("detach"),
        trace: flags::get_rare(arguments, "trace").cloned(),
        preserve_fds: flags::get_rare(arguments, "preserve-fds").copied().unwrap_or_default(),
        ignore_paused: flags::is_given(arguments, "ignore-paused"),
        cgroup: many(arguments, "cgroup"),
    })
}

/// The values of an option that may not have been defined.
fn many<T: Clone + Send + Sync + 'static>(arguments: &ArgMatches, name: &str) -> Vec<T> {
    match arguments.try_get_many(name) {
        Err(MatchesError::UnknownArgument { .. }) => Vec::new(),
        found => found.expect("they have this type").unwrap_or_default().cloned().collect(),
    }
}

fn process(arguments: &ArgMatches) -> Result<ProcessSource> {
    let args: Vec<String> = many(arguments, "command");
    if let Some(file) = flags::get::<PathBuf>(arguments, "process") {
        return Ok(ProcessSource::File(file.clone()));
    }
    if args.is_empty() {
        return Err(Error::usage("exec args cannot be empty"));
    }
    Ok(ProcessSource::Args(Box::new(ExecArgs {
        args,
        cwd: flags::get_rare(arguments, "cwd").cloned(),
        env: many(arguments, "env"),
        user: flags::get_rare(arguments, "user").copied(),
        additional_gids: many(arguments, "additional-gids"),
        tty: flags::is_given(arguments, "tty"),
        caps: many(arguments, "cap"),
        apparmor: flags::get_rare(arguments, "apparmor").cloned(),
        process_label: flags::get_rare(arguments, "process-label").cloned(),
        no_new_privs: flags::is_given(arguments, "no-new-privs").then_some(true),
    })))
}
