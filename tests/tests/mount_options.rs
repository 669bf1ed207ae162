//! The mount options of `config.md`, each by what it does: to a bind mount, to the mounts below it, to a new file system.
use std::fs;
use std::path::Path;

use orlop_tests::{Container, Output};
use serde_json::json;

/// What both of two nested mounts have where they are bound from, as the first is mounted on the host.
#[derive(Clone, Copy)]
enum Source {
    Plain,
    Restricted,
}

use Source::{Plain, Restricted};

const RESTRICTIONS: &str = "ro,nosuid,nodev,noexec,noatime,nodiratime,nosymfollow";

impl Source {
    const fn directory(self) -> &'static str {
        match self {
            Plain => "plain",
            Restricted => "restricted",
        }
    }
}

/// Bound from where, with which options; and what the mount and the one below then have.
const BOUND: &[(Source, &[&str], &str, &str)] = &[
    // Recursive options reach the mounts below.
    (Plain, &["rro"], "ro,relatime", "ro,relatime"),
    (Plain, &["rnosuid"], "rw,nosuid,relatime", "rw,nosuid,relatime"),
    (Plain, &["rnodev"], "rw,nodev,relatime", "rw,nodev,relatime"),
    (Plain, &["rnoexec"], "rw,noexec,relatime", "rw,noexec,relatime"),
    (Plain, &["rnodiratime"], "rw,nodiratime,relatime", "rw,nodiratime,relatime"),
    (Plain, &["rnosymfollow"], "rw,relatime,nosymfollow", "rw,relatime,nosymfollow"),
    (Plain, &["rnoatime"], "rw,noatime", "rw,noatime"),
    (Plain, &["rstrictatime"], "rw", "rw"),
    (Plain, &["rrelatime"], "rw,relatime", "rw,relatime"),
    (Plain, &["ratime"], "rw,relatime", "rw,relatime"),
    (Plain, &["rnostrictatime"], "rw,relatime", "rw,relatime"),
    (Plain, &["rnorelatime"], "rw,relatime", "rw,relatime"),
    (Restricted, &[], RESTRICTIONS, RESTRICTIONS),
    (
        Restricted,
        &["rrw"],
        "rw,nosuid,nodev,noexec,noatime,nodiratime,nosymfollow",
        "rw,nosuid,nodev,noexec,noatime,nodiratime,nosymfollow",
    ),
    (
        Restricted,
        &["rsuid", "rdev", "rexec"],
        "ro,noatime,nodiratime,nosymfollow",
        "ro,noatime,nodiratime,nosymfollow",
    ),
    (
        Restricted,
        &["rdiratime", "rsymfollow"],
        "ro,nosuid,nodev,noexec,noatime",
        "ro,nosuid,nodev,noexec,noatime",
    ),
    (
        Restricted,
        &["ratime"],
        "ro,nosuid,nodev,noexec,nodiratime,relatime,nosymfollow",
        "ro,nosuid,nodev,noexec,nodiratime,relatime,nosymfollow",
    ),
    (
        Restricted,
        &["rstrictatime"],
        "ro,nosuid,nodev,noexec,nodiratime,nosymfollow",
        "ro,nosuid,nodev,noexec,nodiratime,nosymfollow",
    ),
    // The others do not.
    (Plain, &["ro"], "ro,relatime", "rw,relatime"),
    (
        Plain,
        &["nosuid", "nodev", "noexec", "nodiratime", "nosymfollow"],
        "rw,nosuid,nodev,noexec,nodiratime,relatime,nosymfollow",
        "rw,relatime",
    ),
    (Plain, &["noatime"], "rw,noatime", "rw,relatime"),
    (Plain, &["strictatime"], "rw", "rw,relatime"),
    (Restricted, &["rw", "suid", "dev", "exec", "symfollow"], "rw,noatime,nodiratime", RESTRICTIONS),
    // Access times are all set anew or all kept: mount(2) cannot tell that one is unwanted from silence.
    (Restricted, &["diratime", "ro"], "ro,noatime,nodiratime", RESTRICTIONS),
    (Restricted, &["atime", "ro"], "ro,noatime,nodiratime", RESTRICTIONS),
    (Restricted, &["relatime", "ro"], "ro,relatime", RESTRICTIONS),
    (Restricted, &["nodiratime", "ro"], "ro,nodiratime,relatime", RESTRICTIONS),
    // What is asked for the whole tree holds for its top too.
    (Plain, &["rw", "rro"], "ro,relatime", "ro,relatime"),
    (Plain, &["ro", "rro"], "ro,relatime", "ro,relatime"),
    (
        Restricted,
        &["ro", "rrw"],
        "rw,noatime,nodiratime",
        "rw,nosuid,nodev,noexec,noatime,nodiratime,nosymfollow",
    ),
    (Plain, &["rnosuid", "nodev"], "rw,nosuid,nodev,relatime", "rw,nosuid,relatime"),
    // Of those that contradict each other, the last counts.
    (Plain, &["rro", "rrw"], "rw,relatime", "rw,relatime"),
    (Plain, &["rnoatime", "rstrictatime"], "rw", "rw"),
    (Plain, &["ro", "rw", "defaults"], "rw,relatime", "rw,relatime"),
];

