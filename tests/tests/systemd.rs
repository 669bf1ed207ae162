//! Cgroups that systemd makes (`--systemd-cgroup`).
use std::fs;
use std::path::PathBuf;

use orlop_tests::spec::make_rootless;
use orlop_tests::systemd::{self, Silent, scoped, show, show_of_user};
use orlop_tests::unprivileged::{USER, Unprivileged};
use orlop_tests::{Container, Invocation, cgroup, need_systemd};
use serde_json::json;

const MIB: u64 = 1024 * 1024;

#[track_caller]
fn directory(container: &Container) -> PathBuf {
    cgroup::unified_directory(container.pid()).expect("version 2 is mounted")
}

#[track_caller]
fn file(container: &Container, name: &str) -> String {
    let path = directory(container).join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).trim().to_owned()
}

#[test]
fn a_container_has_a_scope_of_its_own_which_goes_with_it() {
    need_systemd!();
    let (container, unit) = scoped(Container::lasting());
    container.up();
    assert_eq!(directory(&container), PathBuf::from(format!("/sys/fs/cgroup/system.slice/{unit}")));
    for (property, value) in [
        ("ActiveState", "active"),
        ("Slice", "system.slice"),
        ("Delegate", "yes"),
        ("DefaultDependencies", "no"),
        ("MemoryAccounting", "yes"),
        ("TasksAccounting", "yes"),
        ("IOAccounting", "yes"),
        ("ControlGroup", &format!("/system.slice/{unit}")),
        ("Description", &format!("orlop container {unit}")),
    ] {
        assert_eq!(show(&unit, property), value, "{property}");
    }
    // The cgroup namespace begins at the scope, though the process was not born in it.
    assert_eq!(container.exec(&["cat", "/proc/self/cgroup"]).ok().stdout, "0::/\n");
    container.kill("TERM");
    assert_eq!(container.wait(), 0);
    container.delete();
    assert_eq!(show(&unit, "LoadState"), "not-found");
}

#[test]
fn limits_are_told_to_systemd_and_written_to_files() {
    need_systemd!();
    let (mut container, unit) = scoped(Container::lasting());
    container.set(
        "/linux/resources/memory",
        json!({
            "limit": 32 * MIB, "swap": 48 * MIB, "reservation": 16 * MIB
        }),
    );
    // Systemd counts in whole percents: 5.001 % is rounded up.
    container
        .set("/linux/resources/cpu", json!({"shares": 512, "quota": 5001, "period": 100_000, "cpus": "0"}));
    container.set("/linux/resources/pids/limit", 20);
    container.set(
        "/linux/resources/unified",
        json!({
            "memory.high": (24 * MIB).to_string(), "memory.min": "0", "cgroup.max.depth": "3"
        }),
    );
    container.up();
    for (property, value) in [
        ("MemoryMax", (32 * MIB).to_string()),
        ("MemorySwapMax", (16 * MIB).to_string()),
        ("MemoryLow", (16 * MIB).to_string()),
        ("MemoryHigh", (24 * MIB).to_string()),
        ("TasksMax", "20".to_owned()),
        ("CPUWeight", "59".to_owned()),
        ("CPUQuotaPerSecUSec", "60ms".to_owned()),
        ("CPUQuotaPeriodUSec", "100ms".to_owned()),
        ("AllowedCPUs", "0".to_owned()),
    ] {
        assert_eq!(show(&unit, property), value, "{property}");
    }
    for (name, value) in [
        ("memory.max", (32 * MIB).to_string()),
        ("memory.swap.max", (16 * MIB).to_string()),
        ("memory.low", (16 * MIB).to_string()),
        ("memory.high", (24 * MIB).to_string()),
        ("pids.max", "20".to_owned()),
        ("cpu.weight", "59".to_owned()),
        ("cpu.max", "6000 100000".to_owned()),
        ("cpuset.cpus", "0".to_owned()),
        // Systemd has no property for it.
        ("cgroup.max.depth", "3".to_owned()),
    ] {
        assert_eq!(file(&container, name), value, "{name}");
    }
}

