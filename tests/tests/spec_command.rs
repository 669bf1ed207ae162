//! `spec`: the default bundle, and running it.
use std::fs;

use orlop_tests::{Container, runtime};
use serde_json::{Value, json};

/// The configuration that `spec` writes into a container's bundle.
fn written(container: &Container) -> Value {
    let bundle = container.bundle.path().to_string_lossy().into_owned();
    container.runtime().args(["spec", "--bundle", &bundle]).ok();
    let text = fs::read_to_string(container.bundle.path().join("config.json")).expect("spec wrote it");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn spec_writes_a_bundle_that_runs() {
    let mut container = Container::sh("true");
    let mut config = written(&container);
    assert_eq!(config["process"]["args"], json!(["sh"]));
    assert_eq!(config["root"], json!({"path": "rootfs", "readonly": true}));
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["sh", "-c", "echo the default bundle; id -u"]);
    container.bundle.config = config;
    assert_eq!(container.run().ok().stdout, "the default bundle\n0\n");
}

#[test]
fn spec_agrees_with_the_default_of_the_tests() {
    let container = Container::sh("true");
    let ours = &container.bundle.config;
    let theirs = written(&container);
    for pointer in
        ["/mounts", "/linux/maskedPaths", "/linux/readonlyPaths", "/process/rlimits", "/process/cwd"]
    {
        // Newer runtimes mask a few paths more.
        let covers = |a: &Value, b: &Value| match (a, b) {
            (Value::Array(a), Value::Array(b)) => b.iter().all(|item| a.contains(item)),
            (a, b) => a == b,
        };
        let (theirs, ours) = (theirs.pointer(pointer).expect("there"), ours.pointer(pointer).expect("there"));
        assert!(covers(theirs, ours), "{pointer}: {theirs:#} is not {ours:#}");
    }
}

#[test]
fn spec_does_not_overwrite_a_configuration() {
    let container = Container::sh("true");
    container.bundle.save();
    let bundle = container.bundle.path().to_string_lossy().into_owned();
    let out = container.runtime().args(["spec", "--bundle", &bundle]).output();
    assert_ne!(out.code, 0, "{out}");
    assert!(out.stderr.contains("exist"), "{out}");
}

#[test]
fn features_lists_what_the_runtime_knows() {
    let container = Container::sh("true");
    let out = container.runtime().arg("features").ok();
    let features: Value = serde_json::from_str(&out.stdout).expect("JSON");
    let has = |pointer: &str, word: &str| {
        let list = features.pointer(pointer).and_then(Value::as_array).expect("a list");
        assert!(list.iter().any(|item| item == word), "{pointer} lacks {word}");
    };
    has("/linux/namespaces", "pid");
    has("/linux/capabilities", "CAP_NET_ADMIN");
    has("/hooks", "createContainer");
    has("/mountOptions", "rbind");
    has("/linux/seccomp/actions", "SCMP_ACT_ERRNO");
    assert!(features["ociVersionMin"].is_string() && features["ociVersionMax"].is_string());
}

#[test]
fn version_and_help_are_given_without_privileges() {
    let container = Container::sh("true");
    for flag in ["--version", "--help"] {
        let out = container.runtime().arg(flag).ok();
        let name = runtime::binary().file_name().expect("a name").to_string_lossy();
        assert!(out.stdout.contains(name.as_ref()), "{out}");
    }
}

#[test]
fn an_unknown_command_or_flag_is_an_error() {
    let container = Container::sh("true");
    for args in [&["frobnicate"][..], &["run", "--frobnicate", "x"], &["kill"]] {
        let out = container.runtime().args(args).output();
        assert_ne!(out.code, 0, "{out}");
        // Some runtimes show their help for an unknown command on standard output.
        assert!(!(out.stderr.clone() + &out.stdout).is_empty(), "{args:?}");
    }
}
