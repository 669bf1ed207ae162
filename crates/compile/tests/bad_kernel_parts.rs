//! What not every kernel has: agents of filters, labels, network devices, resource directors. What is refused, and where.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::findings::{all_are_found, check, config};
use common::{create, options, root};
use orlop_compile::{Host, SeccompAgent};
use orlop_program::Step;
use serde_json::{Value, json};

fn asking(changes: &[(&str, Value)]) -> (&'static str, Value) {
    let mut profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/agent.sock",
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]});
    for (key, value) in changes {
        profile[key] = value.clone();
    }
    ("/linux/seccomp", profile)
}

#[test]
fn agents_of_filters() {
    let (path, flags) = ("/linux/seccomp/listenerPath", "/linux/seccomp/flags/0");
    all_are_found(&[
        (&[asking(&[])], &[]),
        (&[asking(&[("listenerMetadata", json!("x"))])], &[]),
        (&[asking(&[("listenerPath", json!(""))])], &[&format!("Seccomp {path}")]),
        (&[asking(&[("listenerPath", json!("agent.sock"))])], &[&format!("SeccompAgent {path}")]),
        (&[asking(&[("listenerPath", json!("/a\0b"))])], &[&format!("NulByte {path}")]),
        (
            &[asking(&[("defaultAction", json!("SCMP_ACT_NOTIFY"))])],
            &["Seccomp /linux/seccomp/defaultAction"],
        ),
        (
            &[asking(&[("syscalls", json!([{"names": ["write"], "action": "SCMP_ACT_NOTIFY"}]))])],
            &["Seccomp /linux/seccomp/syscalls/0/names/0"],
        ),
        (&[asking(&[("syscalls", json!([]))])], &[&format!("warn SeccompIgnored {path}")]),
        (
            &[asking(&[
                ("syscalls", json!([])),
                ("listenerPath", json!("")),
                ("listenerMetadata", json!("x")),
            ])],
            &["Seccomp /linux/seccomp/listenerMetadata"],
        ),
    ]);
    let killable = [asking(&[("flags", json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]))])];
    check(&root(), &options(), &killable, &[]);
    let old = Host { kernel: (5, 18), ..root() };
    check(&old, &options(), &killable, &[&format!("SeccompFlag {flags}")]);
}

/// The kernel has one result for both a listener and a thread that cannot follow: TSYNC_ESRCH makes the latter an error.
#[test]
fn an_agent_comes_with_flags() {
    let spec = config(&[asking(&[("flags", json!(["SECCOMP_FILTER_FLAG_TSYNC"]))])]);
    let compiled = create(&spec, &root()).unwrap();
    assert_eq!(compiled.launch.seccomp_flags, Some(1 | 1 << 3 | 1 << 4));
    let agent = SeccompAgent { path: "/run/agent.sock".into(), metadata: String::new() };
    assert_eq!(compiled.launch.seccomp_agent, Some(agent));
    let flags = compiled.program.steps().find_map(|step| match step.unwrap() {
        Step::Seccomp { flags, .. } => Some(flags),
        _ => None,
    });
    assert_eq!(flags, Some(25));
}
