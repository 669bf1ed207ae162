//! `stats` and `top`: what running containers use.
use orlop_tests::{Container, cgroup, need};
use serde_json::Value;

fn json(container: &Container, flags: &[&str]) -> Value {
    let out = container.command("stats", &[&["--no-stream", "--format", "json"], flags].concat()).ok();
    serde_json::from_str(&out.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {out}"))
}

#[test]
fn a_busy_container_shows_as_one() {
    let container = Container::sh("while :; do :; done");
    container.up();
    let stats = json(&container, &[]);
    assert_eq!(stats["id"], container.id.as_str());
    let percent = stats["cpuPercent"].as_f64().expect("cgroups of version 2 always count CPU time");
    assert!(percent > 5.0 && percent < 150.0, "{stats}");
    assert_eq!(stats["pids"], 1);
    container.kill("KILL");
    container.wait();
    container.command("stats", &["--no-stream"]).output().fails_with("container not running");
}

#[test]
fn limits_and_network_are_shown() {
    let mut container = Container::lasting();
    container.set("/linux/resources/memory/limit", 64 << 20).set("/linux/resources/pids/limit", 32);
    let found = |name: &str| cgroup::controller(name).is_some();
    need!(found("memory") && found("pids"), "there are no controllers for memory and pids");
    container.up();
    let stats = json(&container, &[]);
    assert_eq!((&stats["memoryLimit"], &stats["pidsLimit"]), (&(64 << 20).into(), &32.into()));
    assert!(stats["memory"].as_u64().is_some_and(|bytes| bytes < 64 << 20), "{stats}");
    assert_eq!((&stats["receivedBytes"], &stats["sentBytes"]), (&0.into(), &0.into()));
    let out = container.command("stats", &["--no-stream"]).ok();
    assert!(out.lines()[0].starts_with("ID") && out.lines()[0].contains("MEMORY / LIMIT"), "{out}");
    assert!(out.lines()[1].contains(" / 64.0MiB") && out.lines()[1].contains(" / 32"), "{out}");
}

#[test]
fn without_ids_all_that_run_are_shown() {
    let container = Container::lasting();
    let other = format!("{}-created", container.id);
    container.up();
    container.runtime().args(["create", "--bundle"]).arg(container.bundle.path()).arg(&other).ok();
    let out = container.runtime().args(["stats", "--no-stream", "--format=json"]).ok();
    assert_eq!(out.lines().len(), 2, "{out}");
    container.runtime().args(["delete", "--force", &other]).ok();
    let out = container.runtime().args(["stats", "--no-stream", "--format=json"]).ok();
    assert_eq!(out.lines().len(), 1, "{out}");
}

#[test]
fn looking_ends_with_the_container() {
    let container = Container::sh("read _ </go");
    let mut go = container.fifo("go");
    container.up();
    let looking = container.command("stats", &["--format", "json"]).spawn();
    orlop_tests::events::when_file(looking.stdout_file(), |text| text.lines().count() >= 2);
    go.tell("");
    container.wait();
    let out = looking.wait().ok();
    let first: Value = serde_json::from_str(out.lines()[0]).expect("JSON");
    assert!(first["cpuPercent"].is_null(), "one look does not tell: {out}");
    let second: Value = serde_json::from_str(out.lines()[1]).expect("JSON");
    assert!(second["cpuPercent"].is_f64(), "{out}");
}

#[test]
fn top_is_ps_in_docker_s_words() {
    let container = Container::sh("sleep 1000");
    container.up();
    let out = container.command::<&str>("top", &[]).ok();
    assert!(out.lines().len() >= 2 && out.stdout.contains("sleep 1000"), "{out}");
    let out = container.command::<&str>("top", &[]).args(["-o", "pid,comm"]).ok();
    assert!(out.lines()[0].trim_start().starts_with("PID"), "{out}");
}
