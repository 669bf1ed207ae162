//! What is accepted, and what it then says.

use orlop_spec::{
    DeviceKind, DeviceRuleKind, Document, Features, NamespaceKind, Parsed, ProcessDocument,
    ResourcesDocument, RlimitKind, State, Status, seccomp,
};
use serde_json::{Value, json};

use crate::{data, data_in, tree};

fn parse(text: &str) -> Document {
    Document::parse(text).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn every_good_example_of_the_spec_parses_and_survives_a_round_trip() {
    let mut documents = data_in("good");
    documents.push(("docker".to_owned(), data("config-docker-like.json")));
    documents.push(("kubernetes".to_owned(), data("config-k8s-like.json")));
    for (name, text) in documents {
        let once = parse(&text);
        let twice = parse(&serde_json::to_string(&once.spec).unwrap());
        assert_eq!(tree(&once.spec), tree(&twice.spec), "{name}");
        once.seccomp().unwrap_or_else(|errors| panic!("{name}: {errors}"));
    }
}

/// Whatever the example of the spec says, we can say too: no field is forgotten. What may be missing is what equals its
/// absence, and one field that the spec itself has moved to `process` and left behind in its example.
#[test]
fn no_field_of_the_full_example_is_lost() {
    let text = data("good/spec-example.json");
    let lost = lost(&serde_json::from_str(&text).unwrap(), &tree(&parse(&text).spec), "");
    assert_eq!(lost, ["/linux/resources/oomScoreAdj"]);
}

/// The places of all values in `before` that `after` has not.
fn lost(before: &Value, after: &Value, at: &str) -> Vec<String> {
    let empty = [json!(""), json!([]), json!({}), json!(false), json!(0)];
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => before
            .iter()
            .flat_map(|(key, value)| match after.get(key) {
                Some(kept) => lost(value, kept, &format!("{at}/{key}")),
                None if empty.contains(value) => vec![],
                None => vec![format!("{at}/{key}")],
            })
            .collect(),
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            let pairs = before.iter().zip(after).enumerate();
            pairs.flat_map(|(index, (before, after))| lost(before, after, &format!("{at}/{index}"))).collect()
        }
        _ if before == after => vec![],
        _ => vec![at.to_owned()],
    }
}

#[test]
fn state_and_features_documents_parse() {
    let state = Parsed::<State>::parse(data("state/spec-example.json")).unwrap().spec;
    assert_eq!((state.id.as_str(), state.status, state.pid), ("oci-container1", Status::Running, 4422));
    for (name, text) in data_in("features") {
        let features =
            Parsed::<Features>::parse(text.as_str()).unwrap_or_else(|errors| panic!("{name}: {errors}"));
        let text: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(lost(&text, &tree(&features.spec), ""), [""; 0], "{name}");
    }
}

