//! User and group ids of a user without privileges: `/etc/subuid`, `/etc/subgid`, `newuidmap`, `newgidmap`, setgroups.
use orlop_tests::rootless::{Rootless, map};
use orlop_tests::unprivileged::{FIRST_SUBORDINATE, NAME, USER};
use orlop_tests::{Container, need, runtime};
use serde_json::json;

#[test]
fn subordinate_ids_are_mapped_by_newuidmap() {
    need!(need::program("newuidmap"), "uidmap is not installed");
    let rootless = Rootless::new("cat /proc/self/uid_map; id -u; cat /proc/self/setgroups; id -G", |c| {
        map(c, &[(0, USER, 1), (1, FIRST_SUBORDINATE, 65535)]);
        c.set("/process/user", json!({"uid": 1000, "gid": 1000, "additionalGids": [7]}));
    });
    let out = rootless.run().ok();
    let words: Vec<&str> = out.stdout.split_whitespace().collect();
    let (user, first) = (USER.to_string(), FIRST_SUBORDINATE.to_string());
    assert_eq!(words, ["0", &user, "1", "1", &first, "65535", "1000", "allow", "1000", "7"]);
}

#[test]
fn ranges_may_be_granted_by_number_and_in_parts() {
    need!(need::program("newuidmap"), "uidmap is not installed");
    let ids = format!("{NAME}:{FIRST_SUBORDINATE}:10\n{USER}:{}:10\n", FIRST_SUBORDINATE + 100);
    let rootless = Rootless::granted(&ids, "cat /proc/self/uid_map | wc -l", |c| {
        map(c, &[(0, USER, 1), (1, FIRST_SUBORDINATE, 10), (11, FIRST_SUBORDINATE + 100, 10)]);
    });
    assert_eq!(rootless.run().ok().stdout, "3\n");
}

#[test]
fn a_user_without_subordinate_ids_maps_itself_and_gives_up_setgroups() {
    let rootless = Rootless::granted("", "cat /proc/self/uid_map /proc/self/setgroups", |_| {});
    let out = rootless.run().ok();
    let words: Vec<&str> = out.stdout.split_whitespace().collect();
    assert_eq!(words, ["0", &USER.to_string(), "1", "deny"]);
}

#[test]
fn groups_cannot_be_added_where_setgroups_is_denied() {
    let rootless = Rootless::granted("", "echo ran", |c| {
        c.set("/process/user/additionalGids", json!([0]));
    });
    // To be in the primary group once more changes nothing.
    assert_eq!(rootless.run().ok().stdout, "ran\n");
    let rootless = Rootless::granted("", "echo ran", |c| {
        c.set("/process/user/additionalGids", json!([5]));
    });
    rootless.run().output().fails_with("/process/user/additionalGids/0: group 5 cannot be added");
}

#[test]
fn ids_that_are_not_granted_are_named_with_the_file_and_what_it_grants() {
    need!(need::program("newuidmap") && runtime::is_orlop(), "uidmap is not installed, or not orlop");
    let granted = format!("{FIRST_SUBORDINATE}-{}", FIRST_SUBORDINATE + 65535);
    let range = (1, FIRST_SUBORDINATE, 65537);
    let too_many = format!("{FIRST_SUBORDINATE}-{}", FIRST_SUBORDINATE + 65536);
    for (mapping, missing) in [((1, 0, 1), "0-0".to_owned()), (range, too_many)] {
        let rootless = Rootless::new("echo ran", |c| map(c, &[(0, USER, 1), mapping]));
        let out = rootless.run().output();
        assert!(out.code != 0 && !out.stdout.contains("ran"), "{out}");
        let expected = format!(
            "/etc/subgid does not grant user {NAME} ({USER}) the ids {missing} (/linux/gidMappings/1"
        );
        assert!(
            out.stderr.contains(&expected) && out.stderr.contains(&format!("it grants {granted}")),
            "{out}"
        );
        rootless.container.assert_no_leaks();
    }
}

