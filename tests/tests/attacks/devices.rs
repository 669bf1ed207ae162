//! `/dev`, what masks paths, and the terminal: things that the image can put something else in the place of.
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use orlop_tests::terminal::Terminal;
use orlop_tests::{Container, need};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use serde_json::json;

use crate::stage::{Attack, Swap, Victim, no_leaks, race, ran, rounds, set_capabilities, without_mounts};

/// A file of the container's, in the place of one of the kernel's that must not be shown or written.
const PRECIOUS: &str = "/precious";

/// A container that shows what masks a path, with a directory of devices that the image brings.
fn masked() -> Container {
    let mut container = Attack::sh("test -c /masked && stat -c 'is %t:%T' /masked; cat /masked; echo ran");
    without_mounts(&mut container, "/dev");
    let root = container.bundle.rootfs();
    fs::write(root.join(PRECIOUS.trim_start_matches('/')), "precious\n").expect("a new file");
    fs::write(root.join("masked"), "masked\n").expect("a new file");
    container.set("/root/readonly", false).set("/linux/maskedPaths", json!(["/masked"]));
    container
}

#[test]
fn cve_2025_31133_what_masks_a_path_is_the_null_device() {
    let attack = Attack::new(
        "CVE-2025-31133, CVE-2025-62161",
        "the image's `/dev/null` is a link to a file, which is mounted, writable, over masked paths",
        "what is mounted is checked by its descriptor to be the device (`mask` in `init/src/paths.rs`)",
    );
    let container = masked();
    symlink(PRECIOUS, container.bundle.rootfs().join("dev/null")).expect("a new link");
    let out = container.run();
    attack.succeeds_if(ran(&out) && !out.stdout.contains("is 1:3"), &out);
    no_leaks(&container);
}

#[test]
fn cve_2025_31133_the_null_device_is_exchanged_for_a_link() {
    let attack = Attack::new(
        "CVE-2025-31133, CVE-2025-62161",
        "the same, but the link comes and goes while the container is made",
        "the descriptor that is checked is the one that is mounted (`mask` in `init/src/paths.rs`)",
    );
    let container = masked();
    let dev = container.bundle.rootfs().join("dev");
    let device = makedev(1, 3);
    let mode = Mode::from_raw_mode(0o666);
    mknodat(CWD, dev.join("null"), FileType::CharacterDevice, mode, device).expect("a new device");
    assert!(container.run().stdout.contains("is 1:3"), "it works without an attacker");
    symlink(PRECIOUS, dev.join("link")).expect("a new link");
    let attacker = Swap::of(&dev.join("null"), &dev.join("link"));
    let all = rounds().div_ceil(4);
    let well = race(&container, all, attacker, |number, out| {
        attack.succeeds_if(ran(out) && !out.stdout.contains("is 1:3"), format!("after {number}: {out}"));
    });
    attack.held(format!("{well} of {all} containers ran"));
}

#[test]
fn cve_2026_41579_a_directory_of_devices_that_is_a_link_stays_in_the_root() {
    let attack = Attack::new(
        "CVE-2026-41579, CVE-2026-47766",
        "the image's `/dev` is a link to a directory of the host: devices are made and `ptmx` is removed there",
        "`OpenDir` of `/dev` inside the root, devices by its descriptor (`init/src/devices.rs`)",
    );
    for (up, with_mount) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut container = Attack::sh("true");
        let victim = Victim::of(&container);
        let dev = container.bundle.rootfs().join("dev");
        fs::remove_dir(&dev).expect("it is empty");
        symlink(format!("{}{}", if up { "../".repeat(40) } else { String::new() }, victim.text()), &dev)
            .expect("a new link");
        if !with_mount {
            without_mounts(&mut container, "/dev");
        }
        container.set("/root/readonly", false).set("/linux/maskedPaths", json!([]));
        let out = container.run();
        attack.succeeds_if(
            !victim.harm().is_empty(),
            format!("{:?}, mount {with_mount}: {out}", victim.harm()),
        );
    }
}

#[test]
fn cve_2026_41579_the_directory_of_devices_is_exchanged_for_a_link() {
    let attack = Attack::new(
        "CVE-2026-41579, CVE-2026-47766",
        "the same, but the link comes and goes while the container is made",
        "one descriptor of the directory for all of them (`init/src/devices.rs`)",
    );
    let mut container = Attack::sh("echo ran");
    without_mounts(&mut container, "/dev");
    container.set("/root/readonly", false).set("/linux/maskedPaths", json!([]));
    assert!(ran(&container.run()), "it works without an attacker");
    let victim = Victim::of(&container);
    let root = container.bundle.rootfs();
    symlink(&victim.path, root.join("link")).expect("a new link");
    let attacker = Swap::of(&root.join("dev"), &root.join("link"));
    let all = rounds().div_ceil(4);
    let well = race(&container, all, attacker, |number, out| {
        attack.succeeds_if(!victim.harm().is_empty(), format!("{:?}, after {number}: {out}", victim.harm()));
    });
    attack.held(format!("{well} of {all} containers ran"));
}