#[test]
fn parts_parse_alone() {
    let process = ProcessDocument::parse(r#"{"args": ["sh"], "cwd": "/", "user": {"uid": 7}}"#).unwrap().spec;
    assert_eq!((process.args[0].as_str(), process.user.uid), ("sh", 7));
    let resources = ResourcesDocument::parse(r#"{"memory": {"limit": -1}, "pids": {}}"#).unwrap().spec;
    assert_eq!(resources.memory.unwrap().limit, Some(-1));
    assert_eq!(resources.pids.unwrap().limit, None);
}

#[test]
fn a_seccomp_profile_parses_in_a_config_and_alone() {
    let document = parse(&data("config-docker-like.json"));
    let profile = document.seccomp().unwrap().unwrap();
    assert_eq!(profile.default_action, "SCMP_ACT_ERRNO");
    assert!(profile.syscalls.iter().any(|rule| rule.args.iter().any(|arg| arg.op == "SCMP_CMP_EQ")));
    let raw = document.spec.linux.unwrap().seccomp.unwrap();
    assert_eq!(seccomp::parse(&raw).unwrap(), profile);
    let moby: Parsed<seccomp::Seccomp> = Parsed::parse(data("docker-default-seccomp.json")).unwrap();
    assert!(moby.spec.syscalls.len() > 10);
    assert_eq!(parse("{}").seccomp().unwrap(), None);
}

#[test]
fn seccomp_flags_tell_none_from_empty() {
    let flags = |text: &str| Parsed::<seccomp::Seccomp>::parse(text).unwrap().spec.flags;
    assert_eq!(flags("{}"), None);
    assert_eq!(flags(r#"{"flags": null}"#), None);
    assert_eq!(flags(r#"{"flags": []}"#), Some(vec![]));
}

#[test]
fn absent_differs_from_zero_where_the_spec_cares() {
    let cpu =
        |text: &str| ResourcesDocument::parse(format!(r#"{{"cpu": {text}}}"#)).unwrap().spec.cpu.unwrap();
    assert_eq!((cpu("{}").quota, cpu(r#"{"quota": 0}"#).quota), (None, Some(0)));
    assert_eq!((cpu("{}").idle, cpu(r#"{"idle": null}"#).idle), (None, None));
}

#[test]
fn unknown_fields_are_ignored() {
    let text = r#"{"ociVersion": "9.0.0", "new": {"deep": [1, {"x": null}]}, "root": {"path": "r", "verity": true}}"#;
    assert_eq!(parse(text).spec.root.unwrap().path, "r");
}

#[test]
fn unknown_values_are_kept_for_the_compiler_to_judge() {
    let spec = parse(
        r#"{"process": {"rlimits": [{"type": "RLIMIT_NEW", "hard": 1, "soft": 1}],
                        "capabilities": {"bounding": ["CAP_NEW"]},
                        "scheduler": {"policy": "SCHED_NEW"}, "ioPriority": {"class": "NEW"}},
            "linux": {"namespaces": [{"type": "new"}, {"type": "pid"}], "devices": [{"type": "x", "path": "/dev/x"}],
                      "memoryPolicy": {"mode": "MPOL_NEW"}, "personality": {"domain": "NEW"},
                      "resources": {"devices": [{"allow": true, "type": "z"}, {"allow": true, "type": ""}]}}}"#,
    )
    .spec;
    let process = spec.process.unwrap();
    let linux = spec.linux.unwrap();
    assert_eq!(process.rlimits[0].kind, RlimitKind::Unknown("RLIMIT_NEW".to_owned()));
    assert_eq!(process.capabilities.unwrap().bounding, ["CAP_NEW"]);
    assert_eq!(linux.namespaces[0].kind, NamespaceKind::Unknown("new".to_owned()));
    assert_eq!(linux.namespaces[1].kind, NamespaceKind::Pid);
    assert_eq!(linux.devices[0].kind, DeviceKind::Unknown("x".to_owned()));
    let rules = linux.resources.unwrap().devices;
    assert_eq!(rules[0].kind, DeviceRuleKind::Unknown("z".to_owned()));
    assert_eq!(rules[1].kind, DeviceRuleKind::All);
}

#[test]
fn every_known_name_reads_and_writes_as_itself() {
    for kind in NamespaceKind::KNOWN {
        assert_eq!(&NamespaceKind::from(kind.as_str()), kind);
        assert_eq!(tree(kind), json!(kind.as_str()));
        assert_eq!(kind.to_string(), kind.as_str());
    }
    assert_eq!(RlimitKind::KNOWN.len(), 16);
}

/// The spec's example with every value in turn replaced by `null`: each is as good as absent.
#[test]
fn null_is_accepted_everywhere() {
    let full: Value = serde_json::from_str(&data("good/spec-example.json")).unwrap();
    let mut places = Vec::new();
    crate::places::every_pointer(&full, "", &mut places);
    assert!(places.len() > 300, "{}", places.len());
    for place in places.iter().filter(|place| !place.is_empty()) {
        let mut with_null = full.clone();
        *with_null.pointer_mut(place).unwrap() = Value::Null;
        let document = parse(&with_null.to_string());
        document.seccomp().unwrap_or_else(|errors| panic!("{place}: {errors}"));
    }
}

/// A `null` in a map is a member with the zero value, as in Go: a device that is named must not be dropped.
#[test]
fn null_in_a_map_or_array_is_the_zero_value() {
    let linux = parse(
        r#"{"linux": {"netDevices": {"eth0": null}, "sysctl": {"a": null}, "maskedPaths": ["x", null]}}"#,
    );
    let linux = linux.spec.linux.unwrap();
    assert_eq!(linux.net_devices["eth0"].name, "");
    assert_eq!(linux.sysctl["a"], "");
    assert_eq!(linux.masked_paths, ["x", ""]);
}

#[test]
fn null_alone_is_an_empty_document() {
    assert_eq!(parse("null").spec.oci_version, "");
}

#[test]
fn of_duplicate_keys_the_last_wins() {
    let spec = parse(r#"{"hostname": "a", "root": {"path": "x", "path": "y"}, "annotations": {"k": "1", "k": "2"}, "hostname": "b"}"#).spec;
    assert_eq!((spec.hostname.as_str(), spec.root.unwrap().path.as_str()), ("b", "y"));
    assert_eq!(spec.annotations["k"], "2");
    let filter = parse(r#"{"linux": {"seccomp": {"defaultAction": "A", "defaultAction": "B"}}}"#);
    assert_eq!(filter.seccomp().unwrap().unwrap().default_action, "B");
    let twice = parse(r#"{"linux": {"seccomp": {"defaultAction": "A"}}, "hostname": "a", "hostname": "b"}"#);
    assert_eq!(twice.seccomp().unwrap().unwrap().default_action, "A");
}

#[test]
fn names_may_hold_anything() {
    let text = r#"{"annotations": {"new\nline": "tab\t", "": "empty", "q\"uote": "é𝄞"}, "process": {"args": ["a\u0000b"]}}"#;
    let spec = parse(text).spec;
    assert_eq!(spec.annotations["new\nline"], "tab\t");
    assert_eq!(spec.process.unwrap().args, ["a\0b"]);
}

#[test]
fn ten_megabytes_are_read_in_reasonable_time() {
    let env: Vec<String> = (0..200_000).map(|n| format!("VARIABLE_{n}={}", "x".repeat(32))).collect();
    let good = json!({"ociVersion": "1.3.0", "process": {"env": env, "cwd": "/"}}).to_string();
    assert!(good.len() > 9_000_000);
    let bad = good.replacen("\"cwd\":\"/\"", "\"cwd\":5,\"args\":[1,2,3]", 1);
    let started = std::time::Instant::now();
    assert_eq!(parse(&good).spec.process.unwrap().env.len(), 200_000);
    assert_eq!(Document::parse(bad).unwrap_err().errors.len(), 4);
    // Three seconds for an unoptimised build on a busy machine; it takes a twentieth of that when optimised.
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}