#[test]
fn a_user_without_any_grant_is_told_so() {
    need!(need::program("newuidmap") && runtime::is_orlop(), "uidmap is not installed, or not orlop");
    let others = "root:100000:65536\nsomebody:200000:65536\n# orlop-test:1:2\n";
    let rootless = Rootless::granted(others, "echo ran", |c| {
        map(c, &[(0, USER, 1)]);
        c.push("/linux/uidMappings", json!({"containerID": 1, "hostID": 100_000, "size": 65536}));
    });
    let expected = format!("/etc/subuid does not grant user {NAME} ({USER}) the ids 100000-165535");
    let out = rootless.run().output().fails_with(&expected);
    assert!(out.stderr.contains("it grants nothing") && out.stderr.contains("/linux/uidMappings/1"), "{out}");
    rootless.container.assert_no_leaks();
}

#[test]
fn a_missing_helper_is_named_with_its_package() {
    need!(runtime::is_orlop(), "the words are orlop's");
    let rootless = Rootless::new("echo ran", |c| map(c, &[(0, USER, 1), (1, FIRST_SUBORDINATE, 10)]));
    let rootless = rootless.inside(&["env", "PATH=/nonexistent"]);
    rootless.run().output().fails_with("run newgidmap (Debian: package uidmap)");
    rootless.container.assert_no_leaks();
}

#[test]
fn a_helper_without_its_privileges_is_not_blamed_on_the_file() {
    need!(need::program("newuidmap") && runtime::is_orlop(), "uidmap is not installed, or not orlop");
    let rootless = Rootless::new("echo ran", |c| map(c, &[(0, USER, 1), (1, FIRST_SUBORDINATE, 10)]));
    let rootless = rootless.inside(&["setpriv", "--no-new-privs"]);
    let out = rootless.run().output().fails_with("map ids with newgidmap (/linux/gidMappings");
    assert!(!out.stderr.contains("does not grant"), "{out}");
    rootless.container.assert_no_leaks();
}

#[test]
fn without_a_user_namespace_only_root_makes_containers() {
    let rootless = Rootless::new("echo ran", |c| {
        let namespaces = json!([{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}]);
        c.set("/linux/namespaces", namespaces)
            .set("/linux/uidMappings", json!([]))
            .set("/linux/gidMappings", json!([]));
    });
    let out = rootless.run().output();
    assert!(out.code != 0 && !out.stdout.contains("ran"), "{out}");
    if runtime::is_orlop() {
        assert!(out.stderr.contains("/linux/namespaces: a user namespace is missing"), "{out}");
    }
    rootless.container.assert_no_leaks();
}

/// What a container prints that joins the user namespace of another one.
fn joined(target: &Rootless, script: &str, change: impl FnOnce(&mut Container)) -> Rootless {
    let path = format!("/proc/{}/ns/user", target.container.pid());
    Rootless::new(script, |c| {
        c.set("/linux/namespaces/4/path", path)
            .set("/linux/uidMappings", json!([]))
            .set("/linux/gidMappings", json!([]));
        change(c);
    })
}

#[test]
fn a_user_namespace_that_denies_setgroups_can_be_joined() {
    let target = Rootless::new("sleep 1000", |_| {});
    target.up();
    let script = "cat /proc/self/uid_map /proc/self/setgroups";
    let out = joined(&target, script, |_| {}).run().ok();
    let words: Vec<&str> = out.stdout.split_whitespace().collect();
    assert_eq!(words, ["0", &USER.to_string(), "1", "deny"]);

    let with_group = joined(&target, "echo ran", |c| {
        c.set("/process/user/additionalGids", json!([0]));
    });
    let out = with_group.run().output();
    assert!(out.code != 0 && !out.stdout.contains("ran"), "{out}");
}

#[test]
fn the_hosts_root_adds_a_process_to_a_container_that_denies_setgroups_without_its_own_groups() {
    let target = Rootless::new("sleep 1000", |_| {});
    target.up();
    let exec = target.container.exec_command(&[], &["sh", "-c", "id -u; grep Groups: /proc/self/status"]);
    let out = exec.within(&["setpriv", "--groups=4,5"]).ok();
    assert_eq!(out.stdout.split_whitespace().collect::<Vec<_>>(), ["0", "Groups:"], "{out}");
}
