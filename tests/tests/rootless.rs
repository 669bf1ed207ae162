//! Containers of a user without privileges.
use std::fs;

use orlop_tests::rootless::{Rootless, map};
use orlop_tests::unprivileged::USER;
use orlop_tests::{need, runtime};
use rustix::process::Signal;
use serde_json::json;

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
fn the_whole_lifecycle_works_without_privileges() {
    let rootless = Rootless::new("trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done", |_| {});
    let container = &rootless.container;
    rootless.create();
    assert_eq!(rootless.status(), "created");
    rootless.command("start", &[]).ok();
    assert_eq!(rootless.status(), "running");
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
    rootless.with_bundle("run", &flags).ok();
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
    rootless.plain(&["spec", "--rootless", "--bundle", &bundle]).ok();
    let path = container.bundle.path().join("config.json");
    let text = fs::read_to_string(&path).expect("spec wrote it");
    let mut config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(config["linux"]["uidMappings"][0]["hostID"], USER);
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/bin/sh", "-c", "echo rootless"]);
    fs::write(&path, config.to_string()).expect("it is ours");
    let state = container.state_root().to_string_lossy().into_owned();
    let run = rootless.plain(&["--root", &state, "run", "--bundle", &bundle, &container.id]);
    assert_eq!(run.ok().stdout, "rootless\n");
}

#[test]
fn state_is_kept_in_the_users_runtime_directory() {
    need!(runtime::is_orlop(), "the directory has orlop's name");
    for root_of_a_namespace in [false, true] {
        let own = if root_of_a_namespace { 0 } else { USER };
        let rootless = Rootless::new("sleep 1000", |c| map(c, &[(0, own, 1)]));
        let home = rootless.container.home().to_owned();
        let bundle = rootless.container.bundle.path().to_string_lossy().into_owned();
        let (pid_file, id) = (rootless.container.pid_file(), rootless.container.id.clone());
        let variable = format!("XDG_RUNTIME_DIR={}", home.join("io").display());
        let mut rootless = rootless.inside(&["env", "-u", "USER", &variable]);
        if root_of_a_namespace {
            rootless = rootless.inside(&["unshare", "--user", "--map-root-user"]);
        }
        rootless.plain(&["create", "--bundle", &bundle, "--pid-file", &pid_file.to_string_lossy(), &id]).ok();
        rootless.container.adopt();
        assert!(home.join("io/orlop").join(&id).join("state.json").exists(), "{root_of_a_namespace}");
        assert!(rootless.plain(&["list", "--quiet"]).ok().stdout.contains(&id));
        rootless.plain(&["delete", "--force", &id]).ok();
        assert_eq!(rootless.container.wait(), 128 + 9);
    }
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