/// A new file system with these options, and what its mount and it itself then have.
const NEW: &[(&[&str], &str, &str)] = &[
    (&["defaults"], "rw,relatime", "rw"),
    (&["ro"], "ro,relatime", ""),
    (&["rro"], "ro,relatime", ""),
    (&["rro", "rrw"], "rw,relatime", "rw"),
    (&["nosuid", "nodev", "noexec"], "rw,nosuid,nodev,noexec,relatime", "rw"),
    (&["rnosuid", "rnodev", "rnoexec"], "rw,nosuid,nodev,noexec,relatime", "rw"),
    (&["nosuid", "suid", "nodev", "dev", "noexec", "exec"], "rw,relatime", "rw"),
    (&["nosuid", "rsuid", "nodev", "rdev", "noexec", "rexec"], "rw,relatime", "rw"),
    (&["nodiratime", "nosymfollow"], "rw,nodiratime,relatime,nosymfollow", "rw"),
    (&["rnodiratime", "rnosymfollow"], "rw,nodiratime,relatime,nosymfollow", "rw"),
    (&["nodiratime", "rdiratime", "nosymfollow", "rsymfollow"], "rw,relatime", "rw"),
    (&["nodiratime", "diratime", "nosymfollow", "symfollow"], "rw,relatime", "rw"),
    (&["noatime"], "rw,noatime", "rw"),
    (&["rnoatime"], "rw,noatime", "rw"),
    (&["noatime", "atime"], "rw,relatime", "rw"),
    (&["noatime", "ratime"], "rw,relatime", "rw"),
    (&["strictatime"], "rw", "rw"),
    (&["rstrictatime"], "rw", "rw"),
    (&["strictatime", "nostrictatime"], "rw,relatime", "rw"),
    (&["rrelatime", "rnorelatime", "relatime", "norelatime"], "rw,relatime", "rw"),
    (&["sync"], "rw,relatime", "rw,sync"),
    (&["sync", "async"], "rw,relatime", "rw"),
    (&["dirsync"], "rw,relatime", "rw,dirsync"),
    (&["lazytime"], "rw,relatime", "rw,lazytime"),
    (&["lazytime", "nolazytime"], "rw,relatime", "rw"),
    (&["mand"], "rw,relatime", "rw,mand"),
    (&["mand", "nomand"], "rw,relatime", "rw"),
    (&["iversion", "noiversion", "silent", "loud"], "rw,relatime", "rw"),
];

/// The options of the mount at a place, and of its file system, as mountinfo shows them (proc_pid_mountinfo(5)).
fn mountinfo<'o>(out: &'o Output, place: &str) -> (&'o str, &'o str) {
    let line = out.stdout.lines().find(|line| line.split(' ').nth(4) == Some(place));
    let line = line.unwrap_or_else(|| panic!("no {place}: {out}"));
    let attributes = line.split(' ').nth(5).expect("attributes");
    (attributes, line.rsplit(' ').next().expect("options of the file system"))
}

