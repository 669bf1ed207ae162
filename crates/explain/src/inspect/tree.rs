//! The processes around one: its descendants, and whoever else is in its PID namespace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Status;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Relative {
    /// Its number, as the caller sees it.
    pub pid: i32,
    /// Its number in its own PID namespace.
    pub inner: i32,
    /// Its parent, as the caller sees it.
    pub parent: i32,
    /// How deep below the others it is.
    pub depth: usize,
    /// Its command line, or its name in brackets.
    pub command: String,
}

struct Found {
    parent: i32,
    inner: i32,
    namespace: Option<PathBuf>,
    command: String,
}

/// The processes around `first`, whose PID namespace is `namespace`: parents before children.
pub(super) fn around(first: i32, namespace: Option<&Path>) -> Vec<Relative> {
    let here = std::fs::read_link("/proc/self/ns/pid").ok();
    // In the caller's namespace are all those of the machine: then only descendants count.
    let own = namespace.filter(|namespace| Some(*namespace) != here.as_deref());
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    let all: BTreeMap<i32, Found> = pids.filter_map(|pid| Some((pid, look(pid)?))).collect();
    let belongs = |pid: &i32, found: &Found| {
        *pid == first
            || own.is_some() && found.namespace.as_deref() == own
            || std::iter::successors(Some(found.parent), |pid| all.get(pid).map(|found| found.parent))
                .take(all.len())
                .any(|ancestor| ancestor == first)
    };
    let inside: BTreeMap<i32, &Found> =
        all.iter().filter(|(pid, found)| belongs(pid, found)).map(|(pid, found)| (*pid, found)).collect();
    let mut ordered = Vec::new();
    let roots = inside.iter().filter(|(_, found)| !inside.contains_key(&found.parent)).map(|(pid, _)| *pid);
    // The first process before those that were added.
    let mut roots: Vec<i32> = roots.collect();
    roots.sort_by_key(|pid| (*pid != first, *pid));
    for root in roots {
        descend(root, 0, &inside, &mut ordered);
    }
    ordered
}

fn descend(pid: i32, depth: usize, all: &BTreeMap<i32, &Found>, ordered: &mut Vec<Relative>) {
    let Some(found) = all.get(&pid) else { return };
    let (inner, parent, command) = (found.inner, found.parent, found.command.clone());
    ordered.push(Relative { pid, inner, parent, depth, command });
    for child in all.iter().filter(|(_, child)| child.parent == pid).map(|(child, _)| *child) {
        descend(child, depth + 1, all, ordered);
    }
}

fn look(pid: i32) -> Option<Found> {
    let status = Status::parse(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?);
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&words).trim_end_matches('\0').replace('\0', " ");
    Some(Found {
        parent: status.parent,
        inner: status.pids.last().copied().unwrap_or(pid),
        namespace: std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok(),
        command: if words.is_empty() { format!("[{}]", status.name) } else { words },
    })
}
