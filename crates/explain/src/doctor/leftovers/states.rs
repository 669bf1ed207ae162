//! States of other runtimes, and of orlop at roots that engines choose.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use orlop_runtime::liveness::Process;
use serde::Deserialize as _;
use serde_json::Value;

use super::facts::{Facts, entries, look_up, places};
use super::{Answer, Finding};

/// Where runtimes keep the state of containers: roots whose entries are containers. Below Docker's it is any runtime's.
const ROOTS: [(&str, &str); 10] = [
    ("runc", "/run/runc"),
    ("runc", "/run/docker/runtime-*/*"),
    ("runc", "/run/containerd/runc/*"),
    ("runc", "/run/user/*/runc"),
    ("crun", "/run/crun"),
    ("crun", "/run/user/*/crun"),
    ("youki", "/run/youki"),
    ("youki", "/run/user/*/youki"),
    ("orlop", "/run/containerd/orlop/*"),
    OWN,
];

/// What `orlop gc` knows more of.
const OWN: (&str, &str) = ("orlop", "/run/orlop");

/// The file in each.
const FILES: [&str; 2] = ["state.json", "status"];

/// The ids of containers that have a state, and the directories that we may not look into.
pub(super) fn known(denied: &mut BTreeSet<PathBuf>) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for (_, pattern) in ROOTS {
        for root in look_up(pattern, denied) {
            ids.extend(entries(&root, denied).iter().map(|entry| id(entry)));
        }
    }
    ids
}

fn id(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Containers that have ended and were not deleted.
pub(super) fn look(facts: &Facts) -> Answer {
    let mut answer = Answer { unknown: facts.unlisted.iter().cloned().collect(), ..Answer::default() };
    let there = |pid| !facts.whole || facts.processes.iter().any(|process| process.pid == pid);
    for (runtime, pattern) in ROOTS.iter().filter(|root| **root != OWN) {
        for root in places(pattern) {
            answer.findings.extend(judge(runtime, &root, ended_in(&root, &there)));
        }
    }
    answer
}

/// The ids of those that have ended in a root, by the runtime that has written their states, if that shows.
fn ended_in(root: &Path, there: &dyn Fn(i32) -> bool) -> Vec<(Option<&'static str>, String)> {
    let of = |entry: &PathBuf| FILES.iter().find_map(|file| std::fs::read(entry.join(file)).ok());
    let states =
        entries(root, &mut BTreeSet::new()).into_iter().filter_map(|entry| Some((of(&entry)?, id(&entry))));
    let states = states.filter_map(|(text, id)| Some((serde_json::from_slice::<Value>(&text).ok()?, id)));
    states.filter(|(state, _)| has_ended(state, there)).map(|(state, id)| (writer(&state), id)).collect()
}

/// One finding for each runtime whose states are in a root.
fn judge(usual: &'static str, root: &Path, ended: Vec<(Option<&'static str>, String)>) -> Vec<Finding> {
    let mut by_runtime: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (runtime, id) in ended {
        by_runtime.entry(runtime.unwrap_or(usual)).or_default().push(id);
    }
    let root = root.display();
    let finding = |(runtime, ids): (&str, Vec<String>)| {
        Finding::new(
            format!("of {runtime}, in {root}, {}", ids.join(" ")),
            "ended and not deleted",
            format!("{runtime} --root {root} delete ID, unless its engine still wants to restart it"),
        )
    };
    by_runtime.into_iter().map(finding).collect()
}

/// Whose a state is, by the words in it.
fn writer(state: &Value) -> Option<&'static str> {
    let words = [
        ("runc", "init_process_start"),
        ("crun", "process-start-time"),
        ("orlop", "process"),
        ("youki", "useSystemd"),
    ];
    words.into_iter().find(|(_, word)| state.get(word).is_some()).map(|(runtime, _)| runtime)
}

/// Whether the process in a state is gone. A state without one is not understood, and not judged.
fn has_ended(state: &Value, there: &dyn Fn(i32) -> bool) -> bool {
    let ours = state.get("process").and_then(|process| Process::deserialize(process).ok());
    let number = |names: &[&str]| names.iter().find_map(|name| state.pointer(name)?.as_u64());
    let pid = number(&["/init_process_pid", "/pid"]).and_then(|pid| i32::try_from(pid).ok());
    let start_time = number(&["/init_process_start", "/process-start-time"]).filter(|time| *time > 0);
    let pid = pid.filter(|pid| *pid > 0);
    match (pid, ours.or_else(|| Some(Process::started(pid?, start_time?)))) {
        (_, Some(process)) => !process.is_alive().unwrap_or(true),
        // Another process may have the number by now: then nothing is known.
        (Some(pid), None) => !there(pid),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_runtime::liveness::start_time;
    use serde_json::json;

    #[test]
    fn only_states_that_are_understood_are_judged() {
        let pid = std::process::id() as i32;
        let start_time = start_time(pid).unwrap();
        let runc = |pid: i32, start: u64| json!({"init_process_pid": pid, "init_process_start": start});
        let has_ended = |state: &Value| has_ended(state, &|other| other == pid);
        assert!(!has_ended(&runc(pid, start_time)));
        assert!(has_ended(&runc(pid, start_time + 1)), "another process had this number");
        assert!(has_ended(&json!({"pid": pid, "process-start-time": start_time + 1})));
        assert!(has_ended(&json!({"process": {"pid": pid, "startTime": start_time + 1}})));
        assert!(has_ended(&json!({"process": {"pid": pid, "pidfdInode": 1}})), "no process has that inode");
        assert!(!has_ended(&json!({"process": {"pid": pid, "startTime": start_time}})));
        assert!(has_ended(&json!({"pid": 4_194_304})) && !has_ended(&json!({"pid": pid})), "youki's");
        assert!(!has_ended(&json!({"pid": 0})) && !has_ended(&json!({})) && !has_ended(&Value::Null));
    }

    #[test]
    fn ended_containers_of_a_root_are_one_finding_for_each_runtime() {
        let root = tempfile::tempdir().unwrap();
        for (id, file, state) in [
            ("web", "state.json", json!({"init_process_pid": 4_194_304, "init_process_start": 7})),
            ("db", "status", json!({"pid": 4_194_304, "process-start-time": 7})),
            ("dc", "status", json!({"pid": 4_194_304, "process-start-time": 8})),
            ("odd", "state.json", json!([])),
        ] {
            std::fs::create_dir(root.path().join(id)).unwrap();
            std::fs::write(root.path().join(id).join(file), state.to_string()).unwrap();
        }
        let findings = judge("runc", Path::new("/r"), ended_in(root.path(), &|_| true));
        let what: Vec<&str> = findings.iter().map(|finding| &*finding.what).collect();
        assert_eq!(what, ["of crun, in /r, db dc", "of runc, in /r, web"]);
        assert!(findings[0].remedy.starts_with("crun --root /r delete ID"), "{findings:?}");
    }
}
