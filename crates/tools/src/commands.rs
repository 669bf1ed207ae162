//! The commands: one file each, with its arguments and what it prints. `orlop`'s table of commands
//! (`crates/cli/src/commands.rs`) has their names, too; `tests/tests/images.rs` finds one that it lacks.

mod audit;
mod bundle;
mod commit;
mod completion;
mod cp;
pub(crate) mod diff;
mod doctor;
mod explain;
mod export;
pub(crate) mod hook;
mod image;
mod inspect;
mod man;
mod run;
mod shown;
mod trace;
mod volume;

use orlop_command::entry::{Entry, Program};

/// The program that is made of them.
pub(crate) const TOOLS: Program = Program {
    about: "The commands of orlop that no engine calls",
    commands: COMMANDS,
    after_help: "",
    codes: Some(code),
};

/// All commands.
const COMMANDS: &[Entry] = &[
    run::ENTRY,
    shown::LIST,
    shown::STATE,
    shown::STATS,
    image::ENTRY,
    bundle::ENTRY,
    cp::ENTRY,
    diff::ENTRY,
    commit::ENTRY,
    export::ENTRY,
    volume::ENTRY,
    explain::ENTRY,
    inspect::ENTRY,
    audit::ENTRY,
    doctor::ENTRY,
    completion::ENTRY,
    trace::ENTRY,
    completion::COMPLETE,
    man::ENTRY,
    hook::ENTRY,
];

/// Help on the code of an error.
fn code(code: &str) -> Option<String> {
    orlop_explain::help::text(code, &crate::terminal::page())
}