#[test]
fn new_limits_are_told_to_systemd_too() {
    need_systemd!();
    let (mut container, unit) = scoped(Container::lasting());
    container.set("/linux/resources/memory/limit", 32 * MIB);
    container.up();
    let memory = (64 * MIB).to_string();
    let flags = ["--memory", &memory, "--pids-limit", "30", "--cpu-quota", "5001", "--cpu-period", "100000"];
    container.command("update", &flags).ok();
    for (property, name, told, written) in [
        ("MemoryMax", "memory.max", memory.as_str(), memory.as_str()),
        ("TasksMax", "pids.max", "30", "30"),
        ("CPUQuotaPerSecUSec", "cpu.max", "60ms", "6000 100000"),
    ] {
        assert_eq!((show(&unit, property).as_str(), file(&container, name).as_str()), (told, written));
    }
    container.command::<&str>("delete", &["--force"]).ok();
    assert_eq!(show(&unit, "LoadState"), "not-found");
}

#[test]
fn a_limit_below_what_is_used_does_not_reach_systemd() {
    need_systemd!();
    let (mut container, unit) = scoped(Container::lasting());
    container.set("/linux/resources/memory", json!({"limit": 32 * MIB, "checkBeforeUpdate": true}));
    container.up();
    container.command("update", &["--memory", "4096"]).output().fails_with("rejecting memory limit");
    assert_eq!(container.status(), "running");
    let limit = (32 * MIB).to_string();
    assert_eq!((show(&unit, "MemoryMax"), file(&container, "memory.max")), (limit.clone(), limit));
    container.command::<&str>("delete", &["--force"]).ok();
}

#[test]
fn systemd_does_not_take_limits_back_when_it_reloads() {
    need_systemd!();
    let (mut container, unit) = scoped(Container::new(&["sleep", "1000"]));
    container.set("/linux/resources/memory/limit", 32 * MIB);
    container.set("/linux/resources/cpu", json!({"quota": 20_000, "period": 50_000}));
    container.set("/linux/resources/pids/limit", 0);
    container.up();
    systemd::systemctl(&["daemon-reload"]);
    systemd::systemctl(&["set-property", "--runtime", &unit, "CPUWeight=50"]);
    assert_eq!(file(&container, "memory.max"), (32 * MIB).to_string());
    assert_eq!(file(&container, "cpu.max"), "20000 50000");
    assert_eq!((file(&container, "pids.max"), show(&unit, "TasksMax")), ("1".to_owned(), "1".to_owned()));
    container.command::<&str>("delete", &["--force"]).ok();
    // What was set at run time leaves a drop-in, which is systemctl's.
    systemd::systemctl(&["revert", &unit]);
}

#[test]
fn the_path_names_slice_and_scope() {
    need_systemd!();
    let (mut container, _) = scoped(Container::lasting());
    let unit = format!("cri-{}.scope", container.id);
    container.set("/linux/cgroupsPath", format!("orlop-test.slice:cri:{}", container.id));
    container.up();
    let want = format!("/sys/fs/cgroup/orlop.slice/orlop-test.slice/{unit}");
    assert_eq!(directory(&container), PathBuf::from(want));
    assert_eq!(show(&unit, "Slice"), "orlop-test.slice");
    assert_eq!(show("orlop-test.slice", "ActiveState"), "active");
    container.command::<&str>("delete", &["--force"]).ok();
    assert_eq!(show(&unit, "LoadState"), "not-found");
}

#[test]
fn annotations_are_properties_of_the_unit() {
    need_systemd!();
    let (mut container, unit) = scoped(Container::lasting());
    for (name, value) in [
        ("TimeoutStopSec", "uint64 7"),
        ("CollectMode", "'inactive-or-failed'"),
        ("Documentation", "['man:orlop(1)', 'man:runc(8)']"),
        ("SendSIGHUP", "true"),
    ] {
        container.set(&format!("/annotations/org.systemd.property.{name}"), value);
    }
    container.up();
    assert_eq!(show(&unit, "TimeoutStopUSec"), "7s");
    assert_eq!(show(&unit, "CollectMode"), "inactive-or-failed");
    assert_eq!(show(&unit, "Documentation").replace('"', ""), "man:orlop(1) man:runc(8)");
    assert_eq!(show(&unit, "SendSIGHUP"), "yes");
}

