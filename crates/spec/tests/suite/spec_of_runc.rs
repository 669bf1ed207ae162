//! The config that `spec` writes is the one that runc writes, but for what `default` documents.

use orlop_spec::default::to_text;
use orlop_spec::{Document, default_spec};
use serde_json::{Value, json};

use crate::data;

/// The config of runc with the documented differences put in.
fn expected(file: &str) -> Value {
    let mut tree: Value = serde_json::from_str(&data(file)).unwrap();
    tree["ociVersion"] = json!("1.3.0");
    tree["hostname"] = json!("orlop");
    tree["process"]["capabilities"].as_object_mut().unwrap().remove("ambient");
    tree["linux"]["maskedPaths"].as_array_mut().unwrap().push(json!("/sys/devices/virtual/tpm"));
    let namespaces = tree["linux"]["namespaces"].as_array_mut().unwrap();
    let after_mount = namespaces.iter().position(|namespace| namespace["type"] == "mount").unwrap() + 1;
    namespaces.insert(after_mount, json!({"type": "cgroup"}));
    tree
}

#[test]
fn the_default_config_is_that_of_runc() {
    assert_eq!(crate::tree(&default_spec(false)), expected("runc/spec.json"));
    assert_eq!(crate::tree(&default_spec(true)), expected("runc/spec-rootless.json"));
}

/// Line by line, so that nothing differs in the order of fields or in the layout either.
#[test]
fn it_is_printed_like_runc_does() {
    let ours = to_text(&default_spec(false)).unwrap();
    let theirs = data("runc/spec.json");
    let differing: Vec<&str> =
        ours.lines().filter(|line| !theirs.lines().any(|other| other == *line)).collect();
    let tabs = |depth: usize| "\t".repeat(depth);
    assert_eq!(
        differing,
        [
            tabs(1) + "\"ociVersion\": \"1.3.0\",",
            tabs(1) + "\"hostname\": \"orlop\",",
            tabs(4) + "\"type\": \"cgroup\"",
            tabs(3) + "\"/proc/scsi\",",
            tabs(3) + "\"/sys/devices/virtual/tpm\"",
        ]
    );
    assert!(!ours.ends_with('\n'));
    let back = Document::parse(ours.as_str()).unwrap();
    assert_eq!(crate::tree(&back.spec), crate::tree(&default_spec(false)));
}
