use std::fs;

use serde_json::json;

use super::*;

fn image(config: &serde_json::Value) -> ImageConfig {
    let image =
        json!({"os": "linux", "architecture": "amd64", "created": "2026-01-01T00:00:00Z", "config": config});
    serde_json::from_value(image).expect("a config")
}

/// A root file system with users.
fn root() -> (tempfile::TempDir, Tree) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir_all(dir.path().join("usr/share")).expect("a directory");
    // Through a link, as some images have it.
    let etc = dir.path().join("etc");
    std::os::unix::fs::symlink("/usr/share", &etc).expect("a link");
    let passwd =
        "# none\nroot:x:0:0::/root:/bin/sh\nann:x:1000:100::/home/ann:/bin/sh\n7:x:0:0::/:/bin/sh\nbad:x\n";
    let group = "root:x:0:root\nusers:x:100:\nwheel:x:10:root,ann\nstaff:x:50:ann\n";
    fs::write(dir.path().join("usr/share/passwd"), passwd).expect("a file");
    fs::write(dir.path().join("usr/share/group"), group).expect("a file");
    let tree = Tree::open(dir.path()).expect("a directory");
    (dir, tree)
}

fn convert(config: &serde_json::Value, overrides: &Overrides) -> Result<Spec> {
    let (_dir, tree) = root();
    runtime_spec(&image(config), &tree, overrides)
}

fn process_of(config: &serde_json::Value, overrides: &Overrides) -> Process {
    convert(config, overrides).expect("a config").process.expect("a process")
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

#[test]
fn entrypoint_and_command_are_joined_and_replaced_as_docker_does() {
    let both = || json!({"Entrypoint": ["e", "1"], "Cmd": ["c"]});
    let cases = [
        (both(), None, &[][..], &["e", "1", "c"][..]),
        (both(), None, &["x"], &["e", "1", "x"]),
        (both(), Some(words(&["n"])), &[], &["n"]),
        (both(), Some(words(&["n"])), &["x"], &["n", "x"]),
        (both(), Some(Vec::new()), &["x"], &["x"]),
        (json!({"Cmd": ["c"], "Entrypoint": null}), None, &[], &["c"]),
    ];
    for (config, entrypoint, command, expected) in cases {
        let overrides = Overrides { entrypoint, command: words(command), ..Overrides::default() };
        assert_eq!(process_of(&config, &overrides).args, words(expected));
    }
    assert!(convert(&json!({}), &Overrides::default()).is_err(), "nothing to run");
}

#[test]
fn users_are_found_in_the_image() {
    let cases = [
        ("", (0, 0), &[0, 10][..]),
        ("root", (0, 0), &[0, 10]),
        ("ann", (1000, 100), &[10, 50]),
        ("1000", (1000, 100), &[10, 50]),
        ("ann:staff", (1000, 50), &[]),
        ("ann:7", (1000, 7), &[]),
        ("1234", (1234, 0), &[]),
        ("1234:users", (1234, 100), &[]),
        // A number is never a name.
        ("7", (7, 0), &[]),
    ];
    for (user, ids, groups) in cases {
        let found = process_of(&json!({"User": user, "Cmd": ["c"]}), &Overrides::default()).user;
        assert_eq!(((found.uid, found.gid), &found.additional_gids[..]), (ids, groups), "{user:?}");
    }
    for user in ["nobody-knows", "ann:none", "4294967295", "99999999999"] {
        assert!(convert(&json!({"User": user, "Cmd": ["c"]}), &Overrides::default()).is_err(), "{user}");
    }
    let overrides =
        Overrides { user: Some("ann".into()), groups: words(&["users", "77"]), ..Overrides::default() };
    let found = process_of(&json!({"User": "nobody-knows", "Cmd": ["c"]}), &overrides).user;
    assert_eq!(found.additional_gids, [10, 50, 100, 77]);
}

#[test]
fn others_than_root_hold_no_capabilities() {
    let held =
        |user: &str| process_of(&json!({"User": user, "Cmd": ["c"]}), &Overrides::default()).capabilities;
    let root = held("root").expect("capabilities");
    assert_eq!((root.bounding.len(), root.effective.len(), root.inheritable.len()), (14, 14, 0));
    let ann = held("ann").expect("capabilities");
    assert_eq!((ann.bounding.len(), ann.effective.len(), ann.permitted.len()), (14, 0, 0));
}

#[test]
fn variables_replace_those_of_the_same_name() {
    let config = json!({"Cmd": ["c"], "Env": ["A=image", "PATH=/image"]});
    let overrides = Overrides { env: words(&["A=run", "B=x=y"]), terminal: true, ..Overrides::default() };
    assert_eq!(process_of(&config, &overrides).env, words(&["PATH=/image", "TERM=xterm", "A=run", "B=x=y"]));
    assert!(
        process_of(&json!({"Cmd": ["c"]}), &Overrides::default()).env[0].starts_with("PATH=/usr/local/sbin")
    );
    assert!(convert(&json!({"Cmd": ["c"], "Env": ["no value"]}), &Overrides::default()).is_err());
}

#[test]
fn annotations_are_those_of_the_specification() {
    let config = json!({"Cmd": ["c"], "StopSignal": "SIGINT", "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Labels": {"a": "b", "org.opencontainers.image.created": "by label"}});
    let annotations = convert(&config, &Overrides::default()).expect("a config").annotations;
    let of = |key: &str| annotations.get(key).map(String::as_str);
    let image = "org.opencontainers.image";
    assert_eq!(of(&format!("{image}.stopSignal")), Some("SIGINT"));
    assert_eq!(of(&format!("{image}.exposedPorts")), Some("53/udp,80/tcp"));
    assert_eq!(
        (of(&format!("{image}.os")), of(&format!("{image}.architecture"))),
        (Some("linux"), Some("amd64"))
    );
    assert_eq!((of("a"), of(&format!("{image}.created"))), (Some("b"), Some("by label")));
    assert_eq!(of(&format!("{image}.author")), None);
}

#[test]
fn paths_of_the_image_are_checked() {
    assert!(convert(&json!({"Cmd": ["c"], "WorkingDir": "relative"}), &Overrides::default()).is_err());
    assert!(volumes(&image(&json!({"Volumes": {"/a/../../b": {}}}))).is_err());
    assert!(volumes(&image(&json!({"Volumes": {"b": {}}}))).is_err());
    assert_eq!(volumes(&image(&json!({"Volumes": {"/b": {}}}))).expect("fine"), ["/b"]);
}
