//! `--trace`: when each step of a start began and ended.
use std::fs;
use std::path::{Path, PathBuf};

use orlop_tests::{Container, Invocation, need, runtime};
use serde_json::Value;

/// What the runtime has written.
fn events(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).expect("a trace");
    let document: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    document["traceEvents"].as_array().expect("events").clone()
}

fn of<'a>(events: &'a [Value], side: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["cat"] == side).collect()
}

fn file(container: &Container, name: &str) -> (PathBuf, String) {
    let file = container.home().join(name);
    let option = format!("--trace={}", file.display());
    (file, option)
}

#[test]
fn every_step_has_a_begin_an_end_and_an_origin() {
    need!(runtime::is_orlop(), "other runtimes have no traces");
    let container = Container::sh("true");
    let (file, option) = file(&container, "trace.json");
    container.with_bundle("run", &[&option]).ok();
    let events = events(&file);
    let (host, init) = (of(&events, "host"), of(&events, "init"));
    assert_eq!(host[0]["name"], "load the bundle");
    let names: Vec<&str> = init.iter().filter_map(|event| event["name"].as_str()).collect();
    for step in ["mount proc at /proc", "switch to the root file system"] {
        assert!(names.contains(&step), "{names:?}");
    }
    let mut end = 0.0;
    for (index, event) in init.iter().enumerate() {
        assert_eq!(
            (&event["args"]["step"], &event["args"]["result"]),
            (&index.into(), &"ok".into()),
            "{event}"
        );
        assert!(event["args"]["origin"].as_str().is_some_and(|origin| !origin.is_empty()), "{event}");
        let (begin, takes) = (event["ts"].as_f64().expect("a time"), event["dur"].as_f64().expect("a time"));
        assert!(begin + 0.01 >= end && takes >= 0.0, "{event} does not follow {end}");
        end = begin + takes;
    }
    assert_eq!(init.last().expect("steps")["name"], "execute the program");
}

#[test]
fn a_failing_step_is_the_last_one_and_says_why() {
    need!(runtime::is_orlop(), "other runtimes have no traces");
    let mut container = Container::sh("true");
    container.push(
        "/mounts",
        serde_json::json!({"destination": "/mnt", "type": "tmpfs", "options": ["nonsense=1"]}),
    );
    container.bundle.save();
    let (file, option) = file(&container, "trace.json");
    let out = container.with_bundle("run", &[&option]).output();
    assert_ne!(out.code, 0, "{out}");
    let events = events(&file);
    let last = of(&events, "init").pop().expect("steps").clone();
    assert_eq!(last["name"], "mount tmpfs at /mnt");
    assert!(last["args"]["result"].as_str().is_some_and(|why| why.contains("nonsense")), "{last}");
    container.assert_no_leaks();
}

#[test]
fn create_and_exec_are_traced_and_pages_ask_for_nothing() {
    need!(runtime::is_orlop(), "other runtimes have no traces");
    let container = Container::lasting();
    let (page, option) = file(&container, "trace.html");
    container
        .with_bundle("run", &["--detach", "--pid-file", &container.pid_file().display().to_string(), &option])
        .ok();
    container.adopt();
    let text = fs::read_to_string(&page).expect("a page");
    assert!(text.starts_with("<!DOCTYPE html>") && text.contains("mount proc at /proc"), "{text}");
    assert!(!text.contains("http") && !text.contains("<script"), "{text}");
    let (plain, option) = file(&container, "trace.txt");
    container.exec_command(&[&option], &["true"]).ok();
    let text = fs::read_to_string(&plain).expect("text");
    assert!(text.contains("open the root") && text.contains("All together:"), "{text}");
}

#[test]
fn without_who_shows_it_nothing_is_done() {
    need!(runtime::is_orlop(), "other runtimes have no traces");
    let container = Container::lasting();
    container.bundle.save();
    let alone = container.home().join("orlop");
    fs::copy(runtime::binary(), &alone).expect("a copy");
    let (file, option) = file(&container, "trace.txt");
    let out = Invocation::new(&alone, &container.io())
        .env("ORLOP_TEST", &container.id)
        .args(["--root", &container.state_root().to_string_lossy(), "create", &option, "--bundle"])
        .arg(container.bundle.path())
        .arg(&container.id)
        .output();
    assert!(out.code != 0 && out.stderr.contains("orlop-tools"), "{out}");
    assert!(!file.exists());
    container.assert_no_leaks();
}
