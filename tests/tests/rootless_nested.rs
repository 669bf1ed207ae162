//! The runtime in a user namespace, and in a container of its own.
use std::fs;
use std::path::Path;

use orlop_tests::rootless::{Rootless, map};
use orlop_tests::spec::{self, HOST_ID};
use orlop_tests::unprivileged::{FIRST_SUBORDINATE, USER};
use orlop_tests::{Bundle, Container, Output, need, runtime};
use serde_json::{Value, json};

const AS_ROOT: [&str; 3] = ["unshare", "--user", "--map-root-user"];
const WITH_RANGES: [&str; 4] = ["unshare", "--user", "--map-root-user", "--map-auto"];

/// A config as it is for root, but for what one id cannot have: the group of terminals.
fn like_roots(container: &mut Container) {
    container.bundle.config = spec::default();
    container.set(
        "/process/args",
        json!(["sh", "-c", "id -u; cat /proc/self/uid_map; test -c /dev/null && echo null; echo $$"]),
    );
    container.bundle.remove("/mounts/2/options/5").remove("/linux/resources");
}

#[test]
fn the_root_of_a_user_namespace_makes_containers_without_another() {
    let rootless = Rootless::new("", like_roots).inside(&AS_ROOT);
    let out = rootless.run().ok();
    let words: Vec<&str> = out.stdout.split_whitespace().collect();
    assert_eq!(words, ["0", "0", &USER.to_string(), "1", "null", "1"], "{out}");
}

#[test]
fn the_root_of_a_user_namespace_makes_containers_in_one_below() {
    let rootless = Rootless::new("cat /proc/self/uid_map /proc/self/setgroups", |c| map(c, &[(0, 0, 1)]));
    let rootless = rootless.inside(&AS_ROOT);
    assert_eq!(rootless.run().ok().stdout.split_whitespace().collect::<Vec<_>>(), ["0", "0", "1", "deny"]);
}

#[test]
fn with_ranges_a_namespaces_root_is_like_the_hosts() {
    need!(need::program("newuidmap"), "uidmap is not installed");
    // As `podman unshare` does it. The root there may map without any helper, and /etc/subuid knows nothing of it.
    let rootless = Rootless::new("cat /proc/self/uid_map; id -G; id -u", |c| {
        map(c, &[(0, 1, 1), (1, 1000, 100)]);
        c.set("/process/user", json!({"uid": 50, "gid": 50, "additionalGids": [60]}));
    });
    let rootless = rootless.inside(&WITH_RANGES);
    let out = rootless.run().ok();
    assert_eq!(
        out.stdout.split_whitespace().collect::<Vec<_>>(),
        ["0", "1", "1", "1", "1000", "100", "50", "60", "50"]
    );

    let like_root = Rootless::new("", |c| {
        like_roots(c);
        c.set("/mounts/2/options/-", "gid=5");
        c.set("/process/user", json!({"uid": 1000, "gid": 1000, "additionalGids": [5]}));
        c.set(
            "/process/args",
            json!(["sh", "-c", "id -u; id -G; stat -c %g /dev/pts/ptmx; head -n 2 /proc/self/uid_map"]),
        );
    });
    let out = like_root.inside(&WITH_RANGES).run().ok();
    let expected =
        ["1000", "1000", "5", "0", "0", &USER.to_string(), "1", "1", &FIRST_SUBORDINATE.to_string(), "65535"];
    let words: Vec<&str> = out.stdout.split_whitespace().collect();
    // util-linux maps 65535 or all 65536 of the ids, by its version.
    assert_eq!(words[..9], expected[..9], "{out}");
}

#[test]
fn the_whole_lifecycle_works_in_a_user_namespace() {
    let rootless = Rootless::new("", |c| {
        like_roots(c);
        c.set("/process/args", json!(["sleep", "1000"]));
    });
    let rootless = rootless.inside(&AS_ROOT);
    rootless.create();
    // Another namespace with the same mapping has no rights over the first one's: the container's own is joined.
    let pid = rootless.container.pid().to_string();
    let joined = ["nsenter", "--user", "--target", &pid];
    let within = |command: &str| rootless.container.command::<&str>(command, &[]).within(&joined);
    within("start").ok();
    assert!(within("state").ok().stdout.contains("running"));
    assert_eq!(within("exec").args(["sh", "-c", "id -u; echo $$"]).ok().lines()[0], "0");
    within("kill").arg("KILL").ok();
    assert_eq!(rootless.container.wait(), 128 + 9);
    rootless.container.command::<&str>("delete", &[]).ok();
    rootless.container.assert_no_leaks();
}

