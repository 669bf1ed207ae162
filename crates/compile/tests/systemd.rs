//! Cgroups that systemd makes: what is asked of it, and what is refused before anybody is asked.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::findings::{check, config};
use common::{options, root, unified, user};
use orlop_cgroups::{Controllers, Layout, V1Mount};
use orlop_compile::{FillWith, Host, Options, ScopePlan, compile};
use orlop_systemd::{Property, Value as Typed, Which};
use serde_json::{Value, json};

fn by_systemd() -> Options<'static> {
    Options { systemd_cgroup: true, ..options() }
}

fn scope(host: &Host, changes: &[(&str, Value)]) -> (ScopePlan, String) {
    let compiled = compile(&config(changes), host, &by_systemd()).unwrap();
    let cgroup = compiled.launch.cgroup.unwrap();
    assert!(!cgroup.best_effort, "systemd was asked for");
    let inner = cgroup.path.inner().to_str().unwrap().to_owned();
    (cgroup.scope.unwrap(), inner)
}

/// A change of one annotation. Its key has no slash.
fn annotation(key: &str, value: &str) -> (String, Value) {
    (format!("/annotations/{key}"), json!(value))
}

#[test]
fn a_scope_by_default_is_named_after_the_container() {
    let (plan, inner) = scope(&root(), &[]);
    assert_eq!((plan.name.unit.as_str(), plan.name.slice.as_str()), ("orlop-c1.scope", "system.slice"));
    assert_eq!((plan.which, inner.as_str()), (Which::System, "system.slice/orlop-c1.scope"));
    let map = json!([{"containerID": 0, "hostID": 1000, "size": 1}]);
    let own_ids = [
        ("/linux/namespaces/-", json!({"type": "user"})),
        ("/linux/uidMappings", map.clone()),
        ("/linux/gidMappings", map),
    ];
    let (plan, inner) = scope(&user(), &own_ids);
    assert_eq!((plan.which, plan.name.slice.as_str()), (Which::User, "user.slice"));
    assert_eq!(inner, "user.slice/user-1000.slice/user@1000.service/user.slice/orlop-c1.scope");
}

#[test]
fn annotations_become_properties_a_place_below_and_a_fallback() {
    let all = [
        annotation("org.systemd.property.TimeoutStopSec", "uint64 5"),
        annotation("org.systemd.property.CollectMode", "'inactive'"),
        annotation("run.oci.systemd.subgroup", "inner/most"),
        annotation("run.orlop.systemd.fallback", "/delegated"),
        annotation("some.other", "thing"),
    ];
    let mut changes: Vec<(&str, Value)> = all.iter().map(|(p, v)| (p.as_str(), v.clone())).collect();
    changes.push(("/linux/cgroupsPath", json!("a-b.slice:p:n")));
    let (plan, inner) = scope(&root(), &changes);
    assert_eq!(
        plan.properties,
        [Property::new("CollectMode", "inactive"), Property::new("TimeoutStopUSec", Typed::U64(5_000_000))]
    );
    assert_eq!(inner, "a.slice/a-b.slice/p-n.scope/inner/most");
    assert_eq!(plan.fallback.unwrap().inner().to_str(), Some("delegated/p-n.scope"));
}

#[test]
fn what_cannot_be_asked_for_is_refused_with_its_place() {
    for (path, code) in [
        ("/a/b", "SystemdPath /linux/cgroupsPath"),
        ("a:b", "SystemdPath /linux/cgroupsPath"),
        ("a:b:c", "SystemdPath /linux/cgroupsPath"),
        ("a.slice:b:c.slice", "SystemdPath /linux/cgroupsPath"),
        ("a.slice:b:c/d", "SystemdPath /linux/cgroupsPath"),
    ] {
        check(&root(), &by_systemd(), &[("/linux/cgroupsPath", json!(path))], &[code]);
    }
    for (key, value, code) in [
        ("org.systemd.property.TimeoutStopSec", "'soon'", "SystemdProperty"),
        ("org.systemd.property.Delegate", "yes", "SystemdProperty"),
        ("org.systemd.property.A-B", "true", "SystemdProperty"),
        ("org.systemd.property.Wants", "['a'", "SystemdProperty"),
        ("run.oci.systemd.subgroup", "../up", "SystemdSubgroup"),
        ("run.oci.systemd.subgroup", "/", "SystemdSubgroup"),
        ("run.orlop.systemd.fallback", "relative", "SystemdFallback"),
        ("run.orlop.systemd.fallback", "", "SystemdFallback"),
        ("run.orlop.systemd.fallback", "/../x", "SystemdFallback"),
    ] {
        let (pointer, value) = annotation(key, value);
        let expected = format!("{code} {pointer}");
        check(&root(), &by_systemd(), &[(&pointer, value)], &[&expected]);
    }
    check(&root(), &Options { id: "a/b", ..by_systemd() }, &[], &["ContainerId"]);
}

#[test]
fn a_host_whose_controllers_are_of_version_1_is_refused() {
    let memory = V1Mount {
        mount: "/sys/fs/cgroup/memory".into(),
        own: "".into(),
        controllers: Controllers::parse("memory"),
    };
    let hybrid = Host { cgroups: Layout { v1: vec![memory], ..unified() }, ..root() };
    check(&hybrid, &by_systemd(), &[], &["SystemdHost"]);
    let none = Host { cgroups: Layout::default(), ..root() };
    check(&none, &by_systemd(), &[], &["Cgroup /linux/resources/devices"]);
}

#[test]
fn without_systemd_what_is_meant_for_it_has_no_effect() {
    check(
        &root(),
        &options(),
        &[("/linux/cgroupsPath", json!("a.slice:b:c"))],
        &["SystemdPath /linux/cgroupsPath"],
    );
    for key in ["org.systemd.property.TasksMax", "run.orlop.systemd.fallback", "run.oci.systemd.subgroup"] {
        let (pointer, value) = annotation(key, "x");
        let expected = format!("warn CgroupIgnored {pointer}");
        check(&root(), &options(), &[(&pointer, value)], &[&expected]);
    }
    let (pointer, value) = annotation("run.oci.systemd.subgroup", "");
    check(&root(), &options(), &[(&pointer, value)], &[]);
}

#[test]
fn a_cgroup_that_is_not_there_yet_is_bound_by_its_path_only() {
    let cgroup = json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"});
    let map = json!([{"containerID": 0, "hostID": 1000, "size": 1}]);
    let mut changes = vec![("/mounts/-", cgroup)];
    check(&root(), &by_systemd(), &changes, &[]);
    let (pointer, value) = annotation("run.orlop.systemd.fallback", "/delegated");
    let with_fallback = [changes[0].clone(), (&pointer, value)];
    check(&root(), &by_systemd(), &with_fallback, &["MountCgroup /mounts/1/type"]);
    changes.push(("/linux/namespaces/-", json!({"type": "user"})));
    changes.push(("/linux/uidMappings", map.clone()));
    changes.push(("/linux/gidMappings", map));
    // Not by the host side either, as other sources are where there is a user namespace.
    let compiled = compile(&config(&changes), &root(), &by_systemd()).unwrap();
    let taken = compiled.launch.fills.iter().any(|fill| {
        matches!(&fill.what, FillWith::DetachedTree { path, .. } if path.starts_with("/sys/fs/cgroup"))
    });
    assert!(!taken);
}
