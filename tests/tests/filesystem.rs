//! `root`, `mounts`, `linux.devices`, `maskedPaths`, `readonlyPaths` and `rootfsPropagation`.
use std::fs;
use std::path::PathBuf;

use orlop_tests::container::printed;
use orlop_tests::{Container, need, runtime};
use serde_json::json;

/// A directory of this container's home, bound to `/mnt` with some options.
fn bind(container: &mut Container, options: &[&str]) -> PathBuf {
    let source = container.home().join("source");
    fs::create_dir(&source).expect("a new directory");
    fs::write(source.join("file"), "from the host\n").expect("a new file");
    let source_text = source.to_string_lossy().into_owned();
    container.push("/mounts", json!({"destination": "/mnt", "source": source_text, "options": options}));
    source
}

#[test]
fn the_root_is_the_bundles_and_nothing_of_the_host_is_in_sight() {
    let out = printed("ls /; ls /proc/1/root/; cat /proc/self/mountinfo", &[]);
    assert!(!out.contains("usr") && !out.contains("/target"), "{out}");
}

#[test]
fn root_path_may_be_absolute() {
    let mut container = Container::sh("echo here");
    let path = container.bundle.rootfs().to_string_lossy().into_owned();
    container.set("/root/path", path);
    assert_eq!(container.run().ok().stdout, "here\n");
}

#[test]
fn a_readonly_root_cannot_be_written() {
    let out = Container::sh("echo x >/tmp/x").run();
    assert!(out.code != 0 && out.stderr.contains("Read-only"), "{out}");
}

#[test]
fn a_writable_root_can_be_written_and_shows_on_the_host() {
    let mut container = Container::sh("echo kept >/home/x");
    container.set("/root/readonly", false);
    container.run().ok();
    assert_eq!(fs::read_to_string(container.bundle.rootfs().join("home/x")).expect("it was made"), "kept\n");
}

#[test]
fn mountpoints_that_are_absent_are_created() {
    let mut container = Container::sh("cat /deep/er/still/x; cat /one/file");
    container.push("/mounts", json!({"destination": "/deep/er/still", "type": "tmpfs", "source": "tmpfs"}));
    let file = container.home().join("one");
    fs::write(&file, "a file\n").expect("a new file");
    let source = file.to_string_lossy().into_owned();
    container.push("/mounts", json!({"destination": "/one/file", "source": source, "options": ["bind"]}));
    container.set(
        "/process/args",
        json!(["sh", "-c", "echo tmp >/deep/er/still/x; cat /deep/er/still/x /one/file"]),
    );
    assert_eq!(container.run().ok().stdout, "tmp\na file\n");
}

#[test]
fn mounts_are_made_in_the_order_listed() {
    let mut container = Container::sh("mount | grep -c /mnt; ls /mnt");
    for place in ["/mnt", "/mnt/inner", "/mnt"] {
        container.push("/mounts", json!({"destination": place, "type": "tmpfs", "source": "tmpfs"}));
    }
    assert_eq!(container.run().ok().stdout, "3\n", "the last one hides the others");
}

#[test]
fn default_devices_are_there_and_work() {
    let script = "for d in null zero full random urandom tty; do [ -c /dev/$d ] || echo no $d; done; \
                  head -c 3 /dev/zero | wc -c; head -c 5 /dev/urandom | wc -c; \
                  echo x >/dev/null && echo written; echo x 2>/dev/null >/dev/full || echo full; [ -e /dev/ptmx ] && echo ptmx";
    assert_eq!(printed(script, &[]), "3\n5\nwritten\nfull\nptmx\n");
}

#[test]
fn default_symlinks_are_there() {
    let out = printed("for l in fd stdin stdout stderr; do readlink /dev/$l; done", &[]);
    assert_eq!(out, "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\n");
}

#[test]
fn default_devices_are_there_when_dev_is_not_mounted_in_the_bundle() {
    let mut container = Container::sh("[ -c /dev/null ] && echo null");
    container.set("/root/readonly", false);
    container.bundle.config["mounts"]
        .as_array_mut()
        .expect("a list")
        .retain(|mount| !mount["destination"].as_str().unwrap_or_default().starts_with("/dev"));
    assert_eq!(container.run().ok().stdout, "null\n");
}

#[test]
fn devices_of_the_configuration_are_made_as_it_says() {
    let mut container = Container::sh("stat -c '%t:%T %a %u:%g' /dev/extra; stat -c %F /dev/pipe");
    container.push(
        "/linux/devices",
        json!({"path": "/dev/extra", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 7, "gid": 8}),
    );
    container.push("/linux/devices", json!({"path": "/dev/pipe", "type": "p"}));
    assert_eq!(container.run().ok().stdout, "1:3 640 7:8\nfifo\n");
}

