//! What is wrong with a bundle or an id is said clearly, and nothing is left behind.
use std::fs;

use orlop_tests::{Container, Output, ledger, need, runtime};
use serde_json::{Value, json};

/// Runs a bundle that must be refused, with exit code 1 and everything cleaned up.
#[track_caller]
fn refused(container: &Container) -> Output {
    let out = container.run();
    assert!(!out.stdout.contains("ran"), "{out}");
    assert_ne!(out.code, 0, "{out}");
    assert!(!out.stderr.trim().is_empty(), "it says why: {out}");
    if runtime::is_orlop() {
        assert_eq!(out.code, 1, "{out}");
        assert!(!out.stderr.contains("panicked"), "{out}");
    }
    container.assert_no_leaks();
    out
}

/// Runs a bundle whose `config.json` is this text.
#[track_caller]
fn refused_text(text: &[u8]) -> Output {
    let container = Container::sh("echo ran");
    fs::write(container.bundle.path().join("config.json"), text).expect("the file is written");
    let bundle = container.bundle.path().to_string_lossy().into_owned();
    let out = container.runtime().args(["run", "--bundle", &bundle, &container.id]).output();
    assert!(out.code != 0 && !out.stdout.contains("ran") && !out.stderr.trim().is_empty(), "{out}");
    container.assert_no_leaks();
    out
}

#[test]
fn a_missing_configuration_is_named() {
    let container = Container::sh("echo ran");
    let bundle = container.bundle.path().to_string_lossy().into_owned();
    let out = container.runtime().args(["run", "--bundle", &bundle, &container.id]).output();
    assert!(out.code != 0 && out.stderr.contains("config.json"), "{out}");
}

#[test]
fn a_missing_bundle_is_named() {
    let container = Container::sh("echo ran");
    let out = container.runtime().args(["run", "--bundle", "/no/such/bundle", &container.id]).output();
    assert!(out.code != 0 && out.stderr.contains("/no/such/bundle"), "{out}");
}

#[test]
fn a_missing_root_file_system_is_refused_and_named() {
    let mut container = Container::sh("echo ran");
    container.set("/root/path", "no-such-root");
    let out = refused(&container);
    assert!(out.stderr.contains("no-such-root"), "{out}");
}

#[test]
fn text_that_is_no_json_is_refused() {
    for text in ["", "{", "[]", "null", "true", "\"text\"", "{\"ociVersion\": }", "{} trailing", "\u{feff}{}"]
    {
        refused_text(text.as_bytes());
    }
    refused_text(&[0xff, 0xfe, 0x00]);
    refused_text(&[0; 4096]);
}

#[test]
fn broken_json_is_refused_with_line_and_column() {
    need!(runtime::is_orlop(), "checks orlop's own messages");
    let out = refused_text(b"{\n  \"ociVersion\": \"1.0.2\",\n  \"process\": nonsense\n}\n");
    assert!(out.stderr.contains("line 3") && out.stderr.contains("column"), "{out}");
    assert_eq!(out.code, 1, "{out}");
}

/// Each change makes the default configuration wrong, and the message must name the place.
fn wrong_places() -> Vec<(&'static str, Value)> {
    vec![
        ("/process/args", json!("sh")),
        ("/process/args", json!([])),
        ("/process/args/0", json!(7)),
        ("/process/cwd", json!("relative")),
        ("/process/env/1", json!(["A=1"])),
        ("/process/user/uid", json!("root")),
        ("/process/user/uid", json!(-1)),
        ("/process/user/gid", json!(1_u64 << 32)),
        ("/process/rlimits/0/type", json!("RLIMIT_NONSENSE")),
        ("/process/rlimits/0/soft", json!("many")),
        ("/process/oomScoreAdj", json!(5000)),
        ("/process/terminal", json!("yes")),
        ("/root", Value::Null),
        ("/root/path", json!(["rootfs"])),
        ("/root/readonly", json!("true")),
        ("/hostname", json!(7)),
        ("/hostname", json!("x".repeat(100))),
        ("/mounts", json!({})),
        ("/mounts/1/options", json!("ro")),
        ("/mounts/1/options/0", json!(7)),
        ("/mounts/1/options/0", json!("mode=eight")),
        ("/mounts/0/destination", Value::Null),
        ("/linux/namespaces/0/type", json!("pids")),
        ("/linux/namespaces/1/path", json!("/no/such/namespace")),
        ("/linux/uidMappings", json!("all")),
        ("/linux/rootfsPropagation", json!("sideways")),
        ("/linux/maskedPaths/0", json!(1)),
        ("/linux/resources/memory/limit", json!("64M")),
        ("/linux/resources/pids/limit", json!(1.5)),
        ("/linux/resources/devices/0/access", json!("xyz")),
        ("/linux/devices", json!([{"path": "/dev/x", "type": "z", "major": 1, "minor": 1}])),
        ("/linux/sysctl", json!({"net.ipv4.ip_forward": 1})),
        ("/hooks/prestart", json!([{"path": "relative"}])),
        ("/hooks/poststop", json!([{"args": ["x"]}])),
    ]
}