#[test]
fn what_systemd_does_not_take_is_told_in_its_words() {
    need_systemd!();
    let (mut container, unit) = scoped(Container::lasting());
    container.set("/annotations/org.systemd.property.NoSuchThing", "true");
    let out = container.with_bundle::<&str>("create", &[]).output().fails_with("NoSuchThing");
    assert!(out.stderr.contains(&format!("unable to start unit {unit:?}")), "{out}");
    container.assert_no_leaks();
    assert_eq!(show(&unit, "LoadState"), "not-found");
}

#[test]
fn a_unit_that_failed_is_cleared_away_by_delete() {
    need_systemd!();
    let (mut container, unit) = scoped(Container::lasting());
    container.set(
        "/process/args",
        json!(["sh", "-c", "trap '' TERM; echo >/ready; while :; do sleep 1000; done"]),
    );
    container.set("/annotations/org.systemd.property.TimeoutStopSec", "1");
    let mut ready = container.fifo("ready");
    container.up();
    ready.line();
    // It does not heed SIGTERM, so systemd kills it after a second and calls that a failure.
    systemd::systemctl(&["stop", &unit]);
    assert_eq!(show(&unit, "ActiveState"), "failed");
    assert_eq!(container.wait(), 137);
    container.delete();
    assert_eq!(show(&unit, "LoadState"), "not-found");
}

#[test]
fn a_container_may_be_in_a_cgroup_below_the_scope() {
    need_systemd!();
    let (mut container, unit) = scoped(Container::lasting());
    container.set("/annotations/run.oci.systemd.subgroup", "inner");
    container.set("/linux/resources/pids/limit", 20);
    container.up();
    assert!(directory(&container).ends_with(format!("{unit}/inner")));
    assert_eq!(file(&container, "pids.max"), "20");
    assert_eq!(show(&unit, "TasksMax"), "20");
    assert_eq!(container.exec(&["cat", "/proc/self/cgroup"]).ok().stdout, "0::/\n");
    container.command::<&str>("pause", &[]).ok();
    assert_eq!(file(&container, "cgroup.freeze"), "1");
    container.command::<&str>("resume", &[]).ok();
}

#[test]
fn devices_are_those_of_the_config_whatever_systemd_can_say() {
    need_systemd!();
    for (rules, policy) in [
        (json!([{"allow": false, "access": "rwm"}]), "strict"),
        // Systemd has no word for a minor number of any major.
        (
            json!([
                {"allow": false, "access": "rwm"},
                {"allow": true, "type": "c", "minor": 11, "access": "rwm"}
            ]),
            "auto",
        ),
        (json!([{"allow": true, "access": "rwm"}]), "auto"),
    ] {
        let (mut container, unit) = scoped(Container::lasting());
        container.set("/linux/resources/devices", rules.clone());
        container.push("/process/capabilities/bounding", "CAP_MKNOD");
        for set in ["effective", "permitted"] {
            container.push(&format!("/process/capabilities/{set}"), "CAP_MKNOD");
        }
        container.up();
        assert_eq!(show(&unit, "DevicePolicy"), policy, "{rules}");
        assert_eq!(container.exec(&["sh", "-c", "echo x >/dev/null"]).code, 0);
        // The kernel's log, 1:11, is open to all who only write; nothing is written.
        let script = "mknod /dev/log c 1 11 && : >/dev/log";
        let opened = container.exec(&["sh", "-c", script]).code == 0;
        assert_eq!(opened, policy == "auto", "{rules}");
    }
}

#[test]
fn a_unit_that_is_there_already_is_left_alone() {
    need_systemd!();
    let (first, unit) = scoped(Container::lasting());
    first.up();
    let (mut second, _) = scoped(Container::lasting());
    second.set("/linux/cgroupsPath", format!(":orlop:{}", first.id));
    let out = second.with_bundle::<&str>("create", &[]).output().fails_with("cgroup is not empty");
    assert!(out.stderr.contains(&unit), "{out}");
    second.assert_no_leaks();
    assert_eq!((first.status().as_str(), show(&unit, "ActiveState").as_str()), ("running", "active"));
}

