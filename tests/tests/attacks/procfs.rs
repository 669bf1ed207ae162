//! A false procfs: what the runtime writes to the kernel shall land in files of the attacker's.
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use orlop_tests::{Container, runtime};
use serde_json::json;

use crate::stage::{Attack, Swap, no_leaks, race, ran, rounds};

/// Makes what looks like a procfs in a directory of the image's. The file in it is where a parameter would be written.
fn forge(container: &mut Container, place: &str) -> PathBuf {
    let file = container.bundle.rootfs().join(place.trim_start_matches('/')).join("sys/net/ipv4/ip_forward");
    fs::create_dir_all(file.parent().expect("it has one")).expect("new directories");
    fs::write(&file, "forged\n").expect("a new file");
    container.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}));
    file
}

/// Whether somebody has written to it.
fn written(file: &PathBuf) -> bool {
    fs::read_to_string(file).expect("it is there") != "forged\n"
}

#[test]
fn cve_2019_19921_procfs_or_sysfs_is_not_mounted_through_a_link() {
    let attack = Attack::new(
        "CVE-2019-19921, CVE-2023-28642, CVE-2025-54867",
        "the image's `/proc` or `/sys` is a link to a directory of its own",
        "`real_directory` in `init/src/target.rs`",
    );
    for name in ["proc", "sys"] {
        let mut container = Attack::sh("echo ran");
        let file = forge(&mut container, "/vol");
        let root = container.bundle.rootfs();
        fs::remove_dir(root.join(name)).expect("it is empty");
        symlink("/vol", root.join(name)).expect("a new link");
        let out = container.run();
        attack.succeeds_if(written(&file) || ran(&out), format!("{name}: {out}"));
        no_leaks(&container);
    }
}

#[test]
fn cve_2023_27561_the_directory_of_procfs_is_exchanged_for_a_link() {
    let attack = Attack::new(
        "CVE-2023-27561",
        "the same, but the link comes and goes while the container is made",
        "`real_directory` in `init/src/target.rs`; writes go to a procfs by its descriptor (`init/src/procfs.rs`)",
    );
    let mut container = Attack::sh("echo ran");
    let file = forge(&mut container, "/vol");
    assert!(ran(&container.run()), "it works without an attacker");
    let root = container.bundle.rootfs();
    symlink("/vol", root.join("link")).expect("a new link");
    let all = rounds().div_ceil(4);
    let attacker = Swap::of(&root.join("proc"), &root.join("link"));
    let well = race(&container, all, attacker, |number, out| {
        attack.succeeds_if(
            written(&file),
            format!("a parameter was written to the forged file, after {number}: {out}"),
        );
    });
    attack.held(format!("{well} of {all} containers ran"));
}

#[test]
fn cve_2019_16884_a_mount_in_the_place_of_procfs() {
    let attack = Attack::new(
        "CVE-2019-16884, CVE-2025-62596",
        "`/proc` is a volume with forged files, or one is mounted over parts of it: labels and parameters go there",
        "writes go to a procfs of init's own (`init/src/procfs.rs`); mounts in `/proc` are refused (`compile/src/mounts/place.rs`)",
    );
    for place in ["/proc", "/proc/sys", "/proc/self"] {
        let mut container = Attack::sh("echo ran");
        let file = forge(&mut container, "/vol");
        container.set("/linux/maskedPaths", json!([])).set("/linux/readonlyPaths", json!([]));
        let below = place.trim_start_matches("/proc");
        let source = container.bundle.rootfs().join("vol").join(below.trim_start_matches('/'));
        if place == "/proc" {
            container.bundle.remove("/mounts/0");
        }
        let mount = json!({"destination": place, "source": source.to_string_lossy(), "options": ["bind"]});
        container.push("/mounts", mount);
        let out = container.run();
        attack.succeeds_if(written(&file), format!("{place}: {out}"));
    }
}

#[test]
fn cve_2019_16884_an_image_without_procfs_has_forged_files() {
    let attack = Attack::new(
        "CVE-2019-16884",
        "no procfs is asked for, and the image brings files with the names of the kernel's",
        "`PrivateProc`: init makes a procfs for itself (`init/src/procfs.rs`)",
    );
    let mut container = Attack::sh("echo ran");
    let file = forge(&mut container, "/proc");
    container.set("/linux/maskedPaths", json!([])).set("/linux/readonlyPaths", json!([]));
    container.bundle.remove("/mounts/0");
    let out = container.run();
    attack.succeeds_if(written(&file), &out);
}

