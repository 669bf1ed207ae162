//! Options of `run` that ask for a supervisor: any one of them does.

use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use orlop_runtime::supervise::{HealthCheck, Logging, RestartPolicy, Supervision};
use orlop_runtime::{Error, Result};

use super::{get as value, option, switch};
use crate::values;

/// What is said to who wants a supervisor in the foreground.
pub const NEEDS_DETACH: &str = "--supervise, --restart, --log-driver and --log-opt need --detach: they are about a container \
     that nobody waits for";

/// Those with a value, which ask for a supervisor by being there.
pub const WITH_VALUES: [&str; 8] = [
    "restart",
    "log-driver",
    "log-opt",
    "health-cmd",
    "health-interval",
    "health-timeout",
    "health-retries",
    "health-start-period",
];

/// The options.
pub fn all() -> Vec<Arg> {
    vec![
        switch(
            "supervise",
            "With --detach: keep the container's output and how it ended; so does each of the following",
        ),
        switch("rm", "Delete the container when it has ended for good, without --detach too"),
        option("restart", "POLICY", "Run it again: no, on-failure[:N], always or unless-stopped")
            .value_parser(str::parse::<RestartPolicy>),
        option("log-driver", "DRIVER", "Where output goes: json-file or none")
            .value_parser(["json-file", "none"])
            .hide_possible_values(true),
        option(
            "log-opt",
            "NAME=VALUE",
            "max-size: of a file [default: 10m; -1: any]; max-file: how many [default: 3]",
        )
        .action(ArgAction::Append),
        option(
            "health-cmd",
            "COMMAND",
            "Check its health by this, for sh -c or as a list in JSON: 0 is good",
        ),
        option("health-interval", "TIME", "The time between two checks [default: 30s]")
            .value_parser(values::duration),
        option("health-timeout", "TIME", "What takes longer has failed [default: 30s]")
            .value_parser(values::duration),
        option("health-retries", "N", "So many failures in a row make it unhealthy [default: 3]")
            .value_parser(value_parser!(u32).range(1..)),
        option(
            "health-start-period",
            "TIME",
            "Failures in the first time do not count, until a check is good [default: 0s]",
        )
        .value_parser(values::period),
    ]
}

/// How the container is to be supervised, if it is.
///
/// # Errors
///
/// An option of the log that is not known.
pub fn get(arguments: &ArgMatches) -> Result<Option<Supervision>> {
    // None of them is defined where none was meant.
    let given = |name: &&str| matches!(arguments.try_contains_id(name), Ok(true));
    let is_set = |name: &str| matches!(arguments.try_get_one(name), Ok(Some(true)));
    let remove = is_set("rm");
    if remove && arguments.contains_id("restart") {
        return Err(Error::usage("--rm and --restart: a container that is deleted is not run again"));
    }
    if remove && is_set("keep") {
        return Err(Error::usage("--rm and --keep: a container is deleted when it has ended, or it is not"));
    }
    // In the foreground, whoever waits for it deletes it.
    let asked = is_set("supervise") || remove && is_set("detach");
    if !asked && !WITH_VALUES.iter().any(given) {
        return Ok(None);
    }
    let driver = value(arguments, "log-driver").map_or("json-file", String::as_str);
    let options: Vec<&String> = arguments.get_many("log-opt").unwrap_or_default().collect();
    if driver == "none" && !options.is_empty() {
        return Err(Error::usage("--log-opt is for --log-driver json-file"));
    }
    Ok(Some(Supervision {
        restart: value(arguments, "restart").copied().unwrap_or_default(),
        logging: (driver == "json-file").then(|| logging(&options)).transpose()?,
        health: health(arguments)?,
        remove,
    }))
}

fn health(arguments: &ArgMatches) -> Result<Option<HealthCheck>> {
    let time = |name: &str, default| value(arguments, name).copied().unwrap_or(Duration::from_secs(default));
    let Some(command) = value::<String>(arguments, "health-cmd") else {
        let others = ["health-interval", "health-timeout", "health-retries", "health-start-period"];
        return match others.iter().find(|name| arguments.contains_id(name)) {
            Some(name) => Err(Error::usage(format!("--{name} needs --health-cmd"))),
            None => Ok(None),
        };
    };
    let command = if command.trim_start().starts_with('[') {
        let list: Vec<String> = serde_json::from_str(command)
            .map_err(|e| Error::usage(format!("--health-cmd: not a list of strings in JSON: {e}")))?;
        if list.is_empty() {
            return Err(Error::usage("--health-cmd: the list is empty"));
        }
        list
    } else {
        ["/bin/sh", "-c", command].map(str::to_owned).to_vec()
    };
    Ok(Some(HealthCheck {
        command,
        interval: time("health-interval", 30),
        timeout: time("health-timeout", 30),
        retries: value(arguments, "health-retries").copied().unwrap_or(3),
        start_period: time("health-start-period", 0),
    }))
}

fn logging(options: &[&String]) -> Result<Logging> {
    let mut logging = Logging::default();
    for option in options {
        let wrong = |why: String| Error::usage(format!("--log-opt {option}: {why}"));
        match option.split_once('=') {
            Some(("max-size", "-1")) => logging.max_size = None,
            Some(("max-size", size)) => logging.max_size = Some(values::bytes(size).map_err(wrong)?),
            Some(("max-file", count)) => {
                let count = count.parse().ok().filter(|count| (1..=1000).contains(count));
                logging.max_files =
                    count.ok_or_else(|| wrong("not a number of files from 1 to 1000".to_owned()))?;
            }
            _ => return Err(wrong("there are max-size=SIZE and max-file=COUNT".to_owned())),
        }
    }
    Ok(logging)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_asks_for_a_supervisor() {
        let mut all: Vec<String> = all().iter().map(|option| option.get_id().to_string()).collect();
        let switches: Vec<String> = all.drain(..2).collect();
        assert_eq!(switches, ["supervise", "rm"]);
        assert_eq!(all, WITH_VALUES);
    }
}
