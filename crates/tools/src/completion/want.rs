//! What belongs in a place: names that are known, or files.

use clap::{Arg, ValueHint};
use orlop_compile::KNOWN_CAPABILITIES;
use orlop_runtime::SIGNALS;

/// A word, and what it is.
pub(crate) type Named = (String, String);

/// Who knows what there is on this machine.
pub(crate) trait Source {
    /// The ids of containers, and their states.
    fn containers(&self) -> Vec<Named>;
    /// The names of images.
    fn images(&self) -> Vec<Named>;
    /// The names of volumes.
    fn volumes(&self) -> Vec<Named>;
}

/// What else could be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Otherwise {
    #[default]
    Nothing,
    Directories,
    Files,
}

impl Otherwise {
    /// The word that scripts know.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Directories => "directories",
            Self::Files => "files",
        }
    }
}

/// What belongs in a place.
#[derive(Debug, Default)]
pub(super) struct Want {
    pub(super) named: Vec<Named>,
    pub(super) otherwise: Otherwise,
}

/// What belongs in the place of this argument of a command, `image remove` for instance.
pub(super) fn of(command: &str, arg: &Arg, source: &dyn Source) -> Want {
    let named = |named| Want { named, otherwise: Otherwise::Nothing };
    let or_files = |named| Want { named, otherwise: Otherwise::Files };
    match (command, arg.get_id().as_str()) {
        ("create" | "run" | "restore", "id") | ("volume create" | "commit" | "image import", "name") => {
            Want::default()
        }
        (_, "id") => named(source.containers()),
        ("audit", "subject") => Want { named: source.containers(), otherwise: Otherwise::Directories },
        ("cp", "from" | "to") => or_files(followed(source.containers())),
        (_, "reference") => or_files(source.images()),
        (_, "image") | ("image inspect" | "image history" | "image remove" | "image save", "name") => {
            named(source.images())
        }
        (path, "name") if path.starts_with("volume ") => named(source.volumes()),
        ("run", "volume") => or_files(followed(source.volumes())),
        ("run", "network") => {
            let mut all = words(&["none", "host", "ns:", "cni:"]);
            all.extend(source.containers().into_iter().map(|(id, what)| (format!("container:{id}"), what)));
            named(all)
        }
        (_, "signal" | "stop-signal") => {
            named(SIGNALS.iter().map(|(name, number)| ((*name).to_owned(), number.to_string())).collect())
        }
        (_, "cap-add" | "cap-drop") => named(capabilities().chain(words(&["ALL"])).collect()),
        (_, "cap") => named(capabilities().collect()),
        (_, "restart") => named(words(&["no", "on-failure", "always", "unless-stopped"])),
        (_, "fail-on") => named(words(&["critical", "high", "medium", "low", "info"])),
        ("mounts", "action") => named(words(&["add", "remove"])),
        _ => of_values(arg),
    }
}

/// What its definition says of its values.
fn of_values(arg: &Arg) -> Want {
    let possible = arg.get_possible_values();
    if !possible.is_empty() && arg.get_action().takes_values() {
        let named = possible.iter().map(|value| (value.get_name().to_owned(), String::new()));
        return Want { named: named.collect(), otherwise: Otherwise::Nothing };
    }
    let name = arg.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str());
    let otherwise = match arg.get_value_hint() {
        ValueHint::AnyPath if matches!(name, "DIR" | "BUNDLE") => Otherwise::Directories,
        ValueHint::AnyPath => Otherwise::Files,
        _ => Otherwise::Nothing,
    };
    Want { named: Vec::new(), otherwise }
}

fn words(words: &[&str]) -> Vec<Named> {
    words.iter().map(|word| ((*word).to_owned(), String::new())).collect()
}

/// Names that a path follows, after a colon.
fn followed(named: Vec<Named>) -> Vec<Named> {
    named.into_iter().map(|(name, what)| (format!("{name}:"), what)).collect()
}

fn capabilities() -> impl Iterator<Item = Named> {
    KNOWN_CAPABILITIES.iter().map(|name| ((*name).to_owned(), String::new()))
}