#[test]
fn what_the_kernel_keeps_from_a_user_namespace_is_explained() {
    need!(runtime::is_orlop(), "the words are orlop's");
    // A new sysfs takes the network namespace.
    let rootless = Rootless::new("", |c| {
        like_roots(c);
        c.bundle.remove("/linux/namespaces/1");
    });
    let out = rootless.inside(&AS_ROOT).run().output().fails_with("mount sysfs at /sys (/mounts/5");
    assert!(out.stderr.contains("EPERM"), "{out}");
    // In a new user namespace that much is known before.
    let rootless = Rootless::new("", |c| {
        c.push("/mounts", json!({"destination": "/sys", "type": "sysfs", "source": "sysfs"}));
    });
    rootless.run().output().fails_with("sysfs cannot be mounted: it would show the host's network namespace");
    // A kernel parameter of the host, an OOM score below the caller's, and a device that the host does not have.
    for (pointer, value, words) in [
        ("/linux/sysctl", json!({"kernel.msgmax": "8192"}), "ran"),
        ("/linux/sysctl", json!({"kernel.pid_max": "9999"}), "belongs to no namespace"),
        ("/process/oomScoreAdj", json!(-999), "oom_score_adj"),
        (
            "/linux/devices",
            json!([{"path": "/dev/no-such", "type": "c", "major": 1, "minor": 3}]),
            "/dev/no-such",
        ),
        (
            "/process/rlimits",
            json!([{"type": "RLIMIT_NOFILE", "hard": 99_999_999, "soft": 5}]),
            "RLIMIT_NOFILE",
        ),
    ] {
        let rootless = Rootless::new("", |c| {
            like_roots(c);
            c.set("/process/args", json!(["sh", "-c", "echo ran >&2"])).set(pointer, value);
        });
        let rootless = rootless.inside(&AS_ROOT);
        let out = rootless.run().output();
        assert!(out.stderr.contains(words) || out.stderr.contains(pointer), "{pointer}: {out}");
        assert_eq!(out.code == 0, words == "ran", "{pointer}: {out}");
        rootless.container.assert_no_leaks();
    }
}

/// A container with the runtime at `/bin/runtime` in it, and a bundle at `/inner`.
struct Nest {
    outer: Container,
    inner: Bundle,
}

impl Nest {
    /// The outer container runs `run` of the inner bundle; it sees all of `/proc` and has its own cgroups, writable.
    fn new() -> Self {
        let script = "exec /bin/runtime --root /run/state run --bundle /inner inner";
        let mut outer = Container::sh(script);
        let inner = Bundle::make(&outer.bundle.rootfs().join("inner"));
        // Whoever root is in there, it may not make mount points in what belongs to the host's.
        fs::write(outer.bundle.rootfs().join("bin/runtime"), "").expect("a new file");
        outer.push(
            "/mounts",
            json!({"destination": "/bin/runtime", "source": runtime::binary(), "options": ["bind", "ro"]}),
        );
        for libraries in ["/lib", "/lib64", "/usr"].into_iter().filter(|path| Path::new(path).exists()) {
            let options = json!(["rbind", "ro"]);
            fs::create_dir(outer.bundle.rootfs().join(&libraries[1..])).expect("a new directory");
            outer.push("/mounts", json!({"destination": libraries, "source": libraries, "options": options}));
        }
        outer.push(
            "/mounts",
            json!({"destination": "/run", "type": "tmpfs", "source": "tmpfs", "options": ["mode=777"]}),
        );
        outer
            .set("/linux/maskedPaths", json!([]))
            .set("/linux/readonlyPaths", json!([]))
            .set("/root/readonly", false);
        outer.push("/linux/namespaces", json!({"type": "cgroup"}));
        let mount = outer.bundle.config["mounts"]
            .as_array()
            .expect("a list")
            .iter()
            .position(|m| m["type"] == "cgroup");
        let mount = format!("/mounts/{}", mount.expect("it is there"));
        // On a host with version 1, type "cgroup" would show that only.
        outer.set(&format!("{mount}/type"), "cgroup2");
        outer.set(&format!("{mount}/options"), json!(["nosuid", "noexec", "nodev"]));
        let all = all_capabilities();
        outer.set("/process/capabilities", json!({"bounding": all, "permitted": all, "effective": all}));
        outer.set("/linux/resources/devices", json!([{"allow": true, "access": "rwm"}]));
        outer.set("/process/noNewPrivileges", false);
        Self { outer, inner }
    }

    fn run(&self) -> Output {
        self.inner.save();
        self.outer.run()
    }
}

