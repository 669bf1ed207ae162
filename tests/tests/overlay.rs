//! Roots that are overlays: what is below stays as it is, and may be shared.
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::PathBuf;

use orlop_tests::rootless::Rootless;
use orlop_tests::spec::{HOST_ID, add_user_namespace};
use orlop_tests::{Container, need, runtime};
use serde_json::json;

/// Changes a file, makes another, and removes a third.
const CHANGE: &str = "echo changed >/etc/motd && echo new >/new && rm /gone && cat /etc/motd";

/// A container whose root has something to change, and may be written to.
fn container(script: &str) -> Container {
    let mut container = Container::sh(script);
    container.set("/root/readonly", false).set("/process/noNewPrivileges", true);
    let root = container.bundle.rootfs();
    fs::create_dir_all(root.join("etc")).expect("a new directory");
    fs::write(root.join("etc/motd"), "old\n").expect("a new file");
    fs::write(root.join("gone"), "").expect("a new file");
    container
}

fn is_as_it_was(container: &Container) {
    let root = container.bundle.rootfs();
    assert_eq!(fs::read_to_string(root.join("etc/motd")).expect("it is there"), "old\n");
    assert!(root.join("gone").exists() && !root.join("new").exists());
}

/// The version of the kernel.
fn kernel() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("a kernel");
    let mut numbers = release.split(['.', '-']).map(|number| number.parse().expect("a number"));
    (numbers.next().expect("a version"), numbers.next().expect("a version"))
}

/// A new directory beside the bundle.
fn directory(container: &Container, name: &str) -> PathBuf {
    let path = container.home().join(name);
    fs::create_dir(&path).expect("a new directory");
    path
}

#[test]
fn changes_are_gone_with_the_container() {
    need!(runtime::is_orlop(), "other runtimes have no overlays");
    let container = container(CHANGE);
    for _ in 0..2 {
        let out = container.with_bundle("run", &["--overlay"]).ok();
        assert_eq!(out.stdout, "changed\n");
        is_as_it_was(&container);
    }
    container.assert_no_leaks();
}

#[test]
fn changes_may_stay_in_a_directory_and_are_seen_again() {
    need!(runtime::is_orlop(), "other runtimes have no overlays");
    let mut container = container(CHANGE);
    let upper = directory(&container, "changes");
    let overlay = format!("--overlay={}", upper.display());
    container.with_bundle("run", &[&overlay]).ok();
    is_as_it_was(&container);
    assert_eq!(fs::read_to_string(upper.join("upper/new")).expect("it is there"), "new\n");
    assert!(fs::symlink_metadata(upper.join("upper/gone")).expect("a whiteout").file_type().is_char_device());
    container.set("/process/args", json!(["sh", "-c", "cat /etc/motd /new; ls /gone || echo gone"]));
    container.bundle.save();
    let again = container.with_bundle("run", &[&overlay]).ok();
    assert_eq!(again.stdout, "changed\nnew\ngone\n");
}

#[test]
fn the_annotation_takes_options_of_the_tmpfs_and_exec_sees_the_same_root() {
    need!(runtime::is_orlop(), "other runtimes have no overlays");
    let mut container = container("while :; do sleep 1; done");
    container.set("/annotations", json!({"run.orlop.overlay": "tmpfs,size=1m"}));
    container.up();
    let full = container.exec(&["sh", "-c", "dd if=/dev/zero of=/big bs=1M count=4 2>&1; stat -c %s /big"]);
    assert!(full.stdout.contains("No space left"), "{full}");
    container.end_with_detached();
    is_as_it_was(&container);
}

#[test]
fn many_layers_lie_on_one_another_the_first_on_top() {
    need!(runtime::is_orlop(), "other runtimes have no overlays");
    let mut container = container("cat /layer; ls / | grep -c '^of-'; stat -c '%a %u' /");
    let mut lowers = Vec::new();
    // Before Linux 6.5, their names together are shorter than 256 bytes.
    let count = if kernel() < (6, 5) { 80 } else { 300 };
    for number in 0..count {
        let layer = directory(&container, &format!("a-name-that-is-not-short-{number}"));
        fs::write(layer.join("layer"), format!("{number}\n")).expect("a new file");
        fs::write(layer.join(format!("of-{number}")), "").expect("a new file");
        lowers.push(layer.display().to_string());
    }
    // The root directory looks as the topmost one does.
    fs::set_permissions(&lowers[0], fs::Permissions::from_mode(0o715)).expect("our own directory");
    chown(&lowers[0], Some(7), Some(7)).expect("root may");
    lowers.push(container.bundle.rootfs().display().to_string());
    let lower = lowers.join(":");
    container.set("/annotations", json!({"run.orlop.overlay": "tmpfs", "run.orlop.overlay.lower": lower}));
    container.bundle.save();
    assert_eq!(container.run().ok().stdout, format!("0\n{count}\n715 7\n"));
}

