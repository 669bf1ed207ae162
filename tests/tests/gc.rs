//! `orlop gc`: what is left of containers that are gone, and nothing else.
use std::fs;
use std::os::unix::fs::DirBuilderExt;

use orlop_tests::{Container, cgroup, need, runtime};
use serde_json::Value;

/// What `gc` says, as (kind, id, outcome).
fn gc(container: &Container, flags: &[&str]) -> Vec<(String, String, String)> {
    let out = container.runtime().arg("gc").args(flags).args(["--format", "json"]).output();
    let rows: Vec<Value> = serde_json::from_str(&out.stdout).unwrap_or_else(|e| panic!("{e}: {out}"));
    let text = |row: &Value, key: &str| row[key].as_str().expect("a string").to_owned();
    rows.iter().map(|row| (text(row, "kind"), text(row, "id"), text(row, "outcome"))).collect()
}

fn row(kind: &str, container: &Container, outcome: &str) -> (String, String, String) {
    (kind.to_owned(), container.id.clone(), outcome.to_owned())
}

#[test]
fn containers_that_are_there_are_left_alone() {
    need!(runtime::is_orlop(), "a command of ours");
    let container = Container::lasting();
    container.create();
    assert_eq!(gc(&container, &[]), []);
    container.start();
    assert_eq!(gc(&container, &["--stopped"]), []);
    container.kill("KILL");
    container.wait();
    // Whoever has made it is expected to delete it.
    assert_eq!(gc(&container, &[]), []);
    assert_eq!(gc(&container, &["--stopped", "--dry-run"]), [row("state", &container, "found")]);
    assert_eq!(container.status(), "stopped");
    assert_eq!(gc(&container, &["--stopped"]), [row("state", &container, "removed")]);
    container.assert_no_leaks();
    assert_eq!(gc(&container, &["--stopped"]), []);
}

#[test]
fn a_container_that_has_ended_and_lost_its_bundle_is_removed() {
    need!(runtime::is_orlop(), "a command of ours");
    let container = Container::lasting();
    container.up();
    fs::rename(container.bundle.path(), container.home().join("elsewhere")).expect("our own bundle");
    assert_eq!(gc(&container, &[]), [], "it runs");
    container.kill("KILL");
    container.wait();
    assert_eq!(gc(&container, &["--dry-run"]), [row("state", &container, "found")]);
    assert_eq!(gc(&container, &[]), [row("state", &container, "removed")]);
    container.assert_no_leaks();
}

#[test]
fn cgroups_whose_state_is_gone_are_removed_once_nobody_is_in_them() {
    need!(runtime::is_orlop(), "a command of ours");
    let container = Container::lasting();
    container.up();
    fs::remove_dir_all(container.state_root()).expect("the state");
    let cgroups = cgroup::named(&container.id);
    let found = gc(&container, &[]);
    assert_eq!(found.len(), cgroups.len(), "{found:?}");
    assert!(found.iter().all(|found| *found == row("cgroup", &container, "in use")), "{found:?}");
    let out = container.runtime().arg("gc").output();
    let pid = container.pid().to_string();
    assert!(out.code == 0 && out.stdout.contains(&pid), "{out}");
    assert!(std::process::Command::new("kill").args(["-9", &pid]).status().expect("kill").success());
    container.wait();
    let found = gc(&container, &[]);
    assert!(found.len() == cgroups.len() && found.iter().all(|row| row.2 == "removed"), "{found:?}");
    container.assert_no_leaks();
}

#[test]
fn what_killed_commands_leave_is_removed() {
    need!(runtime::is_orlop(), "a command of ours");
    let container = Container::lasting();
    container.create();
    let dir = container.state_root().join(&container.id);
    fs::write(dir.join(".state.json.4194303"), "{").expect("our own state");
    let empty = container.state_root().join("just-made");
    fs::DirBuilder::new().mode(0o700).create(&empty).expect("our own root");
    assert_eq!(gc(&container, &[]), [row("file", &container, "removed")], "the directory is new");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    let open = fs::File::open(&empty).expect("our own directory");
    open.set_modified(old).expect("our own directory");
    assert_eq!(gc(&container, &[]), [], "somebody has it open");
    drop(open);
    assert_eq!(gc(&container, &[]), [("state".to_owned(), "just-made".to_owned(), "removed".to_owned())]);
    assert!(!empty.exists());
    assert_eq!(container.status(), "created");
    // As create saves it before it makes anything.
    let text = fs::read_to_string(dir.join("state.json")).expect("a state");
    let mut state: Value = serde_json::from_str(&text).expect("json");
    state["status"] = "creating".into();
    fs::write(dir.join("state.json"), state.to_string()).expect("our own state");
    assert_eq!(gc(&container, &[]), [row("state", &container, "removed")]);
    container.assert_no_leaks();
}