#[test]
fn tmpfs_options_are_honoured() {
    let script =
        "grep ' /fresh ' /proc/mounts; stat -c '%a' /fresh; df -k /fresh | tail -n 1 | awk '{print $2}'";
    let mut container = Container::sh(script);
    let options = ["nosuid", "noexec", "nodev", "size=1024k", "mode=0710"];
    container.push(
        "/mounts",
        json!({"destination": "/fresh", "type": "tmpfs", "source": "mine", "options": options}),
    );
    let out = container.run().ok();
    for word in ["mine", "nosuid", "noexec", "nodev"] {
        assert!(out.lines()[0].contains(word), "{out}");
    }
    assert_eq!(out.lines()[1..], ["710", "1024"]);
}

#[test]
fn a_bind_mount_shows_the_host_directory_and_can_be_written() {
    let mut container = Container::sh("cat /mnt/file; echo from inside >/mnt/new");
    let source = bind(&mut container, &["bind", "rw"]);
    assert_eq!(container.run().ok().stdout, "from the host\n");
    assert_eq!(fs::read_to_string(source.join("new")).expect("it was made"), "from inside\n");
}

#[test]
fn a_readonly_bind_mount_cannot_be_written() {
    let mut container = Container::sh("cat /mnt/file; echo x >/mnt/new");
    bind(&mut container, &["rbind", "ro"]);
    let out = container.run();
    assert_eq!(out.stdout, "from the host\n");
    assert!(out.code != 0 && out.stderr.contains("Read-only"), "{out}");
}

#[test]
fn options_of_a_bind_mount_are_set_on_it() {
    let mut container = Container::sh("grep ' /mnt ' /proc/mounts");
    bind(&mut container, &["bind", "nosuid", "nodev", "noexec", "noatime", "ro"]);
    let out = container.run().ok();
    for word in ["ro,", "nosuid", "nodev", "noexec", "noatime"] {
        assert!(out.stdout.contains(word), "{word}: {out}");
    }
}

#[test]
fn a_recursive_bind_mount_brings_the_mounts_below_and_a_plain_one_does_not() {
    for (option, expected) in [("rbind", "inner\n"), ("bind", "")] {
        let mut container = Container::sh("ls /mnt/below");
        let source = bind(&mut container, &[option]);
        fs::create_dir(source.join("below")).expect("a new directory");
        // The mount below is made in a private namespace, in which the runtime then runs.
        let script = format!(
            "mount -t tmpfs tmpfs {0}/below && touch {0}/below/inner && exec \"$@\"",
            source.display()
        );
        let wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-c", &script, "sh"];
        let out = container.with_bundle::<&str>("run", &[]).within(&wrapper).ok();
        assert_eq!(out.stdout, expected, "{option}");
    }
}

#[test]
fn a_file_can_be_bound() {
    let mut container = Container::sh("cat /etc/resolv.conf");
    let file = container.home().join("resolv.conf");
    fs::write(&file, "nameserver 192.0.2.1\n").expect("a new file");
    let source = file.to_string_lossy().into_owned();
    container.push(
        "/mounts",
        json!({"destination": "/etc/resolv.conf", "source": source, "options": ["bind", "ro"]}),
    );
    assert_eq!(container.run().ok().stdout, "nameserver 192.0.2.1\n");
}

#[test]
fn a_bind_source_may_be_relative_to_the_bundle() {
    let mut container = Container::sh("cat /mnt/x");
    let directory = container.bundle.path().join("data");
    fs::create_dir(&directory).expect("a new directory");
    fs::write(directory.join("x"), "relative\n").expect("a new file");
    container.push("/mounts", json!({"destination": "/mnt", "source": "data", "options": ["bind"]}));
    assert_eq!(container.run().ok().stdout, "relative\n");
}

#[test]
fn a_destination_through_a_symlink_stays_inside_the_root() {
    let mut container = Container::sh("cat /way/file");
    let trap = container.home().join("outside");
    fs::create_dir(&trap).expect("a new directory");
    // Inside the container it points to /home/user; followed on the host it would lead to nowhere good.
    std::os::unix::fs::symlink("/home/user", container.bundle.rootfs().join("way")).expect("a new link");
    let source = container.home().join("source");
    fs::create_dir(&source).expect("a new directory");
    fs::write(source.join("file"), "inside\n").expect("a new file");
    let source = source.to_string_lossy().into_owned();
    container.push("/mounts", json!({"destination": "/way", "source": source, "options": ["bind"]}));
    assert_eq!(container.run().ok().stdout, "inside\n");
}

#[test]
fn propagation_of_a_mount_is_as_configured() {
    for (option, mark) in [("rshared", "shared:"), ("rslave", "master:"), ("rprivate", " - ")] {
        let mut container = Container::sh("grep ' /mnt ' /proc/self/mountinfo");
        let source = bind(&mut container, &["rbind", option]);
        // A slave needs a shared mount to be a slave of.
        let script = format!("mount --bind --make-shared {0} {0} && exec \"$@\"", source.display());
        let wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-c", &script, "sh"];
        let out = container.with_bundle::<&str>("run", &[]).within(&wrapper).ok();
        assert!(out.stdout.contains(mark), "{option}: {out}");
        if option == "rprivate" {
            assert!(!out.stdout.contains("shared:") && !out.stdout.contains("master:"), "{out}");
        }
    }
}

