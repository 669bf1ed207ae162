//! Configs that differ from a good one, and what is found in them.

use super::{options, root};
use orlop_compile::{Compiled, Diagnostic, Diagnostics, Host, Options, compile};
use orlop_spec::{Document, Spec};
use serde_json::{Value, json};

/// A small config without fault.
fn good() -> Value {
    json!({
        "ociVersion": "1.3.0",
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["/bin/true"], "cwd": "/"},
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {"namespaces": [
            {"type": "mount"}, {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}
        ]}
    })
}

/// Sets what a pointer names; `-` appends to an array.
fn set(config: &mut Value, pointer: &str, value: Value) {
    let mut at = config;
    for token in pointer.split('/').skip(1) {
        at = match at {
            Value::Array(items) => {
                let index = token.parse().unwrap_or(items.len());
                if index == items.len() {
                    items.push(Value::Null);
                }
                &mut items[index]
            }
            Value::Object(members) => members.entry(token).or_insert(Value::Null),
            missing => {
                *missing =
                    if token == "-" || token == "0" { json!([Value::Null]) } else { json!({ token: null }) };
                if token == "-" || token == "0" { &mut missing[0] } else { &mut missing[token] }
            }
        };
    }
    *at = value;
}

pub(crate) fn config(changes: &[(&str, Value)]) -> Spec {
    let mut config = good();
    for (pointer, value) in changes {
        set(&mut config, pointer, value.clone());
    }
    Document::parse(config.to_string()).unwrap().spec
}

fn shown(findings: &[Diagnostic]) -> Vec<String> {
    let place = |d: &Diagnostic| d.pointer.as_ref().map(|p| format!(" {p}")).unwrap_or_default();
    findings.iter().map(|d| format!("{:?} {:?}{}", d.severity, d.code, place(d))).collect()
}

pub(crate) fn findings(result: &Result<Compiled, Diagnostics>) -> Vec<String> {
    match result {
        Ok(compiled) => shown(&compiled.warnings),
        Err(diagnostics) => shown(diagnostics.all()),
    }
}

/// Compares findings with what is expected: lines without `Error `, or with `warn ` and `note ` instead of `Warning ` and `Note `.
pub(crate) fn check(host: &Host, options: &Options<'_>, changes: &[(&str, Value)], expected: &[&str]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|line| match line.split_once(' ') {
            Some(("warn", rest)) => format!("Warning {rest}"),
            Some(("note", rest)) => format!("Note {rest}"),
            _ => format!("Error {line}"),
        })
        .collect();
    let result = compile(&config(changes), host, options);
    assert_eq!(findings(&result), expected, "{changes:#?}\n{result:#?}");
}

/// What is changed in the good config, and what is then found.
pub(crate) type Case<'a> = (&'a [(&'a str, Value)], &'a [&'a str]);

pub(crate) fn all_are_found(cases: &[Case<'_>]) {
    for (changes, expected) in cases {
        check(&root(), &options(), changes, expected);
    }
}

pub(crate) fn map(container: u32, host: u32, size: u32) -> Value {
    json!({"containerID": container, "hostID": host, "size": size})
}

pub(crate) fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> (&'static str, Value) {
    ("/mounts/-", json!({"destination": destination, "type": kind, "source": source, "options": options}))
}
