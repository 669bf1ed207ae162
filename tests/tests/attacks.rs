//! What an image, or a process in a container, may try against the host: each test is named after what is attacked.
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;

use orlop_tests::Container;
use orlop_tests::spec::{HOST_ID, add_user_namespace};
use serde_json::json;

#[test]
fn a_link_into_procfs_is_no_place_for_a_mount() {
    for (link, below) in [("/proc/sys", ""), ("/proc/sys", "/kernel"), ("/proc/self/attr", "")] {
        let mut container = Container::sh("echo ran");
        symlink(link, container.bundle.rootfs().join("link")).expect("a new link");
        let place = format!("/link{below}");
        container.push("/mounts", json!({"destination": place, "type": "tmpfs", "source": "tmpfs"}));
        let out = container.run();
        assert!(out.code != 0 && !out.stdout.contains("ran"), "{link}{below}: {out}");
        container.assert_no_leaks();
    }
}

#[test]
fn without_pivot_root_the_hosts_procfs_is_no_licence_to_mount_a_whole_one() {
    // The kernel allows a new procfs where one is to be seen in full: the container's own has masked paths, the host's not.
    let mut container = Container::sh("unshare -Urmpf sh -c 'mount -t proc none /proc && echo mounted'");
    for set in ["bounding", "permitted"] {
        // Who has it may map root.
        container.push(&format!("/process/capabilities/{set}"), "CAP_SETFCAP");
    }
    // The unmounting must not reach the host, whatever the root is to share with it.
    for propagation in ["", "shared", "rshared"] {
        container.set("/linux/rootfsPropagation", propagation);
        let host = "\"$@\"; test -e /proc/self/status && mountpoint -q /sys && echo the host has them";
        let wrapper = ["unshare", "-m", "--propagation", "shared", "sh", "-c", host, "sh"];
        let out = container.with_bundle("run", &["--no-pivot"]).within(&wrapper).output();
        assert_eq!(out.stdout, "the host has them\n", "{propagation}: {out}");
        assert!(out.stderr.contains("permission denied"), "{propagation}: {out}");
    }
}

#[test]
fn files_of_procfs_that_engines_emulate_can_be_covered() {
    let mut container = Container::sh("cat /proc/uptime");
    let file = container.home().join("uptime");
    fs::write(&file, "1.00 1.00\n").expect("a new file");
    let source = file.to_string_lossy().into_owned();
    container.push("/mounts", json!({"destination": "/proc/uptime", "source": source, "options": ["bind"]}));
    assert_eq!(container.run().ok().stdout, "1.00 1.00\n");
}

#[test]
fn a_directory_of_devices_that_is_a_link_stays_in_the_root() {
    let cases = [("absolute", false), ("absolute", true), ("relative", false), ("relative", true)];
    for (link, with_mount) in cases {
        let mut container = Container::sh("true");
        let victim = container.home().join("victim");
        fs::create_dir(&victim).expect("a new directory");
        fs::write(victim.join("ptmx"), "precious").expect("a new file");
        let dev = container.bundle.rootfs().join("dev");
        fs::remove_dir(&dev).expect("it is empty");
        let to_host = format!("{}{}", "../".repeat(40), victim.to_string_lossy());
        let target = if link == "absolute" { victim.to_string_lossy().into_owned() } else { to_host };
        symlink(target, &dev).expect("a new link");
        if !with_mount {
            let mounts = container.bundle.config["mounts"].as_array_mut().expect("a list");
            mounts.retain(|mount| !mount["destination"].as_str().unwrap_or_default().starts_with("/dev"));
        }
        container.set("/root/readonly", false).set("/linux/maskedPaths", json!([]));
        container.run();
        let names: Vec<_> =
            fs::read_dir(&victim).expect("it is there").flatten().map(|e| e.file_name()).collect();
        assert_eq!(names, ["ptmx"], "{link}, {with_mount}");
        assert_eq!(fs::read_to_string(victim.join("ptmx")).expect("it is there"), "precious");
    }
}

#[test]
fn a_procfs_or_sysfs_is_not_mounted_through_a_link() {
    for name in ["proc", "sys"] {
        let container = Container::sh("echo ran");
        let root = container.bundle.rootfs();
        fs::remove_dir(root.join(name)).expect("it is empty");
        symlink("/tmp", root.join(name)).expect("a new link");
        let out = container.run();
        assert!(out.code != 0 && !out.stdout.contains("ran"), "{name}: {out}");
        container.assert_no_leaks();
    }
}