#[test]
fn cve_2025_52881_a_link_into_procfs_is_no_place_for_a_mount() {
    let attack = Attack::new(
        "CVE-2025-52881",
        "the way to a mount is a link into `/proc`, where it shall cover the kernel's files",
        "`place` in `init/src/target.rs` takes no link into a procfs",
    );
    for (link, below) in [("/proc/sys", ""), ("/proc/sys", "/kernel"), ("/proc/self/attr", "")] {
        let mut container = Attack::sh("grep ' /proc/.* - tmpfs raced ' /proc/self/mountinfo && echo ran");
        symlink(link, container.bundle.rootfs().join("link")).expect("a new link");
        let mount = json!({"destination": format!("/link{below}"), "type": "tmpfs", "source": "raced"});
        container.push("/mounts", mount);
        let out = container.run();
        attack.succeeds_if(ran(&out), format!("{link}{below}: {out}"));
        no_leaks(&container);
    }
}

#[test]
fn cve_2025_52881_a_directory_is_exchanged_for_a_link_into_procfs() {
    let attack = Attack::new(
        "CVE-2025-52881",
        "a volume's directory is exchanged for a link into `/proc` while forged files are mounted on it",
        "as before, with the descriptor that is mounted on; parameters are written through init's procfs",
    );
    let mut container = Attack::sh("grep ' /proc/.*/fake ' /proc/self/mountinfo && echo covered; echo ran");
    let file = forge(&mut container, "/fake");
    let root = container.bundle.rootfs();
    fs::create_dir_all(root.join("vol/swap/ipv4")).expect("new directories");
    symlink("/proc/sys/net", root.join("vol/link")).expect("a new link");
    let source = root.join("fake/sys/net/ipv4").to_string_lossy().into_owned();
    for _ in 0..10 {
        container
            .push("/mounts", json!({"destination": "/vol/swap/ipv4", "source": source, "options": ["bind"]}));
    }
    assert!(ran(&container.run()), "it works without an attacker");
    let all = rounds().div_ceil(8);
    let attacker = Swap::of(&root.join("vol/swap"), &root.join("vol/link"));
    let well = race(&container, all, attacker, |number, out| {
        attack.succeeds_if(
            written(&file),
            format!("a parameter was written to the forged file, after {number}: {out}"),
        );
        attack.succeeds_if(
            out.lines().contains(&"covered"),
            format!("the kernel's file is covered, after {number}: {out}"),
        );
    });
    attack.held(format!("{} mounts, {well} of {all} containers ran", all * 10));
}

#[test]
fn what_is_masked_is_masked_though_the_directory_is_exchanged() {
    let attack = Attack::new(
        "–",
        "`/proc` is exchanged for another directory while its parts are masked, and back again",
        "masked and read-only paths in `/proc` are looked up from the mounted procfs (`init/src/paths.rs`)",
    );
    let script = "echo ready >/events; read go </go; for p in /proc /decoy; do \
                  test -e $p/keys && stat -c 'is %t:%T' $p/keys; done; echo ran";
    let all = rounds().div_ceil(4);
    let mut well = 0;
    for number in 0..all {
        let container = Attack::sh(script);
        let (mut events, mut go) = (container.fifo("events"), container.fifo("go"));
        let root = container.bundle.rootfs();
        fs::create_dir(root.join("decoy")).expect("a new directory");
        let attacker = (number > 0).then(|| Swap::of(&root.join("proc"), &root.join("decoy")));
        let running = container.spawn();
        let ready = events.line_within(std::time::Duration::from_secs(5)).is_some();
        drop(attacker);
        go.tell("go");
        let out = running.wait();
        assert!(
            number > 0 || (ready && out.stdout.contains("is 1:3")),
            "it works without an attacker: {out}"
        );
        attack.succeeds_if(ran(&out) && !out.stdout.contains("is 1:3"), format!("after {number}: {out}"));
        well += usize::from(ran(&out));
    }
    attack.held(format!("{well} of {all} containers ran"));
}

#[test]
fn files_of_procfs_that_engines_emulate_can_be_covered() {
    // What is allowed stays so: not an attack.
    let mut container = Attack::sh("cat /proc/uptime");
    let file = container.home().join("uptime");
    fs::write(&file, "1.00 1.00\n").expect("a new file");
    let source = file.to_string_lossy().into_owned();
    container.push("/mounts", json!({"destination": "/proc/uptime", "source": source, "options": ["bind"]}));
    assert_eq!(container.run().ok().stdout, "1.00 1.00\n", "{}", runtime::version());
}