#[test]
fn nothing_is_left_of_a_container_that_could_not_be_made() {
    need_systemd!();
    let (mut container, unit) = scoped(Container::lasting());
    container.set("/hooks/createRuntime", json!([{"path": "/bin/false"}]));
    container.with_bundle::<&str>("create", &[]).output().fails_with("hook");
    container.assert_no_leaks();
    assert_eq!(show(&unit, "LoadState"), "not-found");
    container.set("/hooks", json!({}));
    // A limit that the kernel refuses, after systemd has made the scope.
    container.set("/linux/resources/unified", json!({"memory.oom.group": "many"}));
    container.with_bundle::<&str>("create", &[]).output().fails_with("memory.oom.group");
    container.assert_no_leaks();
    assert_eq!(show(&unit, "LoadState"), "not-found");
}

#[test]
fn hooks_and_run_find_the_container_in_its_scope() {
    need_systemd!();
    let (mut container, unit) = scoped(Container::sh("cat /proc/self/cgroup"));
    container.set("/hooks/startContainer", json!([{"path": "/bin/true"}]));
    let log = container.home().join("log");
    let script = format!(
        "grep -q {unit} /proc/$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/')/cgroup && echo yes >{}",
        log.display()
    );
    container.set("/hooks/createRuntime", json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}]));
    assert_eq!(container.run().ok().stdout, "0::/\n");
    assert_eq!(fs::read_to_string(log).expect("the hook wrote it"), "yes\n");
    assert_eq!(show(&unit, "LoadState"), "not-found");
}

#[test]
fn the_same_over_the_bus_as_over_systemds_own_socket() {
    need_systemd!();
    for address in ["unix:path=/run/dbus/system_bus_socket", "unix:path=/run/systemd/private"] {
        let (container, unit) = scoped(Container::sh("cat /proc/self/cgroup"));
        let run = container.with_bundle::<&str>("run", &[]).env("DBUS_SYSTEM_BUS_ADDRESS", address);
        assert_eq!(run.output().ok().stdout, "0::/\n", "{address}");
        assert_eq!(show(&unit, "LoadState"), "not-found");
    }
}

/// Has orlop find a systemd that never answers, and wait a fifth of a second for it.
fn in_silence(invocation: Invocation, silent: &Silent) -> Invocation {
    invocation.env("DBUS_SYSTEM_BUS_ADDRESS", silent.address()).env("ORLOP_DBUS_TIMEOUT", "0.2")
}

#[test]
fn silence_is_an_error_that_says_what_was_asked_and_how_long_was_waited() {
    if let Some(why) = systemd::without_unified() {
        return orlop_tests::need::skip(why);
    }
    let (container, _) = scoped(Container::sh("echo ran"));
    let silent = Silent::new(&container);
    let out = in_silence(container.with_bundle::<&str>("run", &[]), &silent).output();
    let out = out.fails_with("no answer from systemd within 0.2 s");
    assert!(out.stderr.contains("unable to connect to") && !out.stdout.contains("ran"), "{out}");
    container.assert_no_leaks();
    let bad = container.with_bundle::<&str>("run", &[]).env("ORLOP_DBUS_TIMEOUT", "soon").output();
    bad.fails_with("ORLOP_DBUS_TIMEOUT=\"soon\" is not a number of seconds");
}

#[test]
fn a_declared_fallback_is_taken_with_a_warning() {
    if let Some(why) = systemd::without_unified() {
        return orlop_tests::need::skip(why);
    }
    let (mut container, unit) = scoped(Container::lasting());
    let place = format!("/fallback-{}", container.id);
    container.set("/annotations/run.orlop.systemd.fallback", place.as_str());
    container.set("/linux/resources/pids/limit", 20);
    let silent = Silent::new(&container);
    let pid_file = container.pid_file();
    let flags = ["--pid-file".as_ref(), pid_file.as_os_str()];
    let out = in_silence(container.with_bundle("create", &flags), &silent).output().ok();
    container.adopt();
    assert!(out.stderr.contains("no answer from systemd within 0.2 s"), "{out}");
    assert!(out.stderr.contains("a plain cgroup is made instead"), "{out}");
    container.start();
    assert_eq!(directory(&container), PathBuf::from(format!("/sys/fs/cgroup{place}/{unit}")));
    assert_eq!(file(&container, "pids.max"), "20");
    // It is not systemd's, so nobody asks systemd to end it.
    let delete = in_silence(container.command("delete", &["--force"]), &silent).output().ok();
    assert!(!delete.stderr.contains("systemd"), "{delete}");
    fs::remove_dir(format!("/sys/fs/cgroup{place}")).expect("it is empty");
}