#[test]
fn cve_2025_52565_the_terminals_name_leads_to_a_file() {
    let attack = Attack::new(
        "CVE-2025-52565",
        "the image has links in `/dev/pts` with the names of terminals: a file is mounted at `/dev/console`",
        "the terminal's other end is opened by the master (`init/src/console.rs`)",
    );
    let mut container =
        Attack::sh("stat -c 'is %F' /dev/console; test -c /dev/console || cat /dev/console; echo ran");
    without_mounts(&mut container, "/dev");
    container
        .set("/process/terminal", true)
        .set("/root/readonly", false)
        .set("/linux/maskedPaths", json!([]));
    let root = container.bundle.rootfs();
    fs::write(root.join(PRECIOUS.trim_start_matches('/')), "precious\n").expect("a new file");
    for directory in ["dev/pts", "x/pts"] {
        fs::create_dir_all(root.join(directory)).expect("new directories");
    }
    // A true one, elsewhere, so that there are terminals at all.
    let options = ["newinstance", "ptmxmode=0666", "mode=0620"];
    container.push(
        "/mounts",
        json!({"destination": "/x/pts", "type": "devpts", "source": "devpts", "options": options}),
    );
    symlink("/x/pts/ptmx", root.join("dev/pts/ptmx")).expect("a new link");
    for number in 0..10 {
        symlink(PRECIOUS, root.join(format!("dev/pts/{number}"))).expect("a new link");
    }
    let (terminal, other) = Terminal::open();
    let _out = container.with_bundle::<&str>("run", &[]).on(&other).output();
    drop(other);
    let shown = terminal.rest();
    attack.succeeds_if(shown.contains("is regular file") || shown.contains("\nprecious"), &shown);
}

#[test]
fn a_terminal_comes_from_devpts_and_nothing_in_its_place() {
    let attack = Attack::new(
        "CVE-2025-52565",
        "the image's `/dev/pts/ptmx` is a link to something that is no terminal",
        "a master has to be of a devpts (`init/src/console.rs`)",
    );
    let mut container = Attack::sh("echo ran");
    container.set("/process/terminal", true);
    let pts = container.bundle.rootfs().join("dev/pts");
    fs::create_dir(&pts).expect("a new directory");
    symlink("/dev/null", pts.join("ptmx")).expect("a new link");
    without_mounts(&mut container, "/dev");
    let out = container.run();
    attack.succeeds_if(ran(&out), &out);
    no_leaks(&container);
}

#[test]
fn the_hosts_null_device_is_not_the_containers_to_change() {
    let attack = Attack::new(
        "–",
        "the program changes the permissions of its standard input, which is the host's `/dev/null`",
        "a stream that is the host's null device is replaced by the container's (`own_stdio` in `init/src/console.rs`)",
    );
    // Not the machine's own: that one is everybody's.
    let mut container =
        Attack::sh("chmod 600 /proc/self/fd/0; stat -L -c %a /proc/self/fd/0; echo >/proc/self/fd/0");
    set_capabilities(&mut container, &["CAP_FOWNER"]);
    let null = container.home().join("null");
    let mode = Mode::from_raw_mode(0o666);
    mknodat(CWD, &null, FileType::CharacterDevice, mode, makedev(1, 3)).expect("a new device");
    fs::set_permissions(&null, fs::Permissions::from_mode(0o666)).expect("it is ours");
    let stdin = fs::File::open(&null).expect("it is there");
    let out = container.with_bundle::<&str>("run", &[]).stdin(stdin).output();
    let mode = fs::metadata(&null).expect("it is there").mode() & 0o7777;
    attack.succeeds_if(mode != 0o666, format!("the host's has mode {mode:o}: {out}"));
    assert_eq!(out.ok().stdout, "600\n");
}

#[test]
fn ghsa_g54h_m393_cpwq_devices_are_denied_unless_allowed() {
    let attack = Attack::new(
        "GHSA-g54h-m393-cpwq",
        "root of a container makes a node for a disk and opens it, where the config only allows something else",
        "denial is the first rule (`cgroups/src/device/policy.rs`)",
    );
    // Major number 7 is the loop driver's: whether it is loaded shows only to who may open one.
    let mut container = Attack::sh("mknod /run/disk b 7 0 && head -c 0 /run/disk; echo ran");
    let rules = json!([{"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"}]);
    let denied = container.bundle.config.pointer("/linux/resources").is_some();
    if !attack.applies(denied, "this version cannot load device programs here") {
        return;
    }
    for rules in [rules, json!([])] {
        container.set("/linux/resources/devices", rules);
        set_capabilities(&mut container, &["CAP_MKNOD"]);
        container.push("/mounts", json!({"destination": "/run", "type": "tmpfs", "source": "tmpfs"}));
        let out = container.run();
        assert!(ran(&out) || need::in_vm(), "{out}");
        attack.succeeds_if(ran(&out) && !out.stderr.to_lowercase().contains("not permitted"), &out);
    }
}
