//! The options before the command.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgMatches};
use orlop_runtime::log::{Destination, Format, Log, Verbosity};
use orlop_runtime::{CgroupManager, Result, Runtime, Settings};

use crate::flags::{get, get_rare, is_given, option, path, switch};

/// What they say.
pub struct Globals {
    /// Where lines for machines go.
    pub log: &'static Log,
    /// The options as they were given, for another process of this program.
    pub given: Vec<OsString>,
    settings: Settings,
}

/// The options that engines and scripts give.
pub fn usual() -> [Arg; 4] {
    [
        path(
            "root",
            "DIR",
            "Where the state of containers is [default: /run/orlop, or $XDG_RUNTIME_DIR/orlop]",
        ),
        path("log", "FILE", "Append logs to FILE, or send them to syslog:NAME or journald:NAME"),
        option("log-format", "FORMAT", "How log lines look: text or json")
            .value_parser(["text", "json"])
            .hide_possible_values(true)
            .default_value("text"),
        switch(
            "systemd-cgroup",
            "Let systemd make cgroups, waiting ORLOP_DBUS_TIMEOUT seconds for each answer [default: 10]; \
             the same as --cgroup-manager systemd",
        ),
    ]
}

/// The others, which are not defined where none of them can be meant.
pub fn rare() -> [Arg; 4] {
    [
        option("log-level", "LEVEL", "What to log: error, warning or debug")
            .value_parser(["error", "warning", "debug"])
            .hide_possible_values(true)
            .default_value("warning"),
        switch("debug", "The same as --log-level debug"),
        option("rootless", "BOOL", "Do without a cgroup where the caller may make none: true, false or auto")
            .value_parser(["auto", "true", "false"])
            .hide_possible_values(true)
            .ignore_case(true)
            .default_value("auto"),
        option("cgroup-manager", "MANAGER", "Who makes cgroups: cgroupfs, systemd or disabled")
            .value_parser(["cgroupfs", "systemd", "disabled"])
            .hide_possible_values(true)
            .default_value("cgroupfs"),
    ]
}

impl Globals {
    /// Reads them and opens the log.
    ///
    /// # Errors
    ///
    /// The log cannot be opened.
    pub fn read(arguments: &ArgMatches, given: &[OsString]) -> Result<Self> {
        let text = |name: &str| get_rare(arguments, name).map_or("", String::as_str);
        let destination = get::<PathBuf>(arguments, "log").map(|log| Destination::parse(log));
        let format = if text("log-format") == "json" { Format::Json } else { Format::Text };
        let verbosity = match text("log-level") {
            "debug" => Verbosity::Debug,
            _ if is_given(arguments, "debug") => Verbosity::Debug,
            "error" => Verbosity::Error,
            _ => Verbosity::Warning,
        };
        let log = Log::open(destination.as_ref(), format, verbosity)?;
        let settings = Settings {
            root: get(arguments, "root").cloned(),
            cgroup_manager: match text("cgroup-manager") {
                _ if arguments.get_flag("systemd-cgroup") => CgroupManager::Systemd,
                "systemd" => CgroupManager::Systemd,
                "disabled" => CgroupManager::Disabled,
                _ => CgroupManager::Cgroupfs,
            },
            rootless: match text("rootless") {
                yes if yes.eq_ignore_ascii_case("true") => Some(true),
                no if no.eq_ignore_ascii_case("false") => Some(false),
                _ => None,
            },
        };
        Ok(Self { log: Box::leak(Box::new(log)), given: given.to_vec(), settings })
    }

    /// The runtime that they describe.
    ///
    /// # Errors
    ///
    /// As those of [`Runtime::new`].
    pub fn runtime(&self) -> Result<Runtime> {
        Runtime::new(self.settings.clone())
    }
}
