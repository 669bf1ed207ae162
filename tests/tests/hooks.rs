//! "Lifecycle" of `runtime.md` and "POSIX-platform Hooks" of `config.md`.
use std::fs;
use std::path::{Path, PathBuf};

use orlop_tests::{Container, need, runtime};
use serde_json::{Value, json};

const KINDS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// Writes a hook program.
fn script(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).expect("a new file");
    rustix::fs::chmod(path, 0o755.into()).expect("our own file");
}

/// A hook of a kind that logs its name and keeps the state it was given; the program is made for it.
fn logging_hook(container: &mut Container, kind: &str) {
    let logs = container.home().join("logs");
    // `startContainer` runs inside, where the directory of logs is mounted.
    let (seen, program, named) = if kind == "startContainer" {
        (PathBuf::from("/mnt"), container.bundle.rootfs().join("hook"), PathBuf::from("/hook"))
    } else {
        let program = container.home().join(format!("hook-{kind}"));
        (logs, program.clone(), program)
    };
    let text = format!("cat >{0}/{kind}; echo {kind} \"$1\" \"$WORD\" $# >>{0}/log", seen.display());
    script(&program, &text);
    let named = named.to_string_lossy().into_owned();
    let hook = json!({"path": named, "args": ["zero", "first"], "env": ["WORD=given", "PATH=/bin:/usr/bin"]});
    container.push(&format!("/hooks/{kind}"), hook);
}

/// A container with hooks of all kinds that log to the directory returned.
fn with_all_hooks() -> (Container, PathBuf) {
    let mut container = Container::sh("echo program >>/mnt/log");
    let logs = container.home().join("logs");
    fs::create_dir(&logs).expect("a new directory");
    let source = logs.to_string_lossy().into_owned();
    container.push("/mounts", json!({"destination": "/mnt", "source": source, "options": ["bind"]}));
    for kind in KINDS {
        logging_hook(&mut container, kind);
    }
    (container, logs)
}

/// What the hooks have logged. runc calls poststart hooks in `create` already: with it they are left out.
fn log(logs: &Path) -> Vec<String> {
    let text = fs::read_to_string(logs.join("log")).unwrap_or_default();
    let lines = text.lines().filter(|line| runtime::is_orlop() || !line.starts_with("poststart"));
    lines.map(str::to_owned).collect()
}

#[test]
fn hooks_run_at_their_points_of_the_lifecycle_in_order_with_args_and_env() {
    let (container, logs) = with_all_hooks();
    let said = |kinds: &[&str]| kinds.iter().map(|kind| format!("{kind} first given 1")).collect::<Vec<_>>();
    container.create();
    assert_eq!(log(&logs), said(&KINDS[..3]), "create runs these");
    container.start();
    container.wait();
    let mut rest = log(&logs).split_off(3);
    assert_eq!(rest.remove(0), said(&KINDS[3..4])[0], "before the program");
    // The program runs while `start` still calls poststart: either may come first.
    rest.sort();
    assert_eq!(
        rest,
        if runtime::is_orlop() { &["poststart first given 1", "program"][..] } else { &["program"] }
    );
    container.delete();
    assert_eq!(log(&logs).last(), said(&KINDS[5..]).last(), "delete runs poststop");
}

#[test]
fn each_hook_gets_the_state_of_its_moment_on_standard_input() {
    let (mut container, logs) = with_all_hooks();
    container.set("/annotations/org.example.key", "value");
    container.run().ok();
    let statuses = ["creating", "creating", "creating", "created", "running", "stopped"];
    for (kind, status) in KINDS.iter().zip(statuses) {
        let text = fs::read_to_string(logs.join(kind)).expect("the hook kept its input");
        let state: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{kind}: {e}: {text}"));
        assert_eq!(state["id"], container.id.as_str(), "{kind}");
        // runc calls poststart early, and says so.
        let early = *kind == "poststart" && !runtime::is_orlop();
        assert_eq!(state["status"], if early { "created" } else { status }, "{kind}");
        assert_eq!(state["bundle"], container.bundle.path().to_string_lossy().as_ref(), "{kind}");
        assert_eq!(state["annotations"]["org.example.key"], "value", "{kind}");
        if status != "stopped" {
            assert!(state["pid"].as_i64().is_some_and(|pid| pid > 0), "{kind}: {text}");
        }
    }
}

#[test]
fn several_hooks_of_a_kind_run_in_the_order_listed() {
    let mut container = Container::sh("true");
    let log = container.home().join("log");
    for n in 1..=3 {
        let program = container.home().join(format!("hook{n}"));
        script(&program, &format!("echo {n} >>{}", log.display()));
        container.push("/hooks/createRuntime", json!({"path": program.to_string_lossy()}));
    }
    container.run().ok();
    assert_eq!(fs::read_to_string(log).expect("they ran"), "1\n2\n3\n");
}

