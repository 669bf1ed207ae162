//! Cgroups of a user without privileges: none, its own, and some controllers of them.
use std::fs;

use orlop_tests::cgroup::{self, Version};
use orlop_tests::delegated::Delegated;
use orlop_tests::rootless::Rootless;
use orlop_tests::unprivileged::USER;
use orlop_tests::{Container, need, runtime};
use serde_json::json;

/// The first process of a container that stays.
const LASTING: &str = "sleep 1000";

/// Mounts `/sys/fs/cgroup`, writable.
fn mount_cgroups(container: &mut Container) {
    container.push(
        "/mounts",
        json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                                     "options": ["nosuid", "noexec", "nodev"]}),
    );
}

fn global(rootless: &Rootless, flag: &str, command: &[&str]) -> orlop_tests::Invocation {
    let container = &rootless.container;
    let (state, bundle) = (container.state_root(), container.bundle.path().to_string_lossy().into_owned());
    rootless.plain(&["--root", &state.to_string_lossy(), flag]).args(command).args([
        "--bundle",
        &bundle,
        &container.id,
    ])
}

#[test]
fn without_any_cgroup_a_container_without_limits_runs() {
    let rootless = Rootless::new(LASTING, |_| {});
    rootless.up();
    let ours = fs::read_to_string("/proc/self/cgroup").expect("procfs is mounted");
    let pid = rootless.container.pid();
    assert_eq!(
        fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs"),
        ours,
        "it stays in the caller's"
    );
    rootless.command("exec", &[]).arg("true").ok();
    assert!(rootless.command("ps", &[]).ok().stdout.contains("sleep 1000"));
    let out = rootless.command("pause", &[]).output();
    assert_ne!(out.code, 0, "{out}");
    if runtime::is_orlop() {
        out.fails_with("has no cgroup of its own");
    }
    rootless.command("kill", &[]).arg("KILL").ok();
    assert_eq!(rootless.container.wait(), 128 + 9);
    rootless.command("delete", &[]).ok();
    rootless.container.assert_no_leaks();
}

#[test]
fn without_any_cgroup_what_asks_for_one_is_refused_and_named() {
    let place = Rootless::new("echo ran", |c| {
        c.set("/linux/cgroupsPath", "/not-delegated/container");
    });
    let out = place.run().output().fails_with("unable to apply cgroup configuration");
    assert!(!out.stdout.contains("ran") && out.stderr.contains("permission denied"), "{out}");
    assert!(!runtime::is_orlop() || out.stderr.contains("/linux/cgroupsPath"), "{out}");
    place.container.assert_no_leaks();

    let limits = Rootless::new("echo ran", |c| {
        c.set("/linux/resources", json!({"pids": {"limit": 20}}));
    });
    let words = "rootless needs no limits + no cgrouppath when no permission is granted for cgroups";
    let out = limits.run().output().fails_with(words);
    assert!(!out.stdout.contains("ran"), "{out}");
    assert!(!runtime::is_orlop() || out.stderr.contains("/linux/resources/pids/limit"), "{out}");
    limits.container.assert_no_leaks();
}

#[test]
fn the_flag_decides_whether_a_lack_of_rights_is_forgiven() {
    let user = Rootless::new("echo ran", |_| {});
    for (flag, forgiven) in
        [("--rootless=true", true), ("--rootless=auto", true), ("--rootless=false", false)]
    {
        let out = global(&user, flag, &["run"]).output();
        assert_eq!(
            (out.code == 0, out.stdout.as_str()),
            (forgiven, if forgiven { "ran\n" } else { "" }),
            "{flag}: {out}"
        );
    }
    user.container.assert_no_leaks();
    // Root, on a machine whose cgroups are mounted read-only.
    let mut container = Container::sh("echo ran");
    container.bundle.remove("/linux/resources");
    orlop_tests::spec::bind_sys(&mut container.bundle.config);
    let read_only = "for m in $(awk '$3 == \"cgroup2\" {print $2}' /proc/mounts); do mount -o remount,ro,bind $m; done; exec \"$@\"";
    let wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", read_only, "sh"];
    let run = |flag: &str| {
        container.bundle.save();
        let command = container
            .runtime()
            .args([flag, "run", "--bundle"])
            .arg(container.bundle.path())
            .arg(&container.id);
        command.within(&wrapper).output()
    };
    assert_eq!(run("--rootless=true").ok().stdout, "ran\n");
    for flag in ["--rootless=auto", "--rootless=false"] {
        assert_ne!(run(flag).code, 0, "{flag}");
    }
}

