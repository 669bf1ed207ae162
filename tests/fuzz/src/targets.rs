//! Who reads bytes.

mod config;
mod filter;
mod messages;
mod program;
mod saved;

/// Something that reads bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Reads; a panic means that something is wrong.
    pub run: fn(&[u8]),
    /// What to begin with, besides the corpus.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words that readers look for.
    pub words: &'static [&'static str],
    /// How many changes are tried by `make test`: a second's worth.
    pub tries: usize,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "config", run: config::config, seeds: config::configs, words: config::WORDS, tries: 1500 },
    Target {
        name: "process",
        run: config::process,
        seeds: config::processes,
        words: config::WORDS,
        tries: 4000,
    },
    Target {
        name: "resources",
        run: config::resources,
        seeds: config::limits,
        words: config::WORDS,
        tries: 4000,
    },
    Target { name: "program", run: program::program, seeds: program::programs, words: &[], tries: 20_000 },
    Target { name: "init", run: program::message, seeds: program::messages, words: &[], tries: 20_000 },
    Target {
        name: "seccomp",
        run: filter::profile,
        seeds: filter::profiles,
        words: filter::WORDS,
        tries: 400,
    },
    Target { name: "bpf", run: filter::program, seeds: filter::programs, words: &[], tries: 4000 },
    Target {
        name: "protobuf",
        run: messages::protobuf,
        seeds: messages::protobufs,
        words: &[],
        tries: 20_000,
    },
    Target {
        name: "ttrpc",
        run: orlop_shim::fuzz::frames,
        seeds: orlop_shim::fuzz::seeds,
        words: messages::WORDS,
        tries: 10_000,
    },
    Target {
        name: "request",
        run: orlop_shim::fuzz::request,
        seeds: orlop_shim::fuzz::seeds,
        words: messages::WORDS,
        tries: 10_000,
    },
    Target {
        name: "dbus",
        run: orlop_systemd::fuzz::message,
        seeds: orlop_systemd::fuzz::seeds,
        words: &[],
        tries: 20_000,
    },
    Target {
        name: "property",
        run: messages::property,
        seeds: messages::properties,
        words: messages::TYPES,
        tries: 10_000,
    },
    Target { name: "passwd", run: saved::passwd, seeds: saved::users, words: &[":0:", "\n"], tries: 3000 },
    Target { name: "state", run: saved::state, seeds: saved::states, words: saved::WORDS, tries: 10_000 },
];

/// The target with a name.
pub fn named(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
