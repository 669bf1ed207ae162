//! Namespaces that are not its own.

use super::{Facts, Hit, hit, when};
use crate::inspect::NamespaceKind;

fn shared(facts: &Facts, kind: NamespaceKind) -> Vec<Hit> {
    let name = kind.name();
    when(facts.shared.contains(&kind), || {
        hit(format!("the {name} namespace is the host's"), "/linux/namespaces")
    })
}

pub(super) fn mount(facts: &Facts) -> Vec<Hit> {
    shared(facts, NamespaceKind::Mount)
}

pub(super) fn pid(facts: &Facts) -> Vec<Hit> {
    shared(facts, NamespaceKind::Pid)
}

pub(super) fn network(facts: &Facts) -> Vec<Hit> {
    shared(facts, NamespaceKind::Network)
}

pub(super) fn ipc(facts: &Facts) -> Vec<Hit> {
    shared(facts, NamespaceKind::Ipc)
}

pub(super) fn uts(facts: &Facts) -> Vec<Hit> {
    shared(facts, NamespaceKind::Uts)
}

pub(super) fn cgroup(facts: &Facts) -> Vec<Hit> {
    shared(facts, NamespaceKind::Cgroup)
}

pub(super) fn joined(facts: &Facts) -> Vec<Hit> {
    let one = |(kind, path, pointer): &(String, String, String)| {
        hit(format!("the {kind} namespace is that of {path}"), pointer)
    };
    facts.joined.iter().map(one).collect()
}
