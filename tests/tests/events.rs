//! `events`: what a container uses, and what happens to it.
use std::path::Path;

use orlop_tests::cgroup::{self, Version};
use orlop_tests::events::when_file;
use orlop_tests::{Container, Running, need};
use serde_json::{Value, json};

fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("no JSON ({error}): {line}"))
}

/// `events` of a container, which has begun to watch it.
fn watched(container: &Container) -> Running {
    let events = container.command("events", &["--interval", "20ms"]).spawn();
    when_file(events.stdout_file(), |text| text.contains("\"stats\""));
    events
}

#[test]
fn stats_are_one_line_in_the_form_of_runc() {
    let container = Container::lasting();
    container.up();
    let out = container.command("events", &["--stats"]).ok();
    let start = format!("{{\"type\":\"stats\",\"id\":\"{}\",\"data\":{{", container.id);
    assert!(out.lines().len() == 1 && out.stdout.starts_with(&start), "{out}");
    let data = &parse(&out.stdout)["data"];
    for part in ["cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt"] {
        assert!(data[part].is_object(), "{part}: {data}");
    }
    assert!(data["cpu"]["usage"]["total"].as_u64() > Some(0), "{data}");
    assert!(data["pids"]["current"].as_u64() > Some(0), "{data}");
    assert_eq!(data["network_interfaces"][0]["Name"], "lo");
    if Path::new("/proc/pressure/cpu").exists()
        && cgroup::controller("cpu").is_none_or(|(v, _)| v == Version::V2)
    {
        assert!(data["cpu"]["psi"]["some"]["total"].is_u64(), "{data}");
    }
}

#[test]
fn limits_are_told_with_the_usage() {
    need!(cgroup::controller("memory").is_some(), "no cgroup hierarchy here has the memory controller");
    need!(cgroup::controller("pids").is_some(), "no cgroup hierarchy here has the pids controller");
    let mut container = Container::lasting();
    container.set("/linux/resources/memory/limit", 64 << 20).set("/linux/resources/pids/limit", 20);
    container.up();
    let out = container.command("events", &["--stats"]).ok();
    let data = &parse(&out.stdout)["data"];
    assert_eq!(data["memory"]["usage"]["limit"], 64 << 20);
    assert!(data["memory"]["usage"]["usage"].as_u64() > Some(0), "{data}");
    assert!(data["memory"]["raw"].as_object().is_some_and(|raw| raw.len() > 10), "{data}");
    assert_eq!(data["pids"]["limit"], 20);
}

#[test]
fn the_stream_ends_with_the_container() {
    let container = Container::lasting();
    container.up();
    let events = watched(&container);
    container.kill("KILL");
    container.wait();
    let out = events.wait().ok();
    assert!(out.lines().iter().all(|line| parse(line)["type"] == "stats"), "{out}");
}

#[test]
fn the_stream_outlives_a_pause_and_ends_when_nobody_reads_it() {
    let container = Container::lasting();
    container.up();
    container.command::<&str>("pause", &[]).ok();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let events = container.command("events", &["--interval", "20ms"]).stdout(writer).spawn();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(reader));
    for _ in 0..2 {
        assert_eq!(parse(&lines.next().expect("a line").expect("it can be read"))["type"], "stats");
    }
    drop(lines);
    events.wait().ok();
    container.command::<&str>("resume", &[]).ok();
}

#[test]
fn a_kill_for_want_of_memory_is_told_at_once() {
    let found = cgroup::controller("memory");
    need!(found.is_some(), "no cgroup hierarchy here has the memory controller");
    let swap = found.is_some_and(|(version, hierarchy)| {
        version == Version::V2 || hierarchy.mount.join("memory.memsw.limit_in_bytes").exists()
    });
    need!(swap, "swap accounting is off in this kernel");
    let mut container = Container::lasting();
    container.set("/linux/resources/memory", json!({ "limit": 32 << 20, "swap": 32 << 20 }));
    container.up();
    let events = watched(&container);
    let hog = container.exec(&["tail", "/dev/zero"]);
    assert_eq!(hog.code, 137, "{hog}");
    let oom = format!("{{\"type\":\"oom\",\"id\":\"{}\"}}\n", container.id);
    when_file(events.stdout_file(), |text| text.contains(&oom));
    container.kill("KILL");
    container.wait();
    events.wait().ok();
}

#[test]
fn what_makes_no_sense_is_refused() {
    let container = Container::new(&["true"]);
    container.up();
    container.wait();
    container.command("events", &["--stats"]).output().fails_with("container not running");
    container.command::<&str>("events", &[]).output().fails_with("container not running");
    for interval in ["0", "0s", "-1s", "soon"] {
        container.command("events", &["--interval", interval]).output().fails_with("greater than 0");
    }
    container.runtime().args(["events", "no-such-container"]).output().fails_with("does not exist");
}
