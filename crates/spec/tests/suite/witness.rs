//! `oci-spec`, written by others, reads what we write, and we read what it writes.
//!
//! Where the two differ, and why that is not an error of ours:
//!
//! - `oci-spec` refuses a config for one unknown value (capability, namespace type, rlimit, architecture ...), for
//!   duplicate keys and for `null` where it has no option: see `it_refuses_what_we_keep_for_the_compiler`.
//! - It accepts an array in place of an object: see `it_takes_an_array_for_an_object`.
//! - It misspells two flags of the scheduler, `SCHED_RESET_ON_FORK` and `SCHED_FLAG_D_L_OVERRUN`, and two fields:
//!   `enableCmt`, `enableMbm` (translated in `through_the_witness`).
//! - It has no order in capability sets and no duplicates in them; it reads `cap_chown` and `CAP_CAP_CHOWN` too.
//! - It reads an absent limit of processes as 0, keeps huge page limits and the OOM score in narrower types than Go,
//!   checks the form of CPU lists, and drops fields it does not know, `vm.hwconfig` among them.

use oci_spec::runtime as witness;
use orlop_spec::{Document, Spec};
use proptest::prelude::*;
use serde_json::Value;

use crate::strategies::spec;
use crate::{data, data_in, tree};

fn sort_capabilities(tree: &mut Value) {
    for set in ["bounding", "effective", "inheritable", "permitted", "ambient"] {
        if let Some(Value::Array(names)) = tree.pointer_mut(&format!("/process/capabilities/{set}")) {
            names.sort_by_key(ToString::to_string);
        }
    }
}

/// A spec without what has more than one form: the order of capabilities, and the text of the filter.
fn canonical(document: &Document) -> Value {
    let mut tree = tree(&document.spec);
    sort_capabilities(&mut tree);
    if let Some(filter) = document.seccomp().unwrap() {
        tree["linux"]["seccomp"] = crate::tree(&filter);
    }
    tree
}

fn through_the_witness(text: &str) -> Document {
    let text = text.replace("enableCMT", "enableCmt").replace("enableMBM", "enableMbm");
    let theirs: witness::Spec = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let back = serde_json::to_string(&theirs).unwrap();
    let back = back.replace("enableCmt", "enableCMT").replace("enableMbm", "enableMBM");
    Document::parse(back.as_str()).unwrap_or_else(|errors| panic!("{errors}: {back}"))
}

#[test]
fn the_witness_agrees_about_real_configs() {
    let mut documents = data_in("good");
    documents.extend(data_in("runc"));
    documents.push(("docker".to_owned(), data("config-docker-like.json")));
    documents.push(("kubernetes".to_owned(), data("config-k8s-like.json")));
    for (name, text) in documents {
        let ours = Document::parse(text.as_str()).unwrap();
        assert_eq!(canonical(&ours), canonical(&through_the_witness(&text)), "{name}");
    }
}

#[test]
fn it_refuses_what_we_keep_for_the_compiler() {
    for text in [
        r#"{"ociVersion": "1.0.0", "linux": {"namespaces": [{"type": "new"}]}}"#,
        r#"{"ociVersion": "1.0.0", "process": {"cwd": "/", "user": {}, "capabilities": {"bounding": ["CAP_NEW"]}}}"#,
        r#"{"ociVersion": "1.0.0", "hostname": "a", "hostname": "b"}"#,
        r#"{"ociVersion": "1.0.0", "linux": {"seccomp": {"defaultAction": "SCMP_ACT_NEW"}}}"#,
    ] {
        assert!(serde_json::from_str::<witness::Spec>(text).is_err(), "{text}");
        assert!(Document::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn it_takes_an_array_for_an_object() {
    let text = r#"{"ociVersion": "1.0.0", "root": ["rootfs", true]}"#;
    assert!(serde_json::from_str::<witness::Spec>(text).is_ok());
    assert!(Document::parse(text).is_err());
}

fn written(spec: &Spec) -> String {
    serde_json::to_string(spec).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_we_write_we_read(spec in spec()) {
        let back = Document::parse(written(&spec)).unwrap();
        prop_assert_eq!(tree(&spec), tree(&back.spec));
    }

    #[test]
    fn what_we_write_the_witness_reads_and_gives_back(spec in spec()) {
        let text = written(&spec);
        let ours = Document::parse(text.as_str()).unwrap();
        prop_assert_eq!(canonical(&ours), canonical(&through_the_witness(&text)));
    }
}
