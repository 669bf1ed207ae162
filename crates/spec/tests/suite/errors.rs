//! What is said about a document that is refused: everything, in one go, each with its place.

use orlop_spec::{Document, ParseErrors, ProcessDocument, ResourcesDocument};

use crate::{data, data_in};

fn errors(text: &str) -> ParseErrors {
    Document::parse(text).expect_err(text)
}

fn said(text: &str) -> Vec<String> {
    errors(text).to_string().lines().map(str::to_owned).collect()
}

#[test]
fn every_bad_example_of_the_spec_is_refused_with_its_place() {
    let expected = [
        ("invalid-json.json", Some("config.json:1:2: not valid JSON: key must be a string: {]")),
        // The page size has the right type: that `64kB` is not written `64KB` is the compiler's business.
        ("linux-hugepage.json", None),
        (
            "linux-netdevice.json",
            Some("config.json:9:25: /linux/netDevices/eth0/name: expected a string, found the number 23"),
        ),
        (
            "linux-rdma.json",
            Some(
                "config.json:10:35: /linux/resources/rdma/mlx5_1/hcaHandles: \
                 expected a whole number from 0 to 4294967295, found a string",
            ),
        ),
    ];
    let bad = data_in("bad");
    assert_eq!(bad.len(), expected.len());
    for ((name, text), (expected_name, expected)) in bad.iter().zip(expected) {
        assert_eq!(name, expected_name);
        let said = Document::parse(text.as_str()).err().map(|errors| errors.to_string());
        assert_eq!(said.as_deref(), expected, "{name}");
    }
}

#[test]
fn all_errors_are_reported_at_once_in_the_order_of_the_text() {
    let text = r#"{
  "ociVersion": 1,
  "process": {"args": "sh", "cwd": "/", "user": {"uid": -1, "gid": 4294967296}},
  "mounts": [{"destination": "/proc", "options": ["ro", 7]}, "not a mount"],
  "root": [],
  "linux": {"sysctl": {"a/b": 5}, "resources": {"blockIO": {"weight": 70000}, "pids": {"limit": 1.5}}}
}"#;
    assert_eq!(
        said(text),
        [
            "config.json:2:17: /ociVersion: expected a string, found the number 1",
            "config.json:3:23: /process/args: expected an array, found a string",
            "config.json:3:57: /process/user/uid: expected a whole number from 0 to 4294967295, found the number -1",
            "config.json:3:68: /process/user/gid: \
             expected a whole number from 0 to 4294967295, found the number 4294967296",
            "config.json:4:57: /mounts/0/options/1: expected a string, found the number 7",
            "config.json:4:62: /mounts/1: expected an object, found a string",
            "config.json:5:11: /root: expected an object, found an array",
            "config.json:6:31: /linux/sysctl/a~1b: expected a string, found the number 5",
            "config.json:6:71: /linux/resources/blockIO/weight: \
             expected a whole number from 0 to 65535, found the number 70000",
            "config.json:6:97: /linux/resources/pids/limit: \
             expected a whole number from -9223372036854775808 to 9223372036854775807, found the number 1.5",
        ]
    );
}

#[test]
fn what_could_be_read_is_there_for_further_checks() {
    let errors = errors(
        r#"{"hostname": "h", "process": {"cwd": 5, "args": ["sh"]}, "mounts": [7, {"destination": "/x"}]}"#,
    );
    let spec = &errors.document.spec;
    assert_eq!(spec.hostname, "h");
    assert_eq!(spec.process.as_ref().unwrap().args, ["sh"]);
    assert_eq!(spec.mounts[1].destination, "/x", "elements keep their index");
    assert!(errors.covers("/process/cwd") && errors.covers("/mounts/0/destination"));
    assert!(!errors.covers("/process") && !errors.covers("/mounts/1/destination"));
}