#[test]
fn a_container_that_nobody_can_tell_the_processes_of_is_warned_of() {
    let bound = json!({"destination": "/proc", "type": "none", "source": "/proc",
                       "options": ["rbind", "nosuid", "nodev", "noexec"]});
    let rootless = Rootless::new("echo ran", |c| {
        c.set(
            "/linux/namespaces",
            json!([{"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "user"}]),
        );
        c.set("/mounts/0", bound);
    });
    let out = rootless.run().ok();
    assert_eq!(out.stdout, "ran\n");
    assert!(out.stderr.contains("Such configuration is strongly discouraged"), "{out}");
    let with_namespace = Rootless::new("echo ran", |_| {});
    assert_eq!(with_namespace.run().ok().stderr, "");
}

#[test]
fn a_container_without_a_cgroup_sees_none_of_the_hosts() {
    // CVE-2023-25809: no cgroup namespace, and the host's tree visible below a bound /sys.
    let script = "ls -A /sys/fs/cgroup | wc -l; touch /sys/fs/cgroup/x || echo read-only";
    let rootless = Rootless::new(script, mount_cgroups);
    assert_eq!(rootless.run().ok().stdout, "0\nread-only\n");
}

#[test]
fn in_a_delegated_cgroup_a_container_has_its_own_and_can_be_paused() {
    let delegated = Delegated::to(USER, &[]);
    let rootless = Rootless::new(LASTING, |_| {}).in_cgroup(&delegated.procs());
    rootless.up();
    let directory = cgroup::unified_directory(rootless.container.pid()).expect("version 2 is mounted");
    assert_eq!(directory, delegated.directory().join(&rootless.container.id));
    rootless.command("exec", &[]).arg("true").ok();
    rootless.command("pause", &[]).ok();
    assert_eq!(rootless.status(), "paused");
    rootless.command("resume", &[]).ok();
    assert_eq!(rootless.status(), "running");
    rootless.command("delete", &["--force"]).ok();
    assert_eq!(rootless.container.wait(), 128 + 9);
    rootless.container.assert_no_leaks();
}

#[test]
fn a_delegated_cgroup_is_shown_to_the_container_and_nothing_beside_it() {
    let delegated = Delegated::to(USER, &[]);
    let sibling = delegated.directory().join("own").display().to_string();
    let in_container = sibling.replace(&delegated.directory().display().to_string(), "/sys/fs/cgroup");
    let script = format!(
        "ls -d {in_container} {sibling} 2>/dev/null; grep -c . /sys/fs/cgroup/cgroup.procs; mkdir /sys/fs/cgroup/x && echo made; rmdir /sys/fs/cgroup/x"
    );
    for namespace in [false, true] {
        let rootless = Rootless::new(&script, |c| {
            mount_cgroups(c);
            if namespace {
                c.push("/linux/namespaces", json!({"type": "cgroup"}));
            }
        });
        let rootless = rootless.in_cgroup(&delegated.procs());
        let out = rootless.run().ok();
        let lines = out.lines();
        assert!(lines[0].parse().is_ok_and(|n: u32| n > 0), "cgroup namespace {namespace}: {out}");
        assert_eq!(lines[1..], ["made"], "cgroup namespace {namespace}: {out}");
        rootless.container.assert_no_leaks();
    }
}

#[test]
fn a_cgroup_in_which_the_caller_may_not_put_processes_is_explained() {
    need!(runtime::is_orlop(), "the words are orlop's");
    let delegated = Delegated::to(USER, &[]);
    // The caller stays outside, so that the nearest cgroup above both is not the user's.
    let rootless = Rootless::new("echo ran", |c| {
        c.set("/linux/cgroupsPath", format!("{}/container", delegated.name()));
    });
    let out = rootless.run().output().fails_with("clone3: permission denied (EACCES)");
    assert!(!out.stdout.contains("ran") && out.stderr.contains("/linux/cgroupsPath"), "{out}");
    rootless.container.assert_no_leaks();
}

#[test]
fn of_the_delegated_controllers_limits_work_and_of_others_they_are_refused_by_name() {
    let on_v2 = |name| cgroup::controller(name).is_some_and(|(version, _)| version == Version::V2);
    need!(on_v2("pids") && on_v2("memory"), "the controllers are not on version 2");
    let delegated = Delegated::to(USER, &["pids"]);
    let limited = |resources| {
        let rootless = Rootless::new("cat /sys/fs/cgroup/pids.max; echo ran", |c| {
            mount_cgroups(c);
            c.set("/linux/resources", resources);
        });
        rootless.in_cgroup(&delegated.procs())
    };
    let pids = limited(json!({"pids": {"limit": 20}}));
    assert_eq!(pids.run().ok().stdout, "20\nran\n");
    pids.container.assert_no_leaks();
    let memory = limited(json!({"pids": {"limit": 20}, "memory": {"limit": 100_000_000}}));
    let out = memory.run().output();
    assert!(out.code != 0 && !out.stdout.contains("ran"), "{out}");
    if runtime::is_orlop() {
        assert!(out.stderr.contains("there is /linux/resources/memory/limit: "), "{out}");
        assert!(out.stderr.contains("the memory controller is not given to the cgroups below"), "{out}");
    }
    memory.container.assert_no_leaks();
}
