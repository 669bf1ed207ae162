//! The command from outside, as far as no container is needed: what it refuses, what it says, and how it exits.

use std::path::Path;
use std::process::{Command, Output, Stdio};

fn orlop(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_orlop"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("orlop starts")
}

/// Runs it on an empty store; exit status, standard output, standard error.
fn on_empty_store(arguments: &[&str]) -> (i32, String, String) {
    let store = tempfile::tempdir().expect("a temporary directory can be made");
    let root = store.path().to_str().expect("its path is text");
    let output = orlop(&[&["--root", root], arguments].concat());
    let text = |bytes| String::from_utf8(bytes).expect("its output is text");
    (output.status.code().expect("no signal killed it"), text(output.stdout), text(output.stderr))
}

#[test]
fn a_container_that_does_not_exist_is_status_1_and_the_words_engines_look_for() {
    for command in ["state", "start", "pause", "resume", "kill", "delete", "ps", "update", "events"] {
        let (status, out, err) = on_empty_store(&[command, "web"]);
        assert_eq!((status, out.as_str()), (1, ""), "{command}");
        assert_eq!(err, "orlop: container \"web\" does not exist\n", "{command}");
    }
    assert_eq!(on_empty_store(&["delete", "--force", "web"]).0, 0);
    assert_eq!(on_empty_store(&["delete", "-force", "web"]).0, 0);
}

#[test]
fn exec_exits_with_255_where_nothing_was_started() {
    let (status, _, err) = on_empty_store(&["exec", "web", "true"]);
    assert_eq!((status, err.as_str()), (255, "orlop: container \"web\" does not exist\n"));
    for arguments in [
        &["exec", "web"][..],
        &["exec", "--user", " 1", "web", "true"],
        &["exec", "--process", "p.json", "--cwd", "/", "web"],
    ] {
        assert_eq!(on_empty_store(arguments).0, 255, "{arguments:?}");
    }
}

#[test]
fn bad_usage_is_status_1() {
    for arguments in [
        &["state"][..],
        &["state", "a", "b"],
        &["state", "--no-such-option", "a"],
        &["no-such-command"],
        &["--no-such-option"],
        &["kill", "web", "NOPE"],
        &["kill", "web", "TERM", "more"],
        &["create", "--preserve-fds", "-1", "web"],
        &["list", "--format", "yaml"],
        &["try", "--memory", "lots", "true"],
        &["--rootless", "maybe", "list"],
        &["--root", "/", "list"],
        &["create", ""],
        &["create", "a/b"],
    ] {
        let (status, out, err) = on_empty_store(arguments);
        assert_eq!((status, out.as_str()), (1, ""), "{arguments:?}");
        assert!(err.starts_with("orlop: "), "{arguments:?}: {err}");
    }
}

#[test]
fn errors_go_to_the_log_once_and_to_standard_error() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log.json");
    let arguments = ["--log", log.to_str().unwrap(), "--log-format", "json", "state", "web"];
    for _ in 0..2 {
        let (status, _, err) = on_empty_store(&arguments);
        assert_eq!((status, err.as_str()), (1, "orlop: container \"web\" does not exist\n"));
    }
    on_empty_store(&["--log", log.to_str().unwrap(), "--log-format=json", "state"]);
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert!(
        lines
            .iter()
            .all(|line| line["level"] == "error" && line["code"].as_str().unwrap().starts_with("ORL-"))
    );
    assert_eq!(lines[1]["msg"], "container \"web\" does not exist");
    assert!(lines[2]["msg"].as_str().unwrap().contains("required arguments"));
}

#[test]
fn an_empty_store_lists_nothing_and_one_that_is_missing_is_an_error() {
    assert_eq!(on_empty_store(&["list", "-f", "json"]).1, "[]\n");
    assert_eq!(on_empty_store(&["list", "-q"]).1, "");
    assert_eq!(
        on_empty_store(&["list"]).1,
        "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n"
    );
    assert_eq!(orlop(&["--root", "/no/such/root", "list"]).status.code(), Some(1));
}

#[test]
fn several_containers_are_named_by_id_or_by_pattern() {
    for arguments in [&["delete", "--regex", ".*"][..], &["kill", "-r", "web"], &["delete", "-f", "a", "b"]] {
        let (status, out, err) = on_empty_store(arguments);
        assert_eq!((status, out.as_str(), err.as_str()), (0, "", ""), "{arguments:?}");
    }
    let (status, _, err) = on_empty_store(&["kill", "--regex", "(web"]);
    assert!(status == 1 && err.contains("invalid regular expression \"(web\""), "{err}");
    let (status, _, err) = on_empty_store(&["delete", "a", "b"]);
    assert_eq!(status, 1);
    assert_eq!(err.matches("does not exist").count(), 2, "{err}");
}

#[test]
fn the_log_level_and_its_places() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let file = format!("file:{}", path.display());
    assert_eq!(on_empty_store(&["--log", &file, "--log-level", "error", "state", "web"]).0, 1);
    assert!(std::fs::read_to_string(&path).unwrap().contains("level=error"));
    assert_eq!(on_empty_store(&["--log-level", "loud", "list"]).0, 1);
}

#[test]
fn spec_writes_a_config_once() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().to_str().unwrap();
    let read = |dir: &Path| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(dir.join("config.json")).unwrap()).unwrap()
    };
    assert_eq!(on_empty_store(&["spec", "--bundle", bundle]).0, 0);
    assert_eq!(read(dir.path())["process"]["args"][0], "sh");
    let (status, _, err) = on_empty_store(&["spec", "-b", bundle]);
    assert_eq!(status, 1);
    assert!(err.contains("exists"), "{err}");
    std::fs::remove_file(dir.path().join("config.json")).unwrap();
    assert_eq!(on_empty_store(&["spec", "--rootless", "-b", bundle]).0, 0);
    let mappings = &read(dir.path())["linux"]["uidMappings"][0];
    assert_eq!(mappings["hostID"], nix::unistd::geteuid().as_raw());
    assert_eq!(on_empty_store(&["spec", "-b", bundle, "-f", "other.json"]).0, 0);
    assert_eq!(on_empty_store(&["spec", "-b", bundle, "--file", "other.json"]).0, 1);
    assert!(dir.path().join("other.json").exists());
}

#[test]
fn features_and_version_are_what_engines_parse() {
    let (status, out, _) = on_empty_store(&["features"]);
    let features: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((status, &features["ociVersionMax"]), (0, &"1.3.0".into()));
    let (status, out, _) = on_empty_store(&["--version"]);
    assert_eq!(on_empty_store(&["version"]).1, out);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!((status, lines.len()), (0, 5));
    assert!(lines[0].starts_with("orlop version ") && lines[1].starts_with("commit: "));
    assert_eq!(lines[2], "spec: 1.3.0");
    assert!(
        lines[3].starts_with("rustc: ") && lines[4].split(' ').all(|word| word.starts_with('+')),
        "{out}"
    );
}
