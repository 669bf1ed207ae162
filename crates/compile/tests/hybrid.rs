//! What a container sees of cgroups where version 1 has controllers.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::findings::{check, config};
use common::{options, root, user};
use orlop_cgroups::{Controllers, Layout, Unified, V1Mount};
use orlop_compile::{Compiled, Host, Options, compile};
use orlop_program::source::Source;
use orlop_program::{Slot, Step, Str};
use serde_json::{Value, json};

fn hybrid() -> Layout {
    let mount = |name: &str, own: &str, controllers: &str| V1Mount {
        mount: format!("/sys/fs/cgroup/{name}").into(),
        own: own.into(),
        controllers: Controllers::parse(controllers),
    };
    Layout {
        unified: Some(Unified {
            mount: "/sys/fs/cgroup/unified".into(),
            own: "".into(),
            controllers: Controllers::NONE,
        }),
        v1: vec![
            mount("cpu,cpuacct", "", "cpu cpuacct"),
            mount("memory", "jobs/7", "memory"),
            mount("systemd", "", "name=systemd"),
        ],
    }
}

fn compiled(options: &Options<'_>, changes: &[(&str, Value)]) -> Compiled {
    compile(&config(changes), &Host { cgroups: hybrid(), ..root() }, options).unwrap()
}

fn cgroup_mount(options: &[&str]) -> (&'static str, Value) {
    let mount =
        json!({"destination": "/sys/fs/cgroup/", "type": "cgroup", "source": "cgroup", "options": options});
    ("/mounts/-", mount)
}

fn text(text: Str<'_>) -> String {
    String::from_utf8(text.bytes().to_vec()).unwrap()
}

/// Steps that make the tree, in short.
fn tree(compiled: &Compiled) -> Vec<String> {
    let mut tree = Vec::new();
    let mut dir = None;
    for step in compiled.program.steps().map(Result::unwrap) {
        match step {
            Step::Mount { fstype, options, attributes, target, .. }
                if target.bytes().starts_with(b"/sys/fs/cgroup") =>
            {
                let option = |(key, value): (Str<'_>, Option<Str<'_>>)| match value {
                    Some(value) => format!("{}={}", text(key), text(value)),
                    None => text(key),
                };
                let options: Vec<String> = options.iter().map(option).collect();
                tree.push(format!("{} {} {} {attributes:x}", text(fstype), options.join(","), text(target)));
            }
            Step::Bind { source, target, set, .. } => {
                let source = match source {
                    Source::Path(path) => text(path),
                    other => format!("{other:?}"),
                };
                tree.push(format!("bind {source} {} {set:x}", text(target)));
            }
            Step::OpenDir { path, slot } if text(path) == "/sys/fs/cgroup" => dir = Some(slot),
            Step::Symlink { dir: at, name, target, .. } if Some(at) == dir => {
                tree.push(format!("{} -> {}", text(name), text(target)));
            }
            Step::MountAttributes { target, set, .. } => tree.push(format!("set {set:x} {}", text(target))),
            _ => {}
        }
    }
    assert_ne!(dir, Some(Slot::ROOT));
    tree
}

#[test]
fn in_a_cgroup_namespace_every_hierarchy_is_mounted_anew() {
    let namespace = ("/linux/namespaces/-", json!({"type": "cgroup"}));
    let found = tree(&compiled(&options(), &[namespace, cgroup_mount(&["ro", "relatime"])]));
    assert_eq!(
        found,
        [
            "tmpfs source=tmpfs,mode=755 /sys/fs/cgroup/ e",
            "cgroup source=cgroup,cpu,cpuacct /sys/fs/cgroup/cpu,cpuacct f",
            "cgroup source=cgroup,memory /sys/fs/cgroup/memory f",
            "cgroup source=cgroup,name=systemd /sys/fs/cgroup/systemd f",
            "cpu -> cpu,cpuacct",
            "cpuacct -> cpu,cpuacct",
            "set 1 /sys/fs/cgroup/",
        ]
    );
}

#[test]
fn without_one_the_containers_directories_are_bound() {
    let path = ("/linux/cgroupsPath", json!("pod/c"));
    let found = tree(&compiled(&options(), &[path, cgroup_mount(&["nosuid", "noexec", "nodev"])]));
    assert_eq!(
        found,
        [
            "tmpfs source=tmpfs,mode=755 /sys/fs/cgroup/ e",
            "bind /sys/fs/cgroup/cpu,cpuacct/pod/c /sys/fs/cgroup/cpu,cpuacct e",
            "bind /sys/fs/cgroup/memory/jobs/7/pod/c /sys/fs/cgroup/memory e",
            "bind /sys/fs/cgroup/systemd/pod/c /sys/fs/cgroup/systemd e",
            "cpu -> cpu,cpuacct",
            "cpuacct -> cpu,cpuacct",
        ]
    );
    let callers = tree(&compiled(&Options { no_cgroup: true, ..options() }, &[cgroup_mount(&[])]));
    assert_eq!(callers[2], "bind /sys/fs/cgroup/memory/jobs/7 /sys/fs/cgroup/memory 0");
}

#[test]
fn a_tree_of_version_2_is_still_to_be_had() {
    let namespace = ("/linux/namespaces/-", json!({"type": "cgroup"}));
    let mount = json!({"destination": "/sys/fs/cgroup", "type": "cgroup2", "source": "cgroup2"});
    let changes = [namespace.clone(), ("/mounts/-", mount)];
    assert_eq!(tree(&compiled(&options(), &changes)), ["cgroup2 source=cgroup2 /sys/fs/cgroup 0"]);
    // Only such a one is the container's to write to.
    let users = [
        ("/linux/namespaces/-", json!({"type": "user"})),
        ("/linux/uidMappings", json!([{"containerID": 0, "hostID": 100_000, "size": 1000}])),
        ("/linux/gidMappings", json!([{"containerID": 0, "hostID": 100_000, "size": 1000}])),
    ];
    let owner = |changes: Vec<(&str, Value)>| compiled(&options(), &changes).launch.cgroup.unwrap().owner;
    assert_eq!(owner([&users[..], &changes].concat()), Some(100_000));
    assert_eq!(owner([&users[..], &[namespace, cgroup_mount(&[])]].concat()), None);
}

#[test]
fn what_cannot_be_meant_is_refused_and_what_is_not_there_is_hidden() {
    let host = Host { cgroups: hybrid(), ..root() };
    check(&host, &options(), &[cgroup_mount(&["nsdelegate"])], &["MountOption /mounts/1/options/0"]);
    // A layout with systemd's services only is one of version 2.
    let services = Layout { v1: hybrid().v1.split_off(2), ..hybrid() };
    let host = Host { cgroups: services, ..root() };
    let compiled = compile(&config(&[cgroup_mount(&[])]), &host, &options()).unwrap();
    assert_eq!(tree(&compiled), ["bind /sys/fs/cgroup/unified/c1 /sys/fs/cgroup/ 0"]);
    let host = Host { cgroups: hybrid(), cgroup_rights: orlop_compile::CgroupRights::None, ..user() };
    let users = [
        ("/linux/namespaces/-", json!({"type": "user"})),
        ("/linux/uidMappings", json!([{"containerID": 0, "hostID": 1000, "size": 1}])),
        ("/linux/gidMappings", json!([{"containerID": 0, "hostID": 1000, "size": 1}])),
    ];
    let changes = [&users[..], &[cgroup_mount(&[])]].concat();
    assert!(tree(&compile(&config(&changes), &host, &options()).unwrap()).is_empty());
}