/// What this process may give.
fn all_capabilities() -> Vec<String> {
    let names = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_ADMIN NET_RAW \
                 IPC_LOCK SYS_CHROOT SYS_PTRACE SYS_ADMIN SYS_NICE MKNOD AUDIT_WRITE SETFCAP BPF";
    names.split_whitespace().map(|name| format!("CAP_{name}")).collect()
}

fn says(words: &str) -> Value {
    json!(["sh", "-c", words])
}

#[test]
fn a_container_with_every_right_makes_containers_as_the_host_does() {
    let mut nest = Nest::new();
    nest.inner.set(
        "/process/args",
        says("echo $$; id -u; cut -d: -f3 /proc/self/cgroup | tail -n 1; test -c /dev/null && echo null"),
    );
    assert_eq!(nest.run().ok().stdout, "1\n0\n/inner\nnull\n");
}

#[test]
fn a_container_in_a_user_namespace_makes_containers_too() {
    let mut nest = Nest::new();
    spec::add_user_namespace(&mut nest.outer.bundle.config, &[(0, HOST_ID, 65536)]);
    nest.inner
        .remove("/linux/resources")
        .set("/process/args", says("id -u; cat /proc/self/uid_map; test -c /dev/null && echo null"));
    let out = nest.run().ok();
    let words: Vec<&str> = out.stdout.split_whitespace().collect();
    assert_eq!(words, ["0", "0", &HOST_ID.to_string(), "65536", "null"], "{out}");
    // And in a namespace below.
    spec::add_user_namespace(&mut nest.inner.config, &[(0, 1000, 10)]);
    nest.inner.remove("/mounts/2/options/5").set("/process/args", says("cat /proc/self/uid_map"));
    let out = nest.run().ok();
    assert_eq!(out.stdout.split_whitespace().collect::<Vec<_>>(), ["0", "1000", "10"]);
}

#[test]
fn a_user_in_a_container_makes_containers_in_a_user_namespace() {
    makes_containers_in_a_user_namespace(Nest::new());
}

#[test]
fn a_user_who_sees_no_cgroups_of_version_2_does_so_too() {
    let mut nest = Nest::new();
    let mounts = nest.outer.bundle.config["mounts"].as_array_mut().expect("a list");
    mounts.retain(|mount| mount["type"] != "cgroup2");
    makes_containers_in_a_user_namespace(nest);
}

fn makes_containers_in_a_user_namespace(mut nest: Nest) {
    nest.outer.set("/process/user", json!({"uid": 1000, "gid": 1000})).set("/process/noNewPrivileges", true);
    nest.outer.bundle.remove("/process/capabilities");
    spec::make_rootless(&mut nest.inner.config, 1000, 1000);
    nest.inner.set("/process/args", says("id -u; cat /proc/self/uid_map; echo $$"));
    let out = nest.run().ok();
    assert_eq!(out.stdout.split_whitespace().collect::<Vec<_>>(), ["0", "0", "1000", "1", "1"]);
}

#[test]
fn a_masked_proc_is_explained_and_can_be_bound_instead() {
    for user in [0, 1000] {
        let mut nest = Nest::new();
        nest.outer.set("/linux/maskedPaths", json!(["/proc/kcore", "/proc/keys"]));
        nest.outer.set("/process/user", json!({"uid": user, "gid": user}));
        if user == 0 {
            spec::add_user_namespace(&mut nest.outer.bundle.config, &[(0, HOST_ID, 65536)]);
            // What its own user namespace may uncover is no cover, so another one.
            spec::add_user_namespace(&mut nest.inner.config, &[(0, 0, 10)]);
            nest.inner.remove("/linux/resources");
        } else {
            spec::make_rootless(&mut nest.inner.config, user, user);
        }
        nest.inner.set("/process/args", says("echo ran; cat /proc/self/comm"));
        let out = nest.run();
        assert!(out.code != 0 && !out.stdout.contains("ran"), "user {user}: {out}");
        if runtime::is_orlop() {
            assert!(out.stderr.contains("mount proc at /proc (/mounts/0"), "user {user}: {out}");
        }
        let namespaces = nest.inner.config["linux"]["namespaces"].as_array_mut().expect("a list");
        namespaces.retain(|namespace| namespace["type"] != "pid");
        let bound = json!({"destination": "/proc", "type": "none", "source": "/proc", "options": ["rbind"]});
        nest.inner.set("/mounts/0", bound);
        assert!(nest.run().ok().stdout.starts_with("ran\n"), "user {user}");
    }
}
