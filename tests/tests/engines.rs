//! Container engines: configs as they make them, and what they read. The engines themselves are in `e2e_*.rs`.
use std::fs;

use orlop_tests::terminal::ConsoleSocket;
use orlop_tests::{Container, Invocation, cgroup, runtime};
use serde_json::Value;

/// A container with a config of `tests/data/engines`.
fn recorded(name: &str) -> Container {
    let mut container = Container::new(&[]);
    let path = runtime::workspace().join(format!("tests/data/engines/{name}.json"));
    let files = container.home().join("files");
    fs::create_dir(&files).expect("a new directory");
    let text = fs::read_to_string(path).expect("the config was recorded");
    let text = text
        .replace("@ROOTFS@", &container.bundle.rootfs().to_string_lossy())
        .replace("@FILES@", &files.to_string_lossy())
        .replace("@NETNS@", &format!("/proc/{}/ns/net", std::process::id()))
        .replace("@ID@", &container.id);
    container.bundle.config = serde_json::from_str(&text).expect("JSON");
    for file in ["containerenv", "hostname", "hosts", "resolv.conf"] {
        fs::write(files.join(file), "").expect("a new file");
    }
    fs::create_dir(files.join("shm")).expect("a new directory");
    adapt(&mut container);
    container
}

/// Takes out what this machine does not have, and hands the root file system to the users that the container maps.
fn adapt(container: &mut Container) {
    let resources = &mut container.bundle.config["linux"]["resources"];
    for (part, controller) in [("memory", "memory"), ("cpu", "cpu"), ("pids", "pids"), ("blockIO", "io")] {
        let v1_name = if controller == "io" { "blkio" } else { controller };
        if cgroup::controller(controller).or_else(|| cgroup::controller(v1_name)).is_none()
            && let Some(map) = resources.as_object_mut()
        {
            map.remove(part);
        }
    }
    if let Some(id) = container.bundle.config["linux"]["uidMappings"][0]["hostID"].as_u64() {
        let owner = format!("{id}:{id}");
        Invocation::new("chown", &container.io()).args(["-R", &owner]).arg(container.bundle.rootfs()).ok();
    }
}

/// Runs recorded configs, each of which is to print this.
fn run_recorded(configs: &[(&str, &str)]) {
    for (name, expected) in configs {
        let out = recorded(name).run().ok();
        assert!(out.stdout.contains(expected), "{name}: {out}");
        assert_eq!(out.stderr, "", "{name}: an engine would show it");
    }
}

#[test]
fn configs_of_podman_run() {
    run_recorded(&[
        ("podman-run", "hi"),
        ("podman-read-only-user", "uid=1000(user) gid=1000(user)"),
        ("podman-uidmap", "uid=0(root)"),
        ("podman-privileged", "uid=0(root)"),
        ("podman-host", "uid=0(root)"),
    ]);
}

#[test]
fn configs_of_ctr_run() {
    run_recorded(&[("ctr-run", "hi"), ("ctr-seccomp", "uid=0(root)"), ("ctr-privileged", "uid=0(root)")]);
}

#[test]
fn configs_of_docker_run() {
    run_recorded(&[
        ("docker-run", "hi"),
        ("docker-limits", "uid=1000(user) gid=1000(user)"),
        ("docker-host", "uid=0(root)"),
    ]);
}

#[test]
fn configs_with_a_terminal_send_it_to_the_engine() {
    for name in ["podman-terminal", "ctr-terminal", "docker-terminal"] {
        let container = recorded(name);
        let socket = ConsoleSocket::listen(container.home());
        let pid_file = container.pid_file();
        let flags = ["--console-socket".as_ref(), socket.path(), "--pid-file".as_ref(), &pid_file];
        container.with_bundle("create", &flags).ok();
        container.adopt();
        let mut terminal = socket.receive();
        container.start();
        terminal.expect("/dev/pts/0");
        assert_eq!(container.wait(), 0, "{name}");
    }
}

#[test]
fn what_engines_read_is_as_they_expect_it() {
    let container = Container::lasting();
    let version = container.runtime().arg("--version").ok();
    let words: Vec<_> = version.lines()[0].split(' ').collect();
    assert_eq!(words[1], "version", "podman info and docker info show it");
    let features: Value =
        serde_json::from_str(&container.runtime().arg("features").ok().stdout).expect("JSON");
    assert!(features["ociVersionMax"].is_string());

    let log = container.home().join("log.json");
    let with_log = |args: &[&str]| {
        container.runtime().arg("--log").arg(&log).args(["--log-format", "json"]).args(args).output()
    };
    let last_error = || {
        let text = fs::read_to_string(&log).expect("the log is there");
        let line: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
        assert_eq!(line["level"], "error");
        line["msg"].as_str().expect("a message").to_owned()
    };
    assert_ne!(with_log(&["state", &container.id]).code, 0);
    assert!(last_error().contains("does not exist"));
    assert_eq!(with_log(&["delete", "--force", &container.id]).code, 0, "nothing is left to delete");
    container.up();
    container.kill("KILL");
    assert_eq!(container.wait(), 128 + 9);
    assert_ne!(with_log(&["kill", &container.id, "9"]).code, 0);
    assert!(last_error().contains("container not running"));
    assert_eq!(
        with_log(&["kill", "--all", &container.id, "9"]).code,
        0,
        "shims make sure that nothing is left"
    );
}
