//! Landlock by annotations: what is not allowed fails, for root with every capability too, and for processes that are added.
use std::fs;

use orlop_tests::{Container, need, runtime};
use serde_json::json;

const PREFIX: &str = "run.orlop.landlock.";

/// A container with these annotations and a script.
fn with(annotations: &[(&str, &str)], script: &str) -> Container {
    let mut container = Container::sh(script);
    for (key, value) in annotations {
        container.bundle.config["annotations"][format!("{PREFIX}{key}")] = json!(value);
    }
    container.set("/root/readonly", false);
    container.set("/process/noNewPrivileges", true);
    container
}

/// The paths that programs of the small root file system need.
const PROGRAMS: (&str, &str) = ("read", "/bin:/dev:/proc:/etc/passwd");

/// Whether the kernel has this version of Landlock, by its own words in an error.
fn has(key: &str, value: &str) -> bool {
    let container = with(&[PROGRAMS, (key, value)], "true");
    let out = container.run();
    assert!(out.code == 0 || out.stderr.contains("Landlock"), "{out}");
    out.code == 0
}

macro_rules! need_landlock {
    ($key:expr, $value:expr) => {
        need!(runtime::is_orlop(), "the annotations are ours");
        need!(has($key, $value), "this kernel's Landlock does not have {}", $key);
    };
}

#[test]
fn files_are_read_and_written_only_where_it_is_allowed() {
    need_landlock!("write", "/tmp");
    let script = "id -u; cat /etc/passwd >/dev/null 2>&1 && echo passwd; cat /etc/group 2>&1
        echo x >/tmp/new && cat /tmp/new; mv /tmp/new /tmp/newer && mkdir /tmp/d && ln -s a /tmp/d/b && rm -r /tmp/d && echo changed
        echo x >/etc/passwd; echo x >/root/new; mkdir /mnt/d; mv /etc/group /tmp/; ls /root";
    let container = with(&[PROGRAMS, ("write", "/tmp:/dev/null")], script);
    let out = container.run();
    let words = out.stdout.replace('\n', "|");
    assert!(words.starts_with("0|passwd|"), "{out}");
    assert!(words.contains("can't open '/etc/group': Permission denied"), "{out}");
    assert!(words.contains("x|changed|"), "{out}");
    for denied in [
        "can't create /etc/passwd",
        "can't create /root/new",
        "can't create directory '/mnt/d'",
        "can't rename '/etc/group'",
        "can't open '/root'",
    ] {
        assert!(out.stderr.contains(denied), "{denied}: {out}");
    }
    let rootfs = container.bundle.rootfs();
    assert!(rootfs.join("etc/group").exists() && rootfs.join("tmp/newer").exists());
    assert!(!rootfs.join("root/new").exists() && !rootfs.join("mnt/d").exists());
}

#[test]
fn added_processes_have_the_same_limits_whoever_they_are() {
    need_landlock!("write", "/tmp");
    let container = with(&[PROGRAMS, ("write", "/tmp:/dev/null")], "exec sleep 1000");
    container.up();
    let tried =
        "echo x >/tmp/by-exec && cat /tmp/by-exec; cat /etc/group; echo x >/home/user/new; exec /bin/true";
    for user in ["0", "1000"] {
        fs::remove_file(container.bundle.rootfs().join("tmp/by-exec")).ok();
        let out = container.exec_command(&["--user", user], &["sh", "-c", tried]).ok();
        assert_eq!(out.stdout, "x\n", "{out}");
        assert!(out.stderr.contains("/etc/group': Permission denied"), "{out}");
        assert!(out.stderr.contains("can't create /home/user/new"), "{out}");
    }
    // Nobody who is added may do what the first process may not, by being given capabilities either.
    let out = container
        .exec_command(&["--cap", "CAP_SYS_ADMIN"], &["sh", "-c", "mount -t tmpfs none /tmp; cat /etc/group"]);
    let out = out.output();
    assert!(out.code != 0 && out.stderr.contains("/etc/group': Permission denied"), "{out}");
    assert!(out.stderr.contains("mount:"), "mounting is denied as well: {out}");
}

#[test]
fn a_created_container_has_them_from_its_start() {
    need_landlock!("write", "/tmp");
    let mut container =
        with(&[PROGRAMS, ("write", "/tmp:/dev/null")], "cat /etc/group >/out 2>&1; exec sleep 1000");
    // Descriptors that are open are not asked again: the fifo is one of the program's streams.
    let mut out = container.fifo("tmp/out");
    container
        .set("/process/args/2", "{ cat /etc/group || echo denied; } >/tmp/out 2>/dev/null; exec sleep 1000");
    container.up();
    assert_eq!(out.line(), "denied");
}

#[test]
fn what_is_not_there_is_an_error_with_its_name() {
    need_landlock!("write", "/tmp");
    let container = with(&[("read", "/bin:/no/such/path")], "true");
    let out = container.run().fails_with("allow access to /no/such/path by Landlock");
    assert!(
        out.stderr.contains("ENOENT") && out.stderr.contains("/annotations/run.orlop.landlock.read"),
        "{out}"
    );
    // A program that it may not execute is one that cannot be started.
    let container = with(&[("read", "/etc")], "true");
    container.run().fails_with("ermission denied");
    // Links lead where they lead inside of the root, never to the host.
    let container = with(&[("read", "/bin:/away")], "cat /away/marker");
    let host = container.home().join("secret");
    fs::create_dir(&host).expect("a new directory");
    fs::write(host.join("marker"), "host").expect("a new file");
    std::os::unix::fs::symlink(&host, container.bundle.rootfs().join("away")).expect("a new link");
    container.run().fails_with("allow access to /away by Landlock");
}

#[test]
fn ports_are_used_only_where_it_is_allowed() {
    need_landlock!("tcp-bind", "80");
    // One that listens does so until its time is over; one that may not is done at once.
    let script = "timeout 1 nc -l -p 8080 127.0.0.1; echo listened until $?
        nc -l -p 8081 127.0.0.1; nc -w 1 127.0.0.1 8082";
    let container = with(&[("tcp-bind", "8080"), ("tcp-connect", "")], script);
    let out = container.run();
    assert!(out.stdout.contains("listened until 143"), "{out}");
    assert!(out.stderr.contains("bind: Permission denied"), "{out}");
    assert!(out.stderr.contains("Permission denied") && out.stderr.contains("can't connect"), "{out}");
}

#[test]
fn signals_stay_inside() {
    need_landlock!("scope", "signal");
    // Both see each other's processes, and both are root's.
    let mut other = Container::lasting();
    other.up();
    let script = format!("kill -0 $$ && echo own; kill -9 {}", other.pid());
    let mut container = with(&[("scope", "signal")], &script);
    container.bundle.remove_namespace("pid");
    let out = container.run();
    assert_eq!(out.stdout, "own\n", "{out}");
    assert!(out.stderr.contains("ermitted"), "{out}");
    assert_eq!(other.status(), "running");
    other.set("/hostname", "x");
}

#[test]
fn it_needs_to_be_able_to_hold() {
    need!(runtime::is_orlop(), "the annotations are ours");
    let mut container = with(&[("read", "/")], "true");
    container.set("/process/noNewPrivileges", false);
    container.run().fails_with("Landlock needs process.noNewPrivileges");
    let container = with(&[("reads", "/")], "true");
    container.run().fails_with("run.orlop.landlock.reads is none of Landlock's");
}