#[test]
fn a_user_namespace_sees_files_as_its_own_and_nothing_is_given_to_it() {
    need!(runtime::is_orlop(), "other runtimes have no overlays");
    let script = format!("stat -c '%u %g' /etc/motd / && {CHANGE} && stat -c %u /new");
    let mut container = container(&script);
    add_user_namespace(&mut container.bundle.config, &[(0, HOST_ID, 65536)]);
    container.bundle.save();
    let out = container.with_bundle("run", &["--overlay"]).ok();
    assert_eq!(out.lines(), ["0 0", "0 0", "changed", "0"]);
    is_as_it_was(&container);
    let upper = directory(&container, "changes");
    container.with_bundle("run", &[&format!("--overlay={}", upper.display())]).ok();
    // What it has written is the host's root's, as all in the directory.
    assert_eq!(fs::metadata(upper.join("upper/new")).expect("it is there").uid(), 0);
    container.assert_no_leaks();
}

/// A path leads through `..` to whatever lies over a directory, so what is left there would be in reach.
#[test]
fn nothing_of_the_host_is_left_over_the_root() {
    need!(runtime::is_orlop(), "other runtimes have no overlays");
    for (in_user_namespace, flags) in [(false, ["--overlay"].as_slice()), (true, &["--overlay"]), (true, &[])]
    {
        let mut container = container(
            "ls -a / >/tmp/root; ls -a /dev/.. | diff - /tmp/root; cut -d' ' -f5 /proc/self/mountinfo",
        );
        if in_user_namespace {
            add_user_namespace(&mut container.bundle.config, &[(0, HOST_ID, 65536)]);
        }
        // Where no user of the namespace may go, so that the root itself is what it is attached to, as an overlay is.
        fs::set_permissions(container.home(), fs::Permissions::from_mode(0o700)).expect("our own directory");
        let out = container.with_bundle("run", flags).ok();
        let mounts = out.lines();
        let ours = |mount: &&str| ["/proc", "/dev", "/sys"].iter().any(|own| mount.starts_with(own));
        let others: Vec<_> = mounts.iter().filter(|mount| !ours(mount)).collect();
        assert_eq!(others, [&"/"], "{out}");
    }
}

#[test]
fn without_root_too() {
    need!(runtime::is_orlop(), "other runtimes have no overlays");
    let rootless = Rootless::new(CHANGE, |c| {
        c.set("/root/readonly", false);
        let root = c.bundle.rootfs();
        fs::create_dir_all(root.join("etc")).expect("a new directory");
        fs::write(root.join("etc/motd"), "old\n").expect("a new file");
        fs::write(root.join("gone"), "").expect("a new file");
        // The files are root's and not the user's: what is changed is copied, and that takes the right to the copy.
        for path in ["", "etc", "etc/motd", "gone"] {
            chown(root.join(path), Some(orlop_tests::unprivileged::USER), None).expect("root may");
        }
    });
    let out = rootless.with_bundle("run", &["--overlay"]).ok();
    assert_eq!(out.stdout, "changed\n");
    is_as_it_was(&rootless.container);
}

#[test]
fn hooks_find_the_root_before_it_is_switched() {
    need!(runtime::is_orlop(), "other runtimes have no overlays");
    let mut container = container("cat /by-hook");
    // The hook's standard input is the state; its root is the one that the container will have.
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", "echo hooked >\"$ROOT/by-hook\""],
        "env": [format!("ROOT={}", container.state_root().join(&container.id).display())]}]);
    container.set("/hooks", json!({"createContainer": hook}));
    container.bundle.save();
    assert_eq!(container.with_bundle("run", &["--overlay"]).ok().stdout, "hooked\n");
    is_as_it_was(&container);
}

#[test]
fn what_cannot_be_is_refused_and_leaves_nothing() {
    need!(runtime::is_orlop(), "other runtimes have no overlays");
    let container = container("true");
    let missing = container.home().join("missing");
    container
        .with_bundle("run", &[&format!("--overlay={}", missing.display())])
        .output()
        .fails_with(&format!("with changes in {}", missing.display()));
    let upper = directory(&container, "changes");
    std::os::unix::fs::symlink("/etc", upper.join("upper")).expect("a new link");
    let out = container.with_bundle("run", &[&format!("--overlay={}", upper.display())]).output();
    out.fails_with("overlay");
    container.assert_no_leaks();
    let container = container_without_lower();
    container.bundle.save();
    container.with_bundle("run", &["--overlay"]).output().fails_with("no root file system");
    container.assert_no_leaks();
}

fn container_without_lower() -> Container {
    let mut container = Container::sh("true");
    container.set("/root/path", "");
    container
}