#[test]
fn rootfs_propagation_is_as_configured() {
    let root = "awk '$5 == \"/\"' /proc/self/mountinfo";
    let private = printed(root, &[("/linux/rootfsPropagation", json!("private"))]);
    assert!(!private.contains("shared:") && !private.contains("master:"), "{private}");
}

#[test]
fn a_shared_root_is_shared() {
    need!(runtime::is_orlop(), "runc makes the root shared only where it is a mount already");
    let out =
        printed("awk '$5 == \"/\"' /proc/self/mountinfo", &[("/linux/rootfsPropagation", json!("shared"))]);
    assert!(out.contains("shared:"), "{out}");
}

#[test]
fn masked_paths_cannot_be_read() {
    let script = "cat /etc/secret | wc -c; ls /home | wc -l; cat /proc/kcore | head -c 1 | wc -c";
    let masked = json!(["/etc/secret", "/home", "/proc/kcore", "/no/such/path"]);
    let mut container = Container::sh(script);
    fs::write(container.bundle.rootfs().join("etc/secret"), "secret\n").expect("a new file");
    container.set("/linux/maskedPaths", masked);
    assert_eq!(container.run().ok().stdout, "0\n0\n0\n");
}

#[test]
fn readonly_paths_cannot_be_written() {
    let script =
        "echo x >/home/user/x; echo 1 >/proc/sys/kernel/shmmni; echo y >/tmp/y && echo tmp is writable";
    let mut container = Container::sh(script);
    container
        .set("/root/readonly", false)
        .set("/linux/readonlyPaths", json!(["/home", "/proc/sys", "/no/such"]));
    let out = container.run();
    assert_eq!(out.stdout, "tmp is writable\n");
    assert_eq!(out.stderr.matches("Read-only").count(), 2, "{out}");
}

#[test]
fn a_mount_of_the_cgroup_type_shows_the_containers_own_groups() {
    let script = "ls /sys/fs/cgroup | wc -l; \
                  for d in /sys/fs/cgroup /sys/fs/cgroup/*/; do mkdir $d/new 2>/dev/null && echo $d; done; :";
    let mut container = Container::sh(script);
    container.push("/linux/namespaces", json!({"type": "cgroup"}));
    let out = container.run().ok();
    assert_ne!(out.lines()[0], "0", "something is mounted");
    assert_eq!(out.lines()[1..], [""; 0], "and none of it can be written");
}

#[test]
fn proc_and_sys_are_the_containers() {
    let out = printed("grep -c . /proc/net/dev; ls -d /proc/[0-9]* | wc -l; ls /sys/class/net", &[]);
    let lines: Vec<&str> = out.lines().collect();
    let processes: u32 = lines[1].parse().expect("a number");
    assert!(processes <= 3, "{out}");
    assert!(!out.contains("eth0"), "{out}");
}

#[test]
fn a_mount_with_an_unknown_option_for_its_file_system_is_refused() {
    let mut container = Container::sh("true");
    container.push(
        "/mounts",
        json!({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": ["frobnicate=1"]}),
    );
    let out = container.run();
    assert_ne!(out.code, 0, "{out}");
    container.assert_no_leaks();
}

#[test]
fn a_bind_source_that_does_not_exist_is_refused_and_named() {
    let mut container = Container::sh("true");
    container
        .push("/mounts", json!({"destination": "/mnt", "source": "/no/such/source", "options": ["bind"]}));
    container.run().fails_with("/no/such/source");
    container.assert_no_leaks();
}

#[test]
fn a_tmpfs_is_like_the_directory_that_it_covers() {
    let mut container = Container::sh(
        "stat -c '%a %u:%g %n' /old /old/set /old/dir /plain /new; cat /old/set; readlink /old/link; ls /plain; echo x >/old/dir/x",
    );
    let rootfs = container.bundle.rootfs();
    for name in ["old", "old/dir", "plain"] {
        fs::create_dir(rootfs.join(name)).expect("a new directory");
    }
    fs::write(rootfs.join("old/set"), "content\n").expect("a new file");
    std::os::unix::fs::symlink("set", rootfs.join("old/link")).expect("a new link");
    std::os::unix::fs::chown(rootfs.join("old/set"), Some(5), Some(6)).expect("root may");
    for (name, mode) in [("old", 0o751), ("old/set", 0o4755), ("old/dir", 0o1777), ("plain", 0o700)] {
        rustix::fs::chmod(rootfs.join(name), mode.into()).expect("our own file");
    }
    fs::write(rootfs.join("plain/hidden"), "").expect("a new file");
    for (place, options) in [("/old", json!(["tmpcopyup"])), ("/plain", json!([])), ("/new", json!([]))] {
        container.push(
            "/mounts",
            json!({"destination": place, "type": "tmpfs", "source": "tmpfs", "options": options}),
        );
    }
    let expected =
        "751 0:0 /old\n4755 5:6 /old/set\n1777 0:0 /old/dir\n700 0:0 /plain\n1777 0:0 /new\ncontent\nset\n";
    assert_eq!(container.run().ok().stdout, expected);
    assert!(!rootfs.join("old/dir/x").exists(), "it is a copy");
}
