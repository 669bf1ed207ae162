//! Containers of a user without privileges.
use std::fs;

use orlop_tests::spec::make_rootless;
use orlop_tests::unprivileged::{FIRST_SUBORDINATE, USER, Unprivileged};
use orlop_tests::{Container, Invocation, need};
use rustix::process::Signal;
use serde_json::json;

/// A container in the hands of the user.
struct Rootless {
    container: Container,
    wrapper: Vec<String>,
}

impl Rootless {
    fn new(script: &str, change: impl FnOnce(&mut Container)) -> Self {
        let mut container = Container::sh(script);
        make_rootless(&mut container.bundle.config, USER, USER);
        change(&mut container);
        container.bundle.save();
        let user = Unprivileged::new(container.home());
        Self { wrapper: user.wrapper(), container }
    }

    fn run(&self) -> Invocation {
        self.container.with_bundle::<&str>("run", &[]).within(&self.wrapper)
    }

    fn command(&self, command: &str, flags: &[&str]) -> Invocation {
        self.container.command(command, flags).within(&self.wrapper)
    }
}

#[test]
fn an_unprivileged_user_can_run_a_container_as_its_root() {
    let rootless = Rootless::new("id -u; cat /proc/self/uid_map; echo $$", |_| {});
    let out = rootless.run().ok();
    let words: Vec<&str> = out.stdout.split_whitespace().collect();
    assert_eq!(words, ["0", "0", &USER.to_string(), "1", "1"], "{out}");
}

#[test]
fn what_the_containers_root_writes_belongs_to_the_user() {
    let rootless = Rootless::new("echo x >/home/mine", |c| {
        c.set("/root/readonly", false);
    });
    rootless.run().ok();
    let file = rootless.container.bundle.rootfs().join("home/mine");
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(file).expect("it was made"));
    assert_eq!(owner, USER);
}

#[test]
fn subordinate_ids_are_mapped_by_newuidmap() {
    need!(need::program("newuidmap"), "uidmap is not installed");
    let rootless = Rootless::new("cat /proc/self/uid_map; id -u", |c| {
        let mappings = json!([
            {"containerID": 0, "hostID": USER, "size": 1},
            {"containerID": 1, "hostID": FIRST_SUBORDINATE, "size": 65535}
        ]);
        c.set("/linux/uidMappings", mappings.clone()).set("/linux/gidMappings", mappings);
        c.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    });
    let out = rootless.run().ok();
    let words: Vec<&str> = out.stdout.split_whitespace().collect();
    assert_eq!(words, ["0", &USER.to_string(), "1", "1", &FIRST_SUBORDINATE.to_string(), "65535", "1000"]);
}

#[test]
fn ids_that_are_not_the_users_cannot_be_mapped() {
    let rootless = Rootless::new("echo ran", |c| {
        let mappings = json!([
            {"containerID": 0, "hostID": USER, "size": 1},
            {"containerID": 1, "hostID": 0, "size": 1}
        ]);
        c.set("/linux/uidMappings", mappings.clone()).set("/linux/gidMappings", mappings);
    });
    let out = rootless.run().output();
    assert!(out.code != 0 && !out.stdout.contains("ran"), "{out}");
    rootless.container.assert_no_leaks();
}

#[test]
fn the_whole_lifecycle_works_without_privileges() {
    let rootless = Rootless::new("trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done", |_| {});
    let container = &rootless.container;
    let pid_file = container.pid_file();
    let flags = ["--pid-file".as_ref(), pid_file.as_os_str()];
    container.with_bundle("create", &flags).within(&rootless.wrapper).ok();
    container.adopt();
    let status = || {
        let out = rootless.command("state", &[]).ok();
        let state: serde_json::Value = serde_json::from_str(&out.stdout).expect("JSON");
        state["status"].as_str().expect("a string").to_owned()
    };
    assert_eq!(status(), "created");
    rootless.command("start", &[]).ok();
    assert_eq!(status(), "running");
    let exec = rootless.command("exec", &[]).args(["id", "-u"]).ok();
    assert_eq!(exec.stdout, "0\n");
    rootless.command("kill", &[]).arg("KILL").ok();
    assert_eq!(container.wait(), 128 + 9);
    rootless.command("delete", &[]).ok();
    container.assert_no_leaks();
}

#[test]
fn a_container_has_no_hold_of_the_runtime_that_adds_a_process() {
    let script = "trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done";
    // The host side has to reach the processes nevertheless, as it does for this.
    let rootless = Rootless::new(script, |c| {
        c.set("/process/oomScoreAdj", 567);
    });
    let container = &rootless.container;
    let mut up = container.fifo("up");
    std::os::unix::fs::chown(up.path(), Some(USER), Some(USER)).expect("root may give files away");
    let pid_file = container.pid_file();
    let flags = ["--detach".as_ref(), "--pid-file".as_ref(), pid_file.as_os_str()];
    container.with_bundle("run", &flags).within(&rootless.wrapper).ok();
    container.adopt();
    let script = ["sh", "-c", "cat /proc/self/oom_score_adj; echo up >/up; exec sleep 1000"];
    let exec = rootless.command("exec", &[]).args(script).spawn();
    up.line();
    // Both share memory for a moment, in which who may trace the one has the other. That nobody may shows in the owner.
    let files = fs::metadata(format!("/proc/{}/environ", exec.pid())).expect("it waits");
    exec.signal(Signal::TERM);
    assert_eq!(exec.wait().stdout, "567\n");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&files), 0, "it cannot be dumped nor traced");
}

#[test]
fn spec_rootless_makes_a_bundle_that_the_user_can_run() {
    let rootless = Rootless::new("true", |_| {});
    let container = &rootless.container;
    fs::remove_file(container.bundle.path().join("config.json")).expect("it was saved");
    let bundle = container.bundle.path().to_string_lossy().into_owned();
    container.runtime().args(["spec", "--rootless", "--bundle", &bundle]).within(&rootless.wrapper).ok();
    let path = container.bundle.path().join("config.json");
    let text = fs::read_to_string(&path).expect("spec wrote it");
    let mut config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(config["linux"]["uidMappings"][0]["hostID"], USER);
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/bin/sh", "-c", "echo rootless"]);
    fs::write(&path, config.to_string()).expect("it is ours");
    let run = container.runtime().args(["run", "--bundle", &bundle, &container.id]);
    assert_eq!(run.within(&rootless.wrapper).ok().stdout, "rootless\n");
}

#[test]
fn a_user_may_have_other_clocks_and_lower_priorities() {
    need!(
        fs::exists("/proc/self/timens_offsets").is_ok_and(|there| there),
        "a kernel without time namespaces"
    );
    let rootless =
        Rootless::new("cat /proc/self/timens_offsets; ionice; cut -d ' ' -f 19,41 /proc/self/stat", |c| {
            c.push("/linux/namespaces", json!({"type": "time"}))
                .set("/linux/timeOffsets", json!({"monotonic": {"secs": 60}}))
                .set("/process/scheduler", json!({"policy": "SCHED_BATCH", "nice": 3}))
                .set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 6}));
        });
    let out = rootless.run().ok();
    let words: Vec<&str> = out.stdout.split_whitespace().collect();
    let expected = "monotonic 60 0 boottime 0 0 best-effort: prio 6 3 3";
    assert_eq!(words.join(" "), expected, "{out}");
}
