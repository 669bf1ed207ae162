//! `checkpoint` and `restore` of a container whose cgroup systemd makes.
use orlop_tests::criu::Counter;
use orlop_tests::systemd::{put_in_scope, show};
use orlop_tests::{cgroup, need_criu, need_systemd};

#[test]
fn a_restored_container_has_a_scope_again() {
    need_systemd!();
    need_criu!();
    let mut unit = String::new();
    let mut counter = Counter::up(|container| {
        unit = put_in_scope(container);
        container.set("/linux/resources/pids/limit", 33);
    });
    counter.save(&[]);
    assert_eq!(show(&unit, "LoadState"), "not-found");
    counter.restore(&[]);
    counter.counts(2);
    let directory = cgroup::unified_directory(counter.container.pid()).expect("version 2 is mounted");
    assert!(directory.ends_with(format!("system.slice/{unit}")), "{}", directory.display());
    assert_eq!(show(&unit, "ActiveState"), "active");
    assert_eq!(show(&unit, "TasksMax"), "33");
    let said = counter.container.exec(&["cat", "/proc/self/cgroup"]).ok();
    assert!(!said.stdout.contains("criu"), "{said}");
    counter.ends_as_it_would_have();
    assert_eq!(show(&unit, "LoadState"), "not-found");
}
