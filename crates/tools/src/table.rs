//! Every command that people call, of both programs, as clap defines it: what manual pages and completions are made of.

use clap::Command;
use orlop_cli::ORLOP;
use orlop_command::entry::{Companion, Entry};

use crate::commands::TOOLS;

/// A command.
pub(crate) struct Described {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Its definition; of `run` a second one, for images.
    pub(crate) forms: Vec<Form>,
}

/// One way of calling a command.
pub(crate) struct Form {
    pub(crate) definition: Command,
    /// After how many arguments the others belong to another program, if ever.
    pub(crate) tail: Option<usize>,
}

impl Form {
    fn of(entry: &Entry) -> Self {
        let mut definition = entry.define();
        definition.build();
        Self { definition, tail: entry.tail }
    }
}

/// All of them, in the order in which `orlop --help` lists them.
pub(crate) fn commands() -> impl Iterator<Item = Described> {
    ORLOP.commands.iter().filter(|entry| !entry.hidden).map(described)
}

/// The one with this name.
pub(crate) fn find(name: &str) -> Option<Described> {
    ORLOP.find(name.as_ref()).filter(|entry| !entry.hidden).map(described)
}

fn described(entry: &Entry) -> Described {
    let own = (entry.companion != Companion::Always).then_some(entry);
    let companions = TOOLS
        .find(entry.name.as_ref())
        .filter(|_| matches!(entry.companion, Companion::Always | Companion::ForImages));
    let forms = own.into_iter().chain(companions).map(Form::of).collect();
    Described { name: entry.name, about: entry.about, forms }
}
