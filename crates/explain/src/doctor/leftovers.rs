//! What containers have left behind: orlop's own, which `orlop gc` removes, and what can be recognised of others.

use std::path::{Path, PathBuf};

use orlop_runtime::leftovers::Leftover;
use orlop_runtime::liveness::Process;
use serde_json::Value;

use super::{Check, read};
use crate::inspect::mount_table;

const GROUP: &str = "Leftovers";

pub(super) fn checks(found: Result<Vec<Leftover>, String>) -> Vec<Check> {
    let mut checks = vec![own(found)];
    checks.extend(others());
    checks.extend(mounts());
    checks
}

fn own(found: Result<Vec<Leftover>, String>) -> Check {
    let name = "orlop";
    match found {
        Ok(found) if found.is_empty() => Check::ok(GROUP, name, "nothing is left"),
        Ok(found) => {
            let all: Vec<String> = found
                .iter()
                .map(|one| format!("{} {} ({})", one.kind, one.path.display(), one.why))
                .collect();
            Check::warn(GROUP, name, all.join("; "), "orlop gc")
        }
        Err(why) => Check::ok(GROUP, name, format!("not known: {why}")),
    }
}

/// Where other runtimes keep the state of containers: roots whose entries are containers, and the file in each.
const ROOTS: [(&str, &str, &str); 5] = [
    ("runc", "/run/runc", "state.json"),
    ("runc", "/run/docker/runtime-runc/moby", "state.json"),
    ("runc", "/run/containerd/runc/default", "state.json"),
    ("runc", "/run/containerd/runc/k8s.io", "state.json"),
    ("crun", "/run/crun", "status"),
];

/// Containers of other runtimes that have ended and were not deleted.
fn others() -> Vec<Check> {
    let mut checks = Vec::new();
    for (runtime, root, file) in ROOTS {
        let ended = ended_in(Path::new(root), file);
        if !ended.is_empty() {
            let what = format!("of {runtime}, ended and not deleted: {}", ended.join(" "));
            let remedy =
                format!("{runtime} --root {root} delete ID, unless its engine still wants to restart it");
            checks.push(Check::warn(GROUP, "other runtimes", what, remedy));
        }
    }
    if checks.is_empty() {
        checks.push(Check::ok(GROUP, "other runtimes", "runc and crun have no ended containers"));
    }
    checks
}

fn ended_in(root: &Path, file: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let ended = entries.filter(|entry| {
        let text = std::fs::read(entry.path().join(file)).unwrap_or_default();
        serde_json::from_slice::<Value>(&text).is_ok_and(|state| has_ended(&state))
    });
    let mut ids: Vec<String> = ended.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    ids.sort_unstable();
    ids
}

/// Whether the process in another runtime's state is gone. A state without one is not understood, and not judged.
fn has_ended(state: &Value) -> bool {
    let number = |names: [&str; 2]| names.iter().find_map(|name| state[name].as_u64());
    let pid = number(["init_process_pid", "pid"]).and_then(|pid| i32::try_from(pid).ok());
    let start_time = number(["init_process_start", "process-start-time"]);
    let known = pid.zip(start_time).filter(|(pid, start_time)| *pid > 0 && *start_time > 0);
    known.is_some_and(|(pid, start_time)| !Process { pid, start_time }.is_alive().unwrap_or(true))
}

/// Mounts of directories that were deleted.
fn mounts() -> Option<Check> {
    let table = mount_table(&read("/proc/self/mountinfo")?);
    let deleted: Vec<PathBuf> = table
        .into_iter()
        .filter(|mount| mount.root.to_string_lossy().ends_with("//deleted") && mount.fstype != "nsfs")
        .map(|mount| mount.target)
        .collect();
    let list = deleted.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ");
    let remedy = format!("umount {list}");
    (!deleted.is_empty())
        .then(|| Check::warn(GROUP, "mounts", format!("of directories that are gone: {list}"), remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_states_that_are_understood_are_judged() {
        let me = Process::of(std::process::id() as i32).unwrap();
        let runc =
            |pid: i32, start: u64| serde_json::json!({"init_process_pid": pid, "init_process_start": start});
        assert!(!has_ended(&runc(me.pid, me.start_time)));
        assert!(has_ended(&runc(me.pid, me.start_time + 1)), "another process had this number");
        assert!(has_ended(&serde_json::json!({"pid": me.pid, "process-start-time": me.start_time + 1})));
        assert!(!has_ended(&serde_json::json!({"pid": 4_194_304})) && !has_ended(&Value::Null));
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("web")).unwrap();
        std::fs::write(root.path().join("web/state.json"), runc(me.pid, 1).to_string()).unwrap();
        assert_eq!(ended_in(root.path(), "state.json"), ["web"]);
    }
}
