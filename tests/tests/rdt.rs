//! `linux.intelRdt`, on machines without it: what a fake tree shows is in `crates/runtime/src/rdt/tests.rs`.
use orlop_tests::{Container, need, runtime};
use serde_json::json;

#[test]
fn without_a_resctrl_file_system_it_is_refused() {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("procfs is mounted");
    need!(!mounts.contains(" - resctrl "), "this machine has a resctrl file system");
    let mut container = Container::sh("echo ran");
    container.set("/linux/intelRdt", json!({"l3CacheSchema": "L3:0=f"}));
    let out = container.run().fails_with(if runtime::is_orlop() {
        "no resctrl file system is mounted"
    } else {
        ""
    });
    assert!(!out.stdout.contains("ran"), "{out}");
}