#[test]
fn host_hooks_run_in_the_runtimes_namespaces_and_container_hooks_in_the_containers() {
    let mut container = Container::sh("true");
    let logs = container.home().join("logs");
    fs::create_dir(&logs).expect("a new directory");
    let source = logs.to_string_lossy().into_owned();
    container.push("/mounts", json!({"destination": "/mnt", "source": source, "options": ["bind"]}));
    for (kind, seen) in
        [("createRuntime", logs.as_path()), ("createContainer", &logs), ("startContainer", Path::new("/mnt"))]
    {
        let inside = kind == "startContainer";
        let program =
            if inside { container.bundle.rootfs().join("hook") } else { container.home().join(kind) };
        script(
            &program,
            &format!("PATH=/bin:/usr/bin; readlink /proc/self/ns/mnt >{}/{kind}", seen.display()),
        );
        let path = if inside { "/hook".to_owned() } else { program.to_string_lossy().into_owned() };
        container.push(&format!("/hooks/{kind}"), json!({"path": path}));
    }
    container.run().ok();
    let of = |kind: &str| fs::read_to_string(logs.join(kind)).expect("the hook ran");
    let ours =
        fs::read_link("/proc/self/ns/mnt").expect("procfs is mounted").to_string_lossy().into_owned() + "\n";
    assert_eq!(of("createRuntime"), ours);
    assert_ne!(of("createContainer"), ours);
    assert_eq!(of("createContainer"), of("startContainer"));
}

/// Init enters it as late as it can: when nothing needs it before, hooks do.
#[test]
fn hooks_find_the_containers_own_network() {
    let mut container = Container::sh("readlink /proc/self/ns/net");
    container.bundle.config["mounts"].as_array_mut().expect("a list").retain(|mount| mount["type"] == "proc");
    let (program, found) = (container.home().join("hook"), container.home().join("found"));
    let script_text = r#"pid=$(sed -n 's/.*"pid": *\([0-9]*\).*/\1/p'); readlink /proc/$pid/ns/net"#;
    script(&program, &format!("PATH=/bin:/usr/bin; {script_text} >{}", found.display()));
    container.push("/hooks/prestart", json!({"path": program.to_string_lossy()}));
    let own = container.run().ok().stdout;
    assert_eq!(fs::read_to_string(found).expect("the hook ran"), own);
    let ours = fs::read_link("/proc/self/ns/net").expect("procfs is mounted");
    assert_ne!(own.trim(), ours.to_string_lossy());
}

#[test]
fn a_failing_hook_fails_the_container_and_nothing_is_left_behind() {
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer"] {
        let mut container = Container::sh("echo ran");
        let inside = kind == "startContainer";
        let program =
            if inside { container.bundle.rootfs().join("hook") } else { container.home().join("hook") };
        script(&program, "echo the hook says no >&2; exit 7");
        let path = if inside { "/hook".to_owned() } else { program.to_string_lossy().into_owned() };
        container.push(&format!("/hooks/{kind}"), json!({"path": path}));
        let out = container.run();
        assert_ne!(out.code, 0, "{kind}: {out}");
        assert!(!out.stdout.contains("ran"), "{kind}: {out}");
        assert!(out.stderr.contains("hook"), "{kind}: {out}");
        if runtime::is_orlop() {
            assert!(
                out.stderr.contains('7') && out.stderr.contains(&format!("/hooks/{kind}/0")),
                "{kind}: {out}"
            );
        }
        container.assert_no_leaks();
    }
}

#[test]
fn a_hook_that_does_not_exist_fails_the_container() {
    let mut container = Container::sh("echo ran");
    container.push("/hooks/createRuntime", json!({"path": "/no/such/hook"}));
    container.run().fails_with("/no/such/hook");
    container.assert_no_leaks();
}

#[test]
fn a_hook_past_its_timeout_is_killed_and_fails_the_container() {
    let mut container = Container::sh("echo ran");
    let program = container.home().join("hook");
    script(&program, "exec sleep 1000");
    container.push("/hooks/createRuntime", json!({"path": program.to_string_lossy(), "timeout": 1}));
    let out = container.run();
    assert!(out.code != 0 && !out.stdout.contains("ran"), "{out}");
    container.assert_no_leaks();
}

#[test]
fn a_failing_poststop_hook_does_not_stop_delete() {
    let mut container = Container::sh("true");
    let [fails, works] = ["fails", "works"].map(|name| container.home().join(name));
    let log = container.home().join("log");
    script(&fails, "exit 1");
    script(&works, &format!("echo still called >{}", log.display()));
    for program in [&fails, &works] {
        container.push("/hooks/poststop", json!({"path": program.to_string_lossy()}));
    }
    container.up();
    container.wait();
    // The specification: log a warning, call the remaining hooks, go on as if the hook had succeeded.
    container.command::<&str>("delete", &[]).output();
    container.assert_no_leaks();
    need!(runtime::is_orlop(), "runc calls no further hooks once one has failed");
    assert_eq!(fs::read_to_string(log).expect("it was called"), "still called\n");
}

#[test]
fn hooks_of_create_see_the_first_process_of_the_container() {
    let mut container = Container::lasting();
    let program = container.home().join("hook");
    let log = container.home().join("log");
    let text = "pid=$(sed -E 's/.*\"pid\": ?([0-9]+).*/\\1/'); readlink /proc/$pid/ns/net >LOG";
    script(&program, &text.replace("LOG", &log.to_string_lossy()));
    container.push("/hooks/createRuntime", json!({"path": program.to_string_lossy()}));
    container.create();
    let seen = fs::read_to_string(log).expect("the hook ran");
    let now = fs::read_link(format!("/proc/{}/ns/net", container.pid())).expect("it is there");
    assert_eq!(seen.trim(), now.to_string_lossy(), "network plugins rely on this");
}
