//! `orlop exec`

use std::path::PathBuf;

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
        let id = flags::id();
        let what =
            Arg::new("command").value_name("COMMAND").num_args(0..).help("The program and its arguments");
        command
            .override_usage(
                "orlop exec [OPTIONS] <ID> <COMMAND>...\n       orlop exec [OPTIONS] --process <FILE> <ID>",
            )
            .args([id, what, flags::detach()])
            .args(flags::process())
            .args(changes())
            .arg(
                flags::option(
                    "cgroup",
                    "PATH",
                    "Start it in a cgroup below the container's own; or CONTROLLER:PATH",
                )
                .action(ArgAction::Append),
            )
            .arg(flags::switch("ignore-paused", "Do it in a paused container too; it freezes until resume"))
    },
    rare: Some(|command| command.arg(flags::trace())),
    run: |globals, arguments| {
        let options = options(arguments)?;
        let ended = globals.runtime()?.exec(&flags::get_id(arguments)?, &options).map(status);
        companion::show_trace(options.trace.as_deref(), ended)
    },
    ..PLAIN
};

/// How the process differs from the container's own, or the file that describes it.
fn changes() -> [Arg; 10] {
    [
        // The file says everything. --tty is no conflict: engines give it in addition, saying the same.
        flags::path("process", "FILE", "Read the process, as JSON, from FILE").short('p').conflicts_with_all(
            [
                "command",
                "cwd",
                "env",
                "user",
                "additional-gids",
                "cap",
                "no-new-privs",
                "apparmor",
                "process-label",
            ],
        ),
        flags::option("cwd", "DIR", "The working directory inside the container"),
        flags::option("env", "NAME=VALUE", "Add to the environment").short('e').action(ArgAction::Append),
        flags::switch("tty", "Give it a terminal").short('t'),
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
        pidfd_socket: flags::get(arguments, "pidfd-socket").cloned(),
        detach: arguments.get_flag("detach"),
        // Seldom given, and not always defined.
        trace: arguments.try_get_one("trace").ok().flatten().cloned(),
        preserve_fds: flags::get(arguments, "preserve-fds").copied().unwrap_or_default(),
        ignore_paused: arguments.get_flag("ignore-paused"),
        cgroup: arguments.get_many("cgroup").unwrap_or_default().cloned().collect(),
    })
}

fn process(arguments: &ArgMatches) -> Result<ProcessSource> {
    let strings = |name: &str| arguments.get_many(name).unwrap_or_default().cloned().collect::<Vec<String>>();
    let args = strings("command");
    if let Some(file) = flags::get::<PathBuf>(arguments, "process") {
        return Ok(ProcessSource::File(file.clone()));
    }
    if args.is_empty() {
        return Err(Error::usage("exec args cannot be empty"));
    }
    Ok(ProcessSource::Args(Box::new(ExecArgs {
        args,
        cwd: flags::get(arguments, "cwd").cloned(),
        env: strings("env"),
        user: flags::get(arguments, "user").copied(),
        additional_gids: arguments.get_many("additional-gids").unwrap_or_default().copied().collect(),
        tty: arguments.get_flag("tty"),
        caps: strings("cap"),
        apparmor: flags::get(arguments, "apparmor").cloned(),
        process_label: flags::get(arguments, "process-label").cloned(),
        no_new_privs: arguments.get_flag("no-new-privs").then_some(true),
    })))
}
