//! Container engines: configs as they make them, and the engines themselves with the runtime under test.
use std::fs;

use orlop_tests::engine::Suite;
use orlop_tests::engine::podman::Podman;
use orlop_tests::terminal::{ConsoleSocket, Terminal};
use orlop_tests::{Container, Invocation, cgroup, need_engine, runtime};
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
fn podman_runs_containers() {
    need_engine!(Suite::Installed, "podman", "conmon");
    let podman = Podman::new(Suite::Installed);
    assert_eq!(podman.run(&["--rm"], &["echo", "hi"]).ok().stdout, "hi\n");
    assert_eq!(podman.run(&["--rm"], &["sh", "-c", "exit 7"]).output().code, 7);
    assert_eq!(podman.run(&["--rm"], &["/nothing"]).output().code, 127, "not found, as podman reads it");
    assert_eq!(podman.run(&["--rm"], &["/etc/passwd"]).output().code, 126, "not executable");
    let read_only = ["--rm", "--read-only", "--user", "user", "--tmpfs", "/home"];
    let script = "id -un; [ -d /home/user ] && ! touch /new 2>/dev/null && touch /tmp/new && echo fine";
    assert_eq!(podman.run(&read_only, &["sh", "-c", script]).ok().stdout, "user\nfine\n");
    let uids = podman.run(&["--rm", "--uidmap", "0:100000:1000"], &["cat", "/proc/self/uid_map"]).ok().stdout;
    assert_eq!(uids.split_whitespace().collect::<Vec<_>>(), ["0", "100000", "1000"]);

    let (mut terminal, peer) = Terminal::open();
    let run = podman.run(&["--rm", "-it"], &["sh", "-c", "tty; read x; echo got $x; exit 4"]).on(&peer).spawn();
    terminal.expect("/dev/pts/0");
    terminal.type_in("it\n");
    terminal.expect("got it");
    assert_eq!(run.wait().code, 4);
}

#[test]
fn podman_leads_a_container_through_its_life() {
    need_engine!(Suite::Installed, "podman", "conmon");
    let podman = Podman::new(Suite::Installed);
    let script = "echo started; trap 'echo bye; exit 3' TERM; while :; do sleep 1000 & wait $!; done";
    let id = podman.run(&["--detach", "--name", "web"], &["sh", "-c", script]).ok().stdout;
    assert_eq!(podman.command(&["exec", "web", "echo", "in"]).ok().stdout, "in\n");
    assert_eq!(podman.command(&["exec", "web", "sh", "-c", "exit 9"]).output().code, 9);
    assert_eq!(podman.command(&["exec", "--user", "1000", "web", "id", "-u"]).ok().stdout, "1000\n");
    podman.command(&["pause", "web"]).ok();
    let status = ["inspect", "--format", "{{.State.Status}}", "web"];
    assert_eq!(podman.command(&status).ok().stdout, "paused\n");
    podman.command(&["unpause", "web"]).ok();
    podman.command(&["stop", "web"]).ok();
    assert_eq!(podman.command(&["wait", "web"]).ok().stdout, "3\n");
    assert_eq!(podman.command(&["logs", "web"]).ok().stdout, "started\nbye\n");
    podman.command(&["rm", "web"]).ok();
    podman.0.assert_nothing_left_of(id.trim());
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
