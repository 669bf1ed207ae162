//! `linux.intelRdt`, on machines without it: what a fake tree shows is in `crates/runtime/src/rdt/tests.rs`.
use orlop_tests::{Container, need, runtime};
use serde_json::json;

fn has_resctrl() -> bool {
    std::fs::read_to_string("/proc/self/mountinfo").expect("procfs is mounted").contains(" - resctrl ")
}

#[test]
fn update_refuses_shares_where_there_is_no_resctrl_and_changes_nothing_else() {
    need!(!has_resctrl(), "this machine has a resctrl file system");
    let container = Container::lasting();
    container.up();
    for (flag, text) in [("--l3-cache-schema", "L3:0=f"), ("--mem-bw-schema", "MB:0=20")] {
        let out = container.command("update", &[flag, text, "--pids-limit", "77"]).output();
        out.fails_with(if runtime::is_orlop() { "no resctrl file system is mounted" } else { "not enabled" });
    }
    let pids = container.exec(&["cat", "/sys/fs/cgroup/pids.max"]).stdout;
    assert!(!pids.contains("77"), "{pids}");
}

#[test]
fn without_a_resctrl_file_system_it_is_refused() {
    need!(!has_resctrl(), "this machine has a resctrl file system");
    let mut container = Container::sh("echo ran");
    container.set("/linux/intelRdt", json!({"l3CacheSchema": "L3:0=f"}));
    let out = container.run().fails_with(if runtime::is_orlop() {
        "no resctrl file system is mounted"
    } else {
        ""
    });
    assert!(!out.stdout.contains("ran"), "{out}");
}
