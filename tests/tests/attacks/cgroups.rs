//! The cgroup file system as seen from a container.
use std::fs;

use orlop_tests::rootless::Rootless;
use orlop_tests::spec::{self, HOST_ID, add_user_namespace};
use orlop_tests::{cgroup, unprivileged};
use serde_json::json;

use crate::stage::{Attack, set_capabilities};

/// Tries to open for writing what somebody could leave a container by, and writes nothing.
const WRITABLE: &str = "find /sys/fs/cgroup -name release_agent -o -name cgroup.procs -o -name notify_on_release -o -name 'devices.allow' \
                        | while read f; do { : >>$f; } 2>/dev/null && echo writable $f; done; echo ran";

#[test]
fn cve_2022_0492_nothing_of_the_cgroups_can_be_written() {
    let attack = Attack::new(
        "CVE-2022-0492",
        "root of the container writes a program's name to `release_agent`: the host runs it",
        "cgroups are mounted read-only if that is asked for, version 1 and what holds it too (`compile/src/mounts/cgroup_v1.rs`)",
    );
    let mut container = Attack::sh(WRITABLE);
    set_capabilities(&mut container, &["CAP_DAC_OVERRIDE", "CAP_CHOWN", "CAP_FOWNER"]);
    let out = container.run().ok();
    attack.succeeds_if(out.stdout.contains("writable"), &out);
    // With namespaces of its own, in which it is all-powerful.
    let inner = "mount -t cgroup -o devices none /mnt 2>/dev/null && { : >>/mnt/release_agent; } 2>/dev/null && echo writable agent";
    let mut container = Attack::sh(&format!("unshare -Urm sh -c '{inner}'; echo ran"));
    set_capabilities(&mut container, &["CAP_DAC_OVERRIDE", "CAP_SETFCAP"]);
    let out = container.run().ok();
    attack.succeeds_if(out.stdout.contains("writable"), &out);
}

#[test]
fn cve_2023_25809_without_root_the_callers_cgroups_cannot_be_written() {
    let attack = Attack::new(
        "CVE-2023-25809",
        "without root and without a cgroup namespace, `/sys` is bound read-only and the caller's cgroup below it is not",
        "a container without a cgroup of its own sees an empty directory there (`compile/src/mounts/cgroup.rs`)",
    );
    let rootless = Rootless::new(WRITABLE, |container| {
        spec::bind_sys(&mut container.bundle.config);
        let options = ["nosuid", "noexec", "nodev", "relatime", "ro"];
        container.push(
            "/mounts",
            json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": options}),
        );
    });
    // A cgroup that is the caller's, which it was born in.
    let hierarchy = cgroup::hierarchies().into_iter().find(|hierarchy| hierarchy.unified);
    let own = hierarchy.map(|hierarchy| hierarchy.mount.join(format!("{}-own", rootless.container.id)));
    let Some(own) = own else {
        attack.applies(false, "cgroup version 2 is not mounted");
        return;
    };
    fs::create_dir(&own).expect("a new cgroup");
    for name in ["", "cgroup.procs", "cgroup.threads"] {
        std::os::unix::fs::chown(own.join(name), Some(unprivileged::USER), Some(unprivileged::USER))
            .expect("root may give it away");
    }
    // Below it and not in it: a process at the top could not be joined by others.
    let rootless = rootless.in_cgroup(&own.join("cgroup.procs"));
    let out = rootless.run().output();
    fs::remove_dir(&own).ok();
    assert!(out.stdout.contains("ran"), "{out}");
    let beyond =
        |line: &&str| line.starts_with("writable") && !line.contains(&format!("{}/", rootless.container.id));
    attack.succeeds_if(out.lines().iter().any(beyond), &out);
}

#[test]
fn cve_2025_47291_a_user_namespace_does_not_change_where_the_cgroup_is() {
    let attack = Attack::new(
        "CVE-2025-47291",
        "the container has a user namespace: its cgroup is not below that of its pod, whose limits do not hold",
        "`linux.cgroupsPath` is obeyed by every container (`compile/src/cgroup.rs`)",
    );
    let mut container = Attack::lasting();
    let path = format!("/{0}-pod/{0}", container.id);
    container.set("/linux/cgroupsPath", path.as_str());
    add_user_namespace(&mut container.bundle.config, &[(0, HOST_ID, 65536)]);
    container.up();
    let directory = cgroup::unified_directory(container.pid());
    let place = directory.as_deref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    container.command("delete", &["--force"]).ok();
    container.wait();
    for left in cgroup::named(&format!("{}-pod", container.id)).iter().rev() {
        fs::remove_dir(left).ok();
    }
    attack.succeeds_if(!place.ends_with(&path), place);
}
