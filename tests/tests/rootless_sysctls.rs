//! Machines that forbid user namespaces: the error names the setting. In a suite of its own, as one test changes the
//! machine's own setting (in the test VM).
use std::fs;
use std::sync::Mutex;

use orlop_tests::rootless::{Rootless, map};
use orlop_tests::{need, need::in_vm, runtime};

/// One test at a time: the machine's setting is everybody's.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn a_limit_on_user_namespaces_is_named() {
    need!(runtime::is_orlop(), "the words are orlop's");
    let _alone = ALONE.lock();
    let rootless = Rootless::new("echo ran", |c| map(c, &[(0, 0, 1)]));
    // The limit belongs to the user namespace in which it is set.
    let script = "echo 0 >/proc/sys/user/max_user_namespaces; exec \"$@\"";
    let rootless = rootless.inside(&["unshare", "--user", "--map-root-user", "sh", "-ec", script, "sh"]);
    let out = rootless.run().output().fails_with("user.max_user_namespaces = 0");
    assert!(out.stderr.contains("clone3") && out.stderr.contains("ENOSPC"), "{out}");
    rootless.container.assert_no_leaks();
}

#[test]
fn a_kernel_that_denies_user_namespaces_to_users_is_asked_why() {
    const SWITCH: &str = "/proc/sys/kernel/unprivileged_userns_clone";
    need!(in_vm(), "would change this machine for everybody");
    need!(fs::exists(SWITCH).is_ok_and(|there| there), "this kernel has no such switch (Debian's has)");
    let rootless = Rootless::new("echo ran", |_| {});
    let _alone = ALONE.lock();
    let before = fs::read_to_string(SWITCH).expect("it is there");
    fs::write(SWITCH, "0").expect("root may set it");
    let out = rootless.run().output();
    fs::write(SWITCH, before).expect("root may set it");
    out.fails_with("kernel.unprivileged_userns_clone = 0");
    rootless.container.assert_no_leaks();
}
