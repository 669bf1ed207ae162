//! `--strict`: what `orlop audit` finds is an error.
use orlop_tests::{Container, need, runtime};
use serde_json::json;

/// A config about which nothing critical is found, or something is.
fn container(dangerous: bool) -> Container {
    let mut container = Container::sh("echo ran");
    if dangerous {
        let mount = json!({ "destination": "/host", "type": "bind", "source": "/", "options": ["rbind"] });
        container.push("/mounts", mount);
    }
    container
}

#[test]
fn what_is_dangerous_is_refused_and_leaves_nothing() {
    need!(runtime::is_orlop(), "the option is ours");
    let dangerous = container(true);
    for command in ["run", "create"] {
        let out = dangerous.with_bundle(command, &["--strict=critical"]).output();
        let out = out.fails_with("refused by --strict: [critical] ");
        assert_eq!((out.code, out.stdout.as_str()), (1, ""), "{out}");
        assert!(out.stderr.contains("host-root-mounted") && out.stderr.contains("(/mounts/"), "{out}");
        dangerous.assert_no_leaks();
    }
    // Without the option it runs, as nothing is asked.
    assert_eq!(dangerous.run().ok().stdout, "ran\n");
    let out = container(false).with_bundle("run", &["--strict=critical"]).ok();
    assert_eq!(out.stdout, "ran\n");
}

#[test]
fn what_is_accepted_is_not_refused() {
    need!(runtime::is_orlop(), "the option is ours");
    let container = container(true);
    let said = container.with_bundle("run", &["--strict=critical"]).output().fails_with("refused").stderr;
    // "[critical] RULE: …" of each.
    let rules: Vec<&str> =
        said.split("[critical] ").skip(1).filter_map(|rest| rest.split(':').next()).collect();
    assert!(!rules.is_empty(), "{said}");
    let flags = ["--strict=critical".to_owned(), "--accept".to_owned(), rules.join(",")];
    assert_eq!(container.with_bundle("run", &flags).ok().stdout, "ran\n");
    // A name that is wrong accepts nothing, whatever else is accepted.
    for unknown in ["x", "host-root-mounted-x", "capability-x", "capability-"] {
        let flags = ["--strict=critical".to_owned(), format!("--accept={},{unknown}", rules.join(","))];
        let out = container.with_bundle("run", &flags).output().fails_with("there is no such rule");
        assert!(out.stderr.contains(unknown) && out.stdout.is_empty(), "{out}");
        container.assert_no_leaks();
    }
    // More strictly there is more; and one has to say what one accepts it for.
    container.with_bundle("run", &["--strict=info"]).output().fails_with("refused by --strict: ");
    container.with_bundle("run", &["--accept", "x"]).output().fails_with("--strict");
    container.with_bundle("run", &["--strict=worst"]).output().fails_with("worst");
}

#[test]
fn a_rule_accepts_what_it_says_of_single_capabilities() {
    need!(runtime::is_orlop(), "the option is ours");
    let mut container = Container::sh("echo ran");
    for set in ["bounding", "permitted", "effective"] {
        container.set(&format!("/process/capabilities/{set}"), json!(["CAP_SYS_ADMIN", "CAP_SYS_MODULE"]));
    }
    let strict = |accepted: &str| container.with_bundle("run", &["--strict=critical", "--accept", accepted]);
    let said = strict("capability-sys-admin").output().fails_with("capability-sys-module").stderr;
    assert!(!said.contains("capability-sys-admin"), "{said}");
    assert_eq!(strict("capability-sys-admin,capability-sys-module").ok().stdout, "ran\n");
    assert_eq!(strict("capability").ok().stdout, "ran\n");
}