#[test]
fn no_descriptor_leads_out_of_the_root() {
    for number in 3..40 {
        let mut container = Container::sh("pwd -P; ls /proc/self/cwd/etc/hostname");
        container.set("/process/cwd", format!("/proc/self/fd/{number}"));
        let out = container.run();
        assert!(!out.stdout.contains("hostname"), "{number}: {out}");
    }
    let container = Container::lasting();
    container.up();
    for number in 3..40 {
        let cwd = format!("/proc/self/fd/{number}");
        let out = container.exec_command(&["--cwd", &cwd], &["ls", "/proc/self/cwd/etc/hostname"]).output();
        assert!(!out.stdout.contains("hostname"), "{number}: {out}");
    }
}

#[test]
fn what_hides_a_path_is_the_null_device_and_nothing_in_its_place() {
    let mut container = Container::sh("echo ran");
    let dev = container.bundle.rootfs().join("dev");
    symlink("/proc/sys/kernel/core_pattern", dev.join("null")).expect("a new link");
    let mounts = container.bundle.config["mounts"].as_array_mut().expect("a list");
    mounts.retain(|mount| !mount["destination"].as_str().unwrap_or_default().starts_with("/dev"));
    let out = container.run();
    assert!(out.code != 0 && !out.stdout.contains("ran"), "{out}");
    container.assert_no_leaks();
}

#[test]
fn a_terminal_comes_from_devpts_and_nothing_in_its_place() {
    let mut container = Container::sh("echo ran");
    container.set("/process/terminal", true);
    let pts = container.bundle.rootfs().join("dev/pts");
    fs::create_dir(&pts).expect("a new directory");
    symlink("/dev/null", pts.join("ptmx")).expect("a new link");
    let mounts = container.bundle.config["mounts"].as_array_mut().expect("a list");
    mounts.retain(|mount| !mount["destination"].as_str().unwrap_or_default().starts_with("/dev"));
    let out = container.run();
    assert!(out.code != 0 && !out.stdout.contains("ran"), "{out}");
    container.assert_no_leaks();
}

#[test]
fn the_hosts_null_device_is_not_the_containers_to_change() {
    let before = fs::metadata("/dev/null").expect("the host has one").mode();
    let mut container =
        Container::sh("chmod 600 /proc/self/fd/0; stat -L -c %a /proc/self/fd/0; echo >/proc/self/fd/0");
    container.set("/process/capabilities/effective", json!(["CAP_FOWNER"]));
    container.set("/process/capabilities/permitted", json!(["CAP_FOWNER"]));
    container.set("/process/capabilities/bounding", json!(["CAP_FOWNER"]));
    let out = container.with_bundle::<&str>("run", &[]).output();
    let after = fs::metadata("/dev/null").expect("the host has one");
    if after.mode() != before {
        fs::set_permissions("/dev/null", fs::Permissions::from_mode(before & 0o7777)).expect("it is ours");
        panic!("the host's /dev/null was changed: {out}");
    }
    assert_eq!(out.ok().stdout, "600\n");
}

#[test]
fn mounts_made_in_a_user_namespace_do_not_appear_on_the_host() {
    let mut container = Container::sh("mount -t tmpfs none /mnt/inner && echo mounted");
    let source = container.home().join("source");
    fs::create_dir(&source).expect("a new directory");
    let text = source.to_string_lossy().into_owned();
    let mount = |args: &[&str]| {
        let status = Command::new("mount").args(args).arg(&source).status().expect("mount is there");
        assert!(status.success(), "mount {args:?}");
    };
    mount(&["-t", "tmpfs", "none"]);
    mount(&["--make-shared"]);
    fs::create_dir(source.join("inner")).expect("a new directory");
    add_user_namespace(&mut container.bundle.config, &[(0, HOST_ID, 65536)]);
    for set in ["bounding", "permitted", "effective"] {
        container.set(&format!("/process/capabilities/{set}"), json!(["CAP_SYS_ADMIN"]));
    }
    container.push("/mounts", json!({"destination": "/mnt", "source": text, "options": ["rbind"]}));
    let out = container.run();
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("procfs is mounted");
    let seen: Vec<_> = mounts.lines().filter(|line| line.contains(&format!("{text}/"))).collect();
    Command::new("umount").arg("-R").arg(&source).status().expect("umount is there");
    assert_eq!(out.ok().stdout, "mounted\n");
    assert!(seen.is_empty(), "{seen:?}");
}