#[test]
fn at_most_fifty_errors_are_listed_and_the_rest_counted() {
    let text = format!(r#"{{"process": {{"args": [{}]}}}}"#, vec!["1"; 70].join(","));
    let errors = errors(&text);
    assert_eq!((errors.errors.len(), errors.omitted), (50, 20));
    assert_eq!(errors.to_string().lines().last(), Some("config.json: and 20 more errors"));
}

#[test]
fn text_that_is_no_json_is_one_error_with_its_line() {
    let expected = [
        (
            "{\"hostname\": \"a\"\n \"root\": {}}",
            "config.json:2:2: not valid JSON: expected `,` or `}`: \"root\": {}}",
        ),
        (
            "{\"hostname\": \"a",
            "config.json:1:15: not valid JSON: EOF while parsing a string: {\"hostname\": \"a",
        ),
        ("{} x", "config.json:1:4: not valid JSON: trailing characters: {} x"),
        ("", "config.json:1:1: not valid JSON: empty"),
        (" \n\n", "config.json:3:1: not valid JSON: empty"),
        ("\u{feff}{}", "config.json:1:1: not valid JSON: a byte order mark is not allowed: \u{feff}{}"),
    ];
    for (text, expected) in expected {
        assert_eq!(said(text), [expected], "{text:?}");
        let errors = errors(text);
        assert!(errors.covers("/process"), "nothing can be said about the rest");
    }
}

#[test]
fn columns_count_characters_and_long_lines_are_cut() {
    let text = format!("{{\"hostname\": \"{}\", oops}}", "é".repeat(500));
    let said = said(&text);
    assert!(said[0].starts_with("config.json:1:518: not valid JSON: key must be a string: …éé"), "{said:?}");
    assert!(said[0].ends_with("\", oops}") && said[0].chars().count() < 200, "{said:?}");
}

#[test]
fn text_that_is_not_utf8_is_one_error() {
    let errors = Document::parse(b"{\n \"hostname\": \"a\xff\"}".to_vec()).unwrap_err();
    assert_eq!(errors.to_string(), "config.json:2:16: not valid UTF-8: \"hostname\": \"a\u{fffd}\"}");
}

#[test]
fn a_key_with_a_newline_does_not_break_the_line() {
    assert_eq!(
        said(r#"{"annotations": {"a\nb": 1}}"#),
        ["config.json:1:26: /annotations/a\\nb: expected a string, found the number 1"]
    );
}

/// The derived types would fill a struct from an array, field by field.
#[test]
fn an_array_is_no_object() {
    for text in [
        r#"{"root": ["rootfs"]}"#,
        r#"{"linux": []}"#,
        r#"{"process": {"user": [0, 0]}}"#,
        r#"{"mounts": [["/proc"]]}"#,
        r#"{"linux": {"rdma": 1, "timeOffsets": {"monotonic": [1]}}}"#,
        r#"{"process": {"capabilities": []}}"#,
    ] {
        let said = said(text);
        assert!(said[0].ends_with("expected an object, found an array"), "{said:?}");
    }
    assert_eq!(said("[]"), ["config.json:1:1: expected an object, found an array"]);
}

#[test]
fn numbers_have_the_width_of_the_go_types() {
    for (good, bad) in [
        (
            r#"{"process": {"user": {"umask": 4294967295}}}"#,
            r#"{"process": {"user": {"umask": 4294967296}}}"#,
        ),
        (r#"{"process": {"oomScoreAdj": -1000}}"#, r#"{"process": {"oomScoreAdj": 1e3}}"#),
        (
            r#"{"process": {"rlimits": [{"type": "RLIMIT_CPU", "soft": 18446744073709551615}]}}"#,
            r#"{"process": {"rlimits": [{"type": "RLIMIT_CPU", "soft": 18446744073709551616}]}}"#,
        ),
        (
            r#"{"linux": {"resources": {"memory": {"limit": 9223372036854775807}}}}"#,
            r#"{"linux": {"resources": {"memory": {"limit": 9223372036854775808}}}}"#,
        ),
        (
            r#"{"process": {"scheduler": {"nice": -2147483648}}}"#,
            r#"{"process": {"scheduler": {"nice": -2147483649}}}"#,
        ),
    ] {
        assert!(Document::parse(good).is_ok(), "{good}");
        assert!(said(bad)[0].contains("expected a whole number from"), "{bad}");
    }
}

#[test]
fn errors_in_the_filter_have_their_place_in_the_config() {
    let text =
        "{\"linux\": {\n \"seccomp\": {\"defaultAction\": \"A\",\n  \"syscalls\": [{\"names\": [1]}]}}}";
    let document = Document::parse(text).unwrap();
    let errors = document.seccomp().unwrap_err();
    assert_eq!(
        errors.to_string(),
        "config.json:3:27: /linux/seccomp/syscalls/0/names/0: expected a string, found the number 1"
    );
    let whole = Document::parse("{\"linux\": {\"seccomp\": 5}}").unwrap().seccomp().unwrap_err();
    assert_eq!(whole.to_string(), "config.json:1:23: /linux/seccomp: expected an object, found the number 5");
}

#[test]
fn of_duplicate_keys_the_last_is_the_one_that_is_wrong() {
    assert_eq!(
        said("{\"hostname\": \"a\",\n\"hostname\": 2}"),
        ["config.json:2:13: /hostname: expected a string, found the number 2"]
    );
}

#[test]
fn parts_say_the_same_under_their_own_name() {
    let process = ProcessDocument::parse(r#"{"args": [1]}"#).unwrap_err().in_file("process.json");
    assert_eq!(process.to_string(), "process.json:1:11: /args/0: expected a string, found the number 1");
    let resources = ResourcesDocument::parse(r#"{"cpu": {"quota": "1"}}"#).unwrap_err();
    assert_eq!(resources.errors[0].pointer, "/cpu/quota");
    assert_eq!(resources.line_of(&resources.errors[0]), Some(r#"{"cpu": {"quota": "1"}}"#));
}

#[test]
fn a_good_document_says_nothing() {
    assert!(Document::parse(data("config-k8s-like.json")).is_ok());
}
