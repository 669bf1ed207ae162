//! The commands: one file each, with its arguments and what it prints.

use orlop_command::entry::{Entry, PLAIN, Program, of_companion, status};

mod ahead;
#[cfg(test)]
mod arguments;
mod checkpoint;
mod create;
mod delete;
mod events;
mod exec;
mod features;
mod gc;
mod kill;
mod list;
mod logs;
mod mounts;
#[cfg(test)]
mod parity;
mod pause;
mod ps;
mod restart;
mod restore;
mod resume;
mod run;
mod spec;
mod start;
mod state;
mod stats;
mod stop;
mod supervise;
mod top;
mod try_it;
mod update;
mod version;
mod wait;

pub use list::status as list_status;
pub use stats::{arguments as stats_arguments, row as stats_row, watch as watch_stats};

/// The program that is made of them.
pub const ORLOP: Program = Program {
    about: "Open Container Initiative runtime",
    commands: COMMANDS,
    after_help: EXIT_STATUSES,
    codes: None,
};

/// All commands, in the order of a container's life.
const COMMANDS: &[Entry] = &[
    try_it::ENTRY,
    spec::ENTRY,
    run::ENTRY,
    create::ENTRY,
    start::ENTRY,
    state::ENTRY,
    list::ENTRY,
    ps::ENTRY,
    top::ENTRY,
    stats::ENTRY,
    logs::ENTRY,
    wait::ENTRY,
    exec::ENTRY,
    kill::ENTRY,
    stop::ENTRY,
    restart::ENTRY,
    pause::ENTRY,
    resume::ENTRY,
    update::ENTRY,
    mounts::ENTRY,
    events::ENTRY,
    checkpoint::ENTRY,
    restore::ENTRY,
    delete::ENTRY,
    gc::ENTRY,
    features::ENTRY,
    of_companion("image", "Import, list, inspect, remove and save images"),
    of_companion("bundle", "Make a bundle of an image"),
    of_companion("cp", "Copy files into a container, or out of it"),
    of_companion("diff", "Show what a container has changed in its root file system, if that is an overlay"),
    of_companion("commit", "Make an image of a container of an image, with its changes as another layer"),
    of_companion("export", "Write an archive of a container's root file system"),
    of_companion("volume", "Volumes with a name: directories that outlive containers"),
    of_companion("explain", "Show what would be done for a bundle, step by step, and why"),
    of_companion("inspect", "Show a running container, or any process, from the kernel's side"),
    of_companion("audit", "Show what a bundle's container, a running one or any process could reach"),
    of_companion("doctor", "Show whether this host can run containers, and what would help"),
    of_companion(
        "completion",
        "Print a script that completes orlop's commands, options and names in a shell",
    ),
    Entry { hidden: true, ..of_companion("complete", "") },
    version::ENTRY,
    supervise::ENTRY,
];

const EXIT_STATUSES: &str = "\
Exit statuses:
  run, exec and restore without --detach, and try: the status of the process, or 128 + n if signal n killed it
  255: exec could not start the process
  1: any other error
  0: all is well";
