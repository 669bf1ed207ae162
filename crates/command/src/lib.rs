//! What the programs with commands share, `orlop` and `orlop-tools`: arguments in, output and an exit status out.
//!
//! | file | what is in it |
//! |---|---|
//! | [`entry`] | what a command is, and a program that is made of commands |
//! | [`argv`] | finding the command in the arguments, and Go's way of writing options |
//! | `suggest.rs` | what was meant by a name that is not there |
//! | [`companion`] | commands that another program has: `orlop-tools` |
//! | [`globals`] | the options before the command |
//! | [`flags`], [`values`] | options that several commands share, and how their values are read |
//! | [`output`] | writing to standard output |
//!
//! A command is run hundreds of times where others are run once, so only the one that was asked for is defined.
#![forbid(unsafe_code)]

pub mod argv;
pub mod companion;
pub mod entry;
pub mod flags;
pub mod globals;
pub mod output;
mod suggest;
pub mod values;

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};

use orlop_runtime::Error;
use orlop_runtime::log::{Format, Log};

use crate::argv::{Split, Stop};
use crate::entry::Program;
use crate::globals::Globals;

/// A program's `main`: runs the command that this process was called with; the exit status.
pub fn main(program: &'static Program) -> u8 {
    run(program, orlop_sys::entry::arguments())
}

/// Runs the command that the arguments ask for; the exit status.
fn run(program: &'static Program, arguments: impl IntoIterator<Item = OsString>) -> u8 {
    // A caller that ignores SIGCHLD has its children reaped by the kernel, and we inherit that: no process that we start
    // could be waited for. There is no other reason why this could fail than a signal that does not exist.
    orlop_sys::process::default_signal(libc::SIGCHLD).ok();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if arguments.get(1).is_some_and(argv::asks_for_version) {
        // The first question of every engine: nothing is defined to answer it.
        return stopped(None, Stop::Print(entry::version()), 1);
    }
    program.begin(arguments.get(1..).unwrap_or_default());
    let mut split = Split::new(program, arguments);
    let globals = match split.globals() {
        Ok(globals) => globals,
        Err(stop) => return stopped(None, stop, 1),
    };
    let globals = match Globals::read(&globals, split.given()) {
        Ok(globals) => globals,
        Err(e) => return report(None, &e, 1),
    };
    globals.log.install();
    let failure = split.failure();
    match split.command() {
        Err(stop) => stopped(Some(globals.log), stop, failure),
        Ok((entry, arguments)) => match (entry.run)(&globals, &arguments) {
            Ok(status) => status,
            Err(e) => report_of(entry.name, Some(globals.log), &e, entry.failure),
        },
    }
}

/// Prints what was asked for instead of a command, or what is wrong with the arguments; the exit status, which is
/// `failure` for wrong ones.
fn stopped(log: Option<&Log>, stop: Stop, failure: u8) -> u8 {
    match stop {
        Stop::Print(text) => output::write(text).map_or_else(|e| report(log, &e, 1), |_| 0),
        Stop::Companion => report(log, &companion::become_it(), 1),
        Stop::Wrong(e, usage) => {
            let status = report(log, &e, failure);
            if !usage.is_empty() {
                std::io::stderr().write_all(format!("\n{usage}\n").as_bytes()).ok();
            }
            status
        }
    }
}

/// What runc says before an error while it makes a container, for who reads that, where orlop is in its place.
fn runcs_words(command: &str, error: &Error) -> &'static str {
    match command {
        _ if entry::called() != "runc" || !matches!(error, Error::Step { .. } | Error::NotFound { .. }) => {
            "orlop: "
        }
        "run" => "runc run failed: unable to start container process: error during container init: ",
        "create" => "runc create failed: unable to start container process: error during container init: ",
        "exec" => "exec failed: unable to start container process: ",
        _ => "orlop: ",
    }
}

/// Tells of an error, once: to the log if there is one, and to standard error; the exit status.
fn report(log: Option<&Log>, error: &Error, status: u8) -> u8 {
    report_of("", log, error, status)
}

/// As [`report`], of a command.
fn report_of(command: &str, log: Option<&Log>, error: &Error, status: u8) -> u8 {
    let mut stderr = std::io::stderr();
    match log {
        Some(log) if log.is_stderr() && log.format() == Format::Json => {
            log.error(error);
            return status;
        }
        Some(log) if !log.is_stderr() => log.error(error),
        _ => {}
    }
    let name = if error.is_the_containers() { "" } else { runcs_words(command, error) };
    let text = match error.help() {
        Some(help) if stderr.is_terminal() => format!("{name}{}\n{help}\n", error.headline()),
        _ => format!("{name}{error}\n"),
    };
    let text = if output::has_colours(&stderr) { output::coloured(&text) } else { text };
    // Where standard error is closed nobody is left to be told.
    stderr.write_all(text.as_bytes()).ok();
    status
}
