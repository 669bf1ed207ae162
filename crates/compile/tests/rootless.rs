//! What a caller without privileges gets: compiled differently, or warned about.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::findings::{check, config, map, mount};
use common::{options, root, user};
use orlop_compile::{CgroupRights, Compiled, Host, compile};
use orlop_program::Step;
use serde_json::{Value, json};

/// The config of a user that maps itself, with changes.
fn rootless(changes: &[(&'static str, Value)]) -> Vec<(&'static str, Value)> {
    let mut all = vec![
        ("/linux/namespaces/-", json!({"type": "user"})),
        ("/linux/uidMappings", json!([map(0, 1000, 1)])),
        ("/linux/gidMappings", json!([map(0, 1000, 1)])),
    ];
    all.extend_from_slice(changes);
    all
}

fn compiled(host: &Host, changes: &[(&'static str, Value)]) -> Compiled {
    compile(&config(changes), host, &options()).unwrap()
}

fn has(compiled: &Compiled, wanted: impl Fn(&Step<'_>) -> bool) -> bool {
    compiled.program.steps().any(|step| wanted(&step.unwrap()))
}

#[test]
fn a_lack_of_rights_over_cgroups_is_forgiven_unless_the_config_insists() {
    let without = Host { cgroup_rights: CgroupRights::None, ..user() };
    let best_effort = |host: &Host, changes: &[(&'static str, Value)]| {
        compiled(host, &rootless(changes)).launch.cgroup.map(|plan| plan.best_effort)
    };
    assert_eq!(best_effort(&user(), &[]), Some(true));
    assert_eq!(best_effort(&without, &[]), None);
    assert_eq!(best_effort(&user(), &[("/linux/cgroupsPath", json!("/a"))]), Some(false));
    assert_eq!(best_effort(&user(), &[("/linux/resources", json!({"pids": {"limit": 3}}))]), Some(false));
    let full = Host { cgroup_rights: CgroupRights::Full, ..user() };
    assert_eq!(best_effort(&full, &[]), Some(false));
}

#[test]
fn a_container_without_a_cgroup_sees_an_empty_directory() {
    let changes = rootless(&[mount("/sys/fs/cgroup", "cgroup", "cgroup", &[])]);
    let without = Host { cgroup_rights: CgroupRights::None, ..user() };
    let masks =
        |step: &Step<'_>| matches!(step, Step::MaskPath { path, .. } if path.bytes() == b"/sys/fs/cgroup");
    let binds = |step: &Step<'_>| matches!(step, Step::Bind { .. });
    let masked = compiled(&without, &changes);
    assert!(has(&masked, masks) && !has(&masked, binds));
    let shown = compiled(&user(), &changes);
    assert!(!has(&shown, masks) && has(&shown, binds));
}

#[test]
fn groups_are_left_in_a_joined_user_namespace_as_far_as_it_lets_us() {
    let joined = [("/linux/namespaces/-", json!({"type": "user", "path": "/proc/1/ns/user"}))];
    let drops = |step: &Step<'_>| matches!(step, Step::DropGroups {});
    let sets = |step: &Step<'_>| matches!(step, Step::Identity { groups: Some(_), .. });
    for host in [root(), user()] {
        let program = compiled(&host, &joined);
        assert!(has(&program, drops) && !has(&program, sets));
    }
    let [namespace] = joined;
    let program = compiled(&root(), &[namespace, ("/process/user/additionalGids", json!([5]))]);
    assert!(has(&program, sets) && !has(&program, drops));
    assert!(has(&compiled(&root(), &[]), sets), "the host's root sets them, even to none");
}

#[test]
fn only_root_gives_a_cgroup_away() {
    let changes = [
        ("/linux/namespaces/-", json!({"type": "user"})),
        ("/linux/namespaces/-", json!({"type": "cgroup"})),
        ("/linux/uidMappings", json!([map(0, 1000, 1), map(1, 100_000, 1000)])),
        ("/linux/gidMappings", json!([map(0, 1000, 1), map(1, 100_000, 1000)])),
        ("/process/user", json!({"uid": 7, "gid": 0})),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &[]),
    ];
    check(&user(), &options(), &changes, &["warn CgroupIgnored /process/user/uid"]);
    check(&root(), &options(), &changes, &[]);
    assert_eq!(compiled(&root(), &changes).launch.cgroup.unwrap().owner, Some(100_006));
}