/// In a private namespace: two mounts each, one within the other, all with their attributes; then the runtime.
fn nested(home: &Path) -> String {
    let restricted = RESTRICTIONS.replace("ro,", "");
    let mut script = Vec::new();
    for (from, attributes) in [(Plain, "defaults"), (Restricted, restricted.as_str())] {
        let place = home.join(from.directory());
        fs::create_dir(&place).expect("a new directory");
        let place = place.to_string_lossy();
        script.push(format!(
            "mount -t tmpfs -o {attributes} tmpfs {place} && mkdir {place}/below && \
             mount -t tmpfs -o {attributes} tmpfs {place}/below"
        ));
    }
    let place = home.join(Restricted.directory());
    let place = place.to_string_lossy();
    for place in [format!("{place}/below"), place.into_owned()] {
        // Of the mount only: the file system itself stays writable.
        script.push(format!("mount -o remount,bind,{RESTRICTIONS} {place}"));
    }
    script.push("exec \"$@\"".to_owned());
    script.join(" && ")
}

#[test]
fn options_of_bind_mounts_do_what_the_specification_says() {
    let mut container = Container::sh("cat /proc/self/mountinfo");
    let script = nested(container.home());
    for (index, (from, options, _, _)) in BOUND.iter().enumerate() {
        let source = container.home().join(from.directory()).to_string_lossy().into_owned();
        let options = [&["rbind"], *options].concat();
        container.push(
            "/mounts",
            json!({"destination": format!("/m{index}"), "source": source, "options": options}),
        );
    }
    let wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-c", &script, "sh"];
    let out = container.with_bundle::<&str>("run", &[]).within(&wrapper).ok();
    for (index, (_, options, top, below)) in BOUND.iter().enumerate() {
        assert_eq!(mountinfo(&out, &format!("/m{index}")).0, *top, "{options:?}");
        assert_eq!(mountinfo(&out, &format!("/m{index}/below")).0, *below, "{options:?}, below");
    }
}

#[test]
fn remount_changes_a_mount_that_is_there() {
    let mut container = Container::sh("cat /proc/self/mountinfo; [ -c /dev/null ] && : >/dev/null");
    for (place, options) in [
        ("/dev", json!(["remount", "ro", "noexec"])),
        ("/dev/mqueue", json!(["remount", "suid", "rexec"])),
        ("/sys", json!(["remount", "noatime"])),
    ] {
        container.push("/mounts", json!({"destination": place, "type": "none", "options": options}));
    }
    let out = container.run().ok();
    assert_eq!(mountinfo(&out, "/dev").0, "ro,nosuid,noexec");
    assert_eq!(mountinfo(&out, "/dev/mqueue").0, "rw,nodev,relatime");
    assert_eq!(mountinfo(&out, "/sys").0, "ro,nosuid,nodev,noexec,noatime");
    container
        .push("/mounts", json!({"destination": "/home", "type": "none", "options": ["remount", "nodev"]}));
    let out = container.run();
    assert!(out.code == 1 && out.stderr.contains("change the mount at /home"), "{out}");
    container.assert_no_leaks();
}

#[test]
fn options_of_new_file_systems_do_what_the_specification_says() {
    let mut container = Container::sh("cat /proc/self/mountinfo");
    for (index, (options, _, _)) in NEW.iter().enumerate() {
        container.push(
            "/mounts",
            json!({"destination": format!("/m{index}"), "type": "tmpfs", "source": "tmpfs", "options": options}),
        );
    }
    let out = container.run().ok();
    for (index, (options, attributes, of_file_system)) in NEW.iter().enumerate() {
        let found = mountinfo(&out, &format!("/m{index}"));
        assert_eq!(found.0, *attributes, "{options:?}");
        let flags: Vec<_> = ["rw", "sync", "dirsync", "lazytime", "mand"]
            .into_iter()
            .filter(|flag| found.1.split(',').any(|option| option == *flag))
            .collect();
        // Whether a file system or only its mount is read-only shows in the first.
        let flags = if of_file_system.is_empty() { String::new() } else { flags.join(",") };
        assert_eq!(flags, *of_file_system, "{options:?}, of the file system: {}", found.1);
    }
}