#[test]
fn what_is_wrong_is_named_by_its_json_pointer() {
    need!(runtime::is_orlop(), "checks orlop's own messages");
    let mut wrong = vec![];
    for (pointer, value) in wrong_places() {
        let mut container = Container::sh("echo ran");
        container.set(pointer, value.clone());
        let out = container.run();
        // A member of the wrong place may be named more closely than the change itself.
        if out.code != 1 || !out.stderr.contains(pointer) || out.stdout.contains("ran") {
            wrong.push(format!("{pointer} = {value}: exit code {}, {}", out.code, out.stderr.trim()));
        }
        let leaks = ledger::leaks(&container.id, &container.state_root());
        assert!(leaks.is_empty(), "{pointer}: {leaks:?}");
    }
    assert!(wrong.is_empty(), "{} not named:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_bad_mount_option_is_named_by_its_index() {
    need!(runtime::is_orlop(), "checks orlop's own messages");
    let mut container = Container::sh("echo ran");
    let options = ["nosuid", "frobnicate=1"];
    container.push(
        "/mounts",
        json!({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": options}),
    );
    let out = refused(&container);
    assert!(out.stderr.contains("/mounts/7"), "{out}");
    container.set("/mounts/7/options", json!(["nosuid", "mode=eight"]));
    let out = refused(&container);
    assert!(out.stderr.contains("/mounts/7/options/1"), "{out}");
}

#[test]
fn all_problems_are_reported_together() {
    need!(runtime::is_orlop(), "checks orlop's own messages");
    let mut container = Container::sh("echo ran");
    container.set("/process/cwd", "relative").set("/linux/rootfsPropagation", "sideways");
    container.set("/process/rlimits/0/type", "RLIMIT_NONSENSE");
    let out = refused(&container);
    for pointer in ["/process/cwd", "/linux/rootfsPropagation", "/process/rlimits/0/type"] {
        assert!(out.stderr.contains(pointer), "{pointer}: {out}");
    }
}

#[test]
fn ids_that_are_no_names_are_refused() {
    let container = Container::sh("echo ran");
    let bundle = container.bundle.path().to_string_lossy().into_owned();
    container.bundle.save();
    let before = entries(container.home());
    for id in
        ["", ".", "..", "../x", "a/b", "/abs", "new\nline", "sp ace", "tab\t", "ü", "a\u{1b}[31mb", "\\"]
    {
        let out = container.runtime().args(["run", "--bundle", &bundle, "--", id]).output();
        assert!(out.code != 0 && !out.stdout.contains("ran"), "{id:?}: {out}");
        for command in ["state", "delete", "start"] {
            let out = container.runtime().args([command, "--", id]).output();
            assert_ne!(out.code, 0, "{command} {id:?}: {out}");
        }
    }
    let long = "x".repeat(5000);
    let out = container.runtime().args(["run", "--bundle", &bundle, &long]).output();
    assert!(out.code != 0, "an id that no directory can have: {out}");
    assert_eq!(entries(container.home()), before, "nothing was made beside the state root");
}

fn entries(directory: &std::path::Path) -> Vec<String> {
    let all = fs::read_dir(directory).expect("a directory").flatten();
    let mut names: Vec<String> = all.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn control_characters_of_the_input_do_not_reach_the_terminal() {
    need!(runtime::is_orlop(), "checks orlop's own messages");
    let container = Container::sh("echo ran");
    let out = container.runtime().args(["state", "a\u{1b}[31mb\nnext"]).output();
    assert!(out.code == 1 && !out.stderr.contains('\u{1b}'), "{out}");
}

#[test]
fn strings_with_nul_are_refused() {
    for pointer in ["/process/args/0", "/process/env/0", "/process/cwd", "/hostname", "/mounts/0/destination"]
    {
        if pointer == "/hostname" && !runtime::is_orlop() {
            continue; // runc sets it.
        }
        let mut container = Container::sh("echo ran");
        container.set(pointer, "/with\0nul");
        let out = refused(&container);
        assert!(!runtime::is_orlop() || out.stderr.contains(pointer), "{pointer}: {out}");
    }
}

#[test]
fn a_mount_destination_with_a_newline_does_no_harm() {
    let mut container = Container::sh("ls /tmp; echo fine");
    container.set("/root/readonly", false);
    container.push("/mounts", json!({"destination": "/tmp/a\nb", "type": "tmpfs", "source": "tmpfs"}));
    assert!(container.run().ok().stdout.ends_with("fine\n"));
}

#[test]
fn a_configuration_of_ten_megabytes_is_dealt_with() {
    // In annotations, which cost nothing else: it runs.
    let mut container = Container::sh("echo fine");
    container.set("/annotations/big", "x".repeat(10 << 20));
    let out = container.run();
    need!(out.code == 0 || runtime::is_orlop(), "this runtime refuses it");
    assert_eq!(out.ok().stdout, "fine\n");
    // In the arguments, of which the kernel takes no more than 128 KiB each: refused, cleanly.
    let mut container = Container::sh("echo ran");
    container.push("/process/args", "x".repeat(10 << 20));
    refused(&container);
}

#[test]
fn deeply_nested_json_is_refused_or_ignored_without_a_crash() {
    let depth = 100_000;
    let text = format!("{{\"annotations\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
    let out = refused_text(text.as_bytes());
    assert!(out.code < 128, "no signal: {out}");
}

#[test]
fn unknown_properties_are_ignored() {
    // config.md: "Runtimes that are reading or processing this configuration file MUST NOT generate an error or fail if they encounter an unknown property."
    let mut container = Container::sh("echo fine");
    for pointer in
        ["/unknown", "/process/unknown", "/linux/unknown", "/linux/resources/unknown", "/root/unknown"]
    {
        container.set(pointer, json!({"any": ["thing", 1, null]}));
    }
    assert_eq!(container.run().ok().stdout, "fine\n");
}

#[test]
fn an_oci_version_that_is_not_supported_is_refused() {
    need!(runtime::is_orlop(), "runc does not look at the major version");
    for version in ["2.0.0", "nonsense", ""] {
        let mut container = Container::sh("echo ran");
        container.set("/ociVersion", version);
        let out = refused(&container);
        assert!(out.stderr.contains("/ociVersion"), "{version:?}: {out}");
    }
}

#[test]
fn overlapping_mappings_are_refused() {
    let mut container = Container::sh("echo ran");
    orlop_tests::spec::add_user_namespace(
        &mut container.bundle.config,
        &[(0, 100_000, 1000), (500, 200_000, 1000)],
    );
    let out = refused(&container);
    assert!(!runtime::is_orlop() || out.stderr.contains("/linux/uidMappings"), "{out}");
}

#[test]
fn mappings_without_a_user_namespace_are_refused() {
    need!(runtime::is_orlop(), "runc ignores them");
    let mut container = Container::sh("echo ran");
    orlop_tests::spec::add_user_namespace(&mut container.bundle.config, &[(0, 100_000, 1000)]);
    container.bundle.remove_namespace("user");
    let out = refused(&container);
    assert!(!runtime::is_orlop() || out.stderr.contains("/linux/uidMappings"), "{out}");
}

#[test]
fn a_hostname_without_a_uts_namespace_is_refused() {
    let mut container = Container::sh("echo ran");
    container.bundle.remove_namespace("uts");
    let out = refused(&container);
    assert!(out.stderr.to_lowercase().contains("uts"), "{out}");
}
