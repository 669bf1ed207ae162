//! `orlop completion`, and `orlop complete`, which the scripts that it prints call.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches};
use orlop_command::argv::Split;
use orlop_command::entry::{Entry, PLAIN};
use orlop_command::flags::get;
use orlop_command::output;
use orlop_image::Store;
use orlop_runtime::{Result, Runtime, Settings};

use crate::completion::{self, Named, SCRIPTS, Source};
use crate::volumes;

pub(super) const ENTRY: Entry = Entry {
    name: "completion",
    about: "Print a script that completes orlop's commands, options and names in a shell",
    arguments: |command| {
        let shell = Arg::new("shell").value_name("SHELL").required(true);
        let known = SCRIPTS.map(|(name, _)| name);
        command.arg(shell.value_parser(known).hide_possible_values(true).help("bash, zsh or fish")).after_help(
            "In this shell only: `source <(orlop completion bash)`, the same with zsh, or `orlop completion fish | source`. \
             For good, as files: share/bash-completion/completions/orlop, share/zsh/site-functions/_orlop and \
             share/fish/vendor_completions.d/orlop.fish, where `make install` puts them.",
        )
    },
    run: |_, arguments| {
        let shell = get(arguments, "shell").map_or("", String::as_str);
        let script = SCRIPTS.iter().find(|(name, _)| *name == shell).map_or("", |(_, script)| script);
        output::write(script).map(|_| 0)
    },
    ..PLAIN
};

/// The hidden half.
pub(super) const COMPLETE: Entry = Entry {
    name: "complete",
    about: "Print what could stand in the place of the last word; called by the scripts of completion",
    hidden: true,
    tail: Some(0),
    arguments: |command| command.arg(Arg::new("words").num_args(0..).action(ArgAction::Append)),
    run: |_, arguments| {
        let words: Vec<String> = arguments.get_many("words").unwrap_or_default().cloned().collect();
        output::write(completion::answer(&words, &Machine::of(&words))).map(|_| 0)
    },
    ..PLAIN
};

/// This machine, as the words see it: with their `--root` and `--store`. Nobody is told of errors: there is just nothing to
/// offer.
struct Machine {
    root: Option<PathBuf>,
    store: Option<PathBuf>,
}

impl Machine {
    fn of(words: &[String]) -> Self {
        let arguments = std::iter::once("orlop").chain(words.iter().map(String::as_str));
        let globals = Split::new(&orlop_cli::ORLOP, arguments.map(OsString::from)).globals();
        let root = |globals: ArgMatches| get::<PathBuf>(&globals, "root").cloned();
        let after = words.iter().position(|word| word == "--store").and_then(|at| words.get(at + 1));
        let store = after.or(None).map(PathBuf::from);
        let equals = || words.iter().find_map(|word| word.strip_prefix("--store=")).map(PathBuf::from);
        Self { root: globals.ok().and_then(root), store: store.or_else(equals) }
    }

    fn containers(&self) -> Result<Vec<Named>> {
        let runtime = Runtime::new(Settings { root: self.root.clone(), ..Settings::default() })?;
        Ok(runtime.list()?.into_iter().map(|state| (state.id, state.status.to_string())).collect())
    }

    fn store(&self) -> Option<Store> {
        Store::open(self.store.as_deref()).ok()
    }
}

impl Source for Machine {
    fn containers(&self) -> Vec<Named> {
        self.containers().unwrap_or_default()
    }

    fn images(&self) -> Vec<Named> {
        let images = self.store().and_then(|store| store.images().ok()).unwrap_or_default();
        images.into_iter().map(|image| (image.name, image.id.short().to_owned())).collect()
    }

    fn volumes(&self) -> Vec<Named> {
        let volumes = self.store().and_then(|store| volumes::all(store.path()).ok()).unwrap_or_default();
        volumes.into_iter().map(|volume| (volume.name, volume.used_by.join(", "))).collect()
    }
}