#[test]
fn a_container_can_be_deleted_while_systemd_is_silent() {
    need_systemd!();
    let (container, unit) = scoped(Container::lasting());
    container.up();
    let silent = Silent::new(&container);
    let out = in_silence(container.command("delete", &["--force"]), &silent).output().ok();
    assert!(out.stderr.contains("no answer from systemd within 0.2 s"), "{out}");
    container.assert_no_leaks();
    systemd::assert_gone(&unit);
}

#[test]
fn what_cannot_be_a_unit_is_refused_before_systemd_is_asked() {
    let (mut container, _) = scoped(Container::sh("echo ran"));
    container.set("/annotations/org.systemd.property.TimeoutStopSec", "'soon'");
    for (path, why) in [
        ("/a/b", "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups"),
        ("a:b:c", "invalid slice name"),
        (":b:../../c", "invalid unit name"),
    ] {
        container.set("/linux/cgroupsPath", path);
        let out = container.run().fails_with(why);
        assert!(out.stderr.contains("/annotations/org.systemd.property.TimeoutStopSec"), "{out}");
        assert!(!out.stdout.contains("ran"), "{out}");
    }
}

/// A container of the test user, in a scope of the user's own systemd.
struct Mine {
    container: Container,
    unit: String,
    wrapper: Vec<String>,
}

impl Mine {
    fn new(script: &str) -> Result<Self, &'static str> {
        let runtime_dir = systemd::user_manager()?;
        let (mut container, unit) = scoped(Container::sh(script));
        make_rootless(&mut container.bundle.config, USER, USER);
        container.push("/linux/namespaces", json!({"type": "cgroup"}));
        container.set("/linux/resources/pids/limit", 20);
        container.bundle.save();
        let mut wrapper = Unprivileged::new(container.home()).wrapper();
        wrapper.extend(["env".to_owned(), format!("XDG_RUNTIME_DIR={}", runtime_dir.display())]);
        Ok(Self { container, unit, wrapper })
    }

    fn command(&self, command: &str, flags: &[&str]) -> Invocation {
        self.container.command(command, flags).within(&self.wrapper)
    }
}

#[test]
fn a_user_has_containers_in_scopes_of_the_users_own_systemd() {
    let mine = match Mine::new("trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done") {
        Ok(mine) => mine,
        Err(why) => return orlop_tests::need::skip(why),
    };
    let container = &mine.container;
    let pid_file = container.pid_file();
    let flags = ["--pid-file", pid_file.to_str().expect("an ordinary path"), "--detach"];
    container.with_bundle("run", &flags).within(&mine.wrapper).output().ok();
    container.adopt();
    let manager = format!("/sys/fs/cgroup/user.slice/user-{USER}.slice/user@{USER}.service");
    assert_eq!(directory(container), PathBuf::from(format!("{manager}/user.slice/{}", mine.unit)));
    assert_eq!(show_of_user(&mine.unit, "TasksMax"), "20");
    assert_eq!(file(container, "pids.max"), "20");
    // The user may not put a process there; the user's systemd may.
    let out = mine.command("exec", &[]).args(["cat", "/proc/self/cgroup"]).output().ok();
    assert_eq!(out.stdout, "0::/\n");
    mine.command("kill", &[]).arg("TERM").output().ok();
    assert_eq!(container.wait(), 0);
    mine.command("delete", &[]).output().ok();
    container.assert_no_leaks();
    assert_eq!(show_of_user(&mine.unit, "LoadState"), "not-found");
}

#[test]
fn a_users_systemd_that_is_not_there_is_named() {
    let Err(_) = Mine::new("").map(drop) else { return };
    let mut container = Container::sh("echo ran");
    container.global("--systemd-cgroup");
    make_rootless(&mut container.bundle.config, USER, USER);
    container.bundle.save();
    let wrapper = Unprivileged::new(container.home()).wrapper();
    let out = container.with_bundle::<&str>("run", &[]).within(&wrapper).output();
    if systemd::without_unified().is_none() {
        assert!(out.stderr.contains("cannot reach the user's systemd"), "{out}");
    }
    assert!(out.code != 0 && !out.stdout.contains("ran"), "{out}");
}
