//! How processes are scheduled, on which CPUs, with memory of which nodes, and on which machine they believe to be:
//! `scheduler`, `ioPriority`, `execCPUAffinity`, `memoryPolicy`, `personality`. For the first process and for `exec`.
use std::fs;
use std::process::Command;

use orlop_tests::cgroup::{self, Version};
use orlop_tests::container::printed;
use orlop_tests::spec::{HOST_ID, add_user_namespace};
use orlop_tests::{Container, Output, need, runtime};
use serde_json::{Value, json};

/// Policy, nice value and real-time priority of the process that reads them (proc_pid_stat(5)).
const SCHEDULING: &str = "awk '{print $41, $19, $40}' /proc/self/stat";

/// `exec --process` of a shell script, with these members of the process besides.
fn exec_process(container: &Container, script: &str, members: &[(&str, Value)]) -> Output {
    let mut process = json!({"args": ["sh", "-c", script], "cwd": "/", "env": ["PATH=/bin"]});
    for (name, value) in members {
        process[*name] = value.clone();
    }
    let file = container.home().join("process.json");
    fs::write(&file, process.to_string()).expect("a file of ours");
    container.command("exec", &["--process", &file.to_string_lossy()]).output()
}

/// In version 1 a cgroup has no real time unless some is given to it.
fn real_time() -> Option<(&'static str, Value)> {
    let (version, cpu) = cgroup::controller("cpu")?;
    let rationed = version == Version::V1 && cpu.mount.join("cpu.rt_runtime_us").exists();
    rationed.then(|| ("/linux/resources/cpu/realtimeRuntime", json!(1000)))
}

#[test]
fn the_scheduling_policy_is_that_of_the_config() {
    for (scheduler, expected) in [
        (json!({"policy": "SCHED_OTHER", "nice": 7}), "0 7 0\n"),
        (json!({"policy": "SCHED_OTHER", "nice": -5}), "0 -5 0\n"),
        (json!({"policy": "SCHED_BATCH", "nice": 19}), "3 19 0\n"),
        (json!({"policy": "SCHED_IDLE"}), "5 0 0\n"),
        (json!({"policy": "SCHED_FIFO", "priority": 1}), "1 0 1\n"),
        (json!({"policy": "SCHED_RR", "priority": 2}), "2 0 2\n"),
    ] {
        // With exec: awk itself is the container's first process.
        let script = format!("exec {SCHEDULING}");
        let mut members = vec![("/process/scheduler", scheduler.clone())];
        members.extend(real_time());
        assert_eq!(printed(&script, &members), expected, "{scheduler}");
    }
}

#[test]
fn a_policy_with_reset_on_fork_ends_with_the_first_child() {
    let scheduler = json!({"policy": "SCHED_FIFO", "priority": 3, "flags": ["SCHED_FLAG_RESET_ON_FORK"]});
    let mut members = vec![("/process/scheduler", scheduler)];
    members.extend(real_time());
    assert_eq!(printed(&format!("{SCHEDULING} & wait"), &members), "0 0 0\n");
}

#[test]
fn without_real_time_for_its_cgroup_a_real_time_policy_is_refused_by_name() {
    need!(real_time().is_some(), "no cgroup of version 1 rations real time here");
    let mut container = Container::sh("echo ran");
    container.set("/process/scheduler", json!({"policy": "SCHED_FIFO", "priority": 1}));
    let out = container.run().fails_with(if runtime::is_orlop() { "/process/scheduler" } else { "" });
    assert!(!out.stdout.contains("ran"), "{out}");
}

#[test]
fn a_user_namespace_does_not_keep_the_host_from_raising_priorities() {
    let mut container = Container::sh(&format!("exec {SCHEDULING}"));
    add_user_namespace(&mut container.bundle.config, &[(0, HOST_ID, 65536)]);
    container
        .set("/process/scheduler", json!({"policy": "SCHED_RR", "priority": 5}))
        .set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_RT", "priority": 2}));
    if let Some((pointer, time)) = real_time() {
        container.set(pointer, time);
    }
    let out = container.run();
    need!(runtime::is_orlop() || out.code == 0, "this runtime sets priorities from within the namespace");
    assert_eq!(out.ok().stdout, "2 0 5\n");
    container.set("/process/args", json!(["ionice"]));
    assert_eq!(container.run().ok().stdout, "realtime: prio 2\n");
}

#[test]
fn exec_has_the_policy_of_the_container_or_its_own() {
    let mut container = Container::lasting();
    container
        .set("/process/scheduler", json!({"policy": "SCHED_BATCH", "nice": 19}))
        .set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 4}));
    container.up();
    assert_eq!(container.exec(&["sh", "-c", SCHEDULING]).ok().stdout, "3 19 0\n");
    assert_eq!(exec_process(&container, SCHEDULING, &[]).ok().stdout, "3 19 0\n");
    let idle = [
        ("scheduler", json!({"policy": "SCHED_IDLE"})),
        ("ioPriority", json!({"class": "IOPRIO_CLASS_IDLE"})),
    ];
    assert_eq!(exec_process(&container, SCHEDULING, &idle).ok().stdout, "5 0 0\n");
    assert_eq!(container.exec(&["ionice", "-p", "1"]).ok().stdout, "best-effort: prio 4\n");
    assert_eq!(container.exec(&["ionice"]).ok().stdout, "best-effort: prio 4\n");
    assert_eq!(exec_process(&container, "ionice", &idle).ok().stdout, "idle\n");
}

#[test]
fn a_process_may_have_deadlines() {
    need!(need::program("chrt"), "no chrt to ask for deadlines");
    let mut container = Container::new(&["sleep", "1000"]);
    container.set(
        "/process/scheduler",
        json!({"policy": "SCHED_DEADLINE", "flags": ["SCHED_FLAG_RESET_ON_FORK"], "nice": 19,
            "runtime": 420_000, "deadline": 1_000_000, "period": 10_000_000}),
    );
    container.up();
    let out = Command::new("chrt").arg("-p").arg(container.pid().to_string()).output().expect("chrt runs");
    let out = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.contains("SCHED_DEADLINE|SCHED_RESET_ON_FORK"), "{out}");
    assert!(out.contains("420000/1000000/10000000"), "{out}");
}

#[test]
fn deadlines_do_not_go_with_some_cpus_only() {
    let mut container = Container::sh("true");
    container.set("/linux/resources/cpu", json!({"cpus": "0"})).set(
        "/process/scheduler",
        json!({"policy": "SCHED_DEADLINE", "runtime": 42_000, "deadline": 1_000_000, "period": 1_000_000}),
    );
    need!(cpus() > 1, "there is one CPU only");
    let out = container.run();
    assert_eq!(out.code, 1, "{out}");
    // The words of runc.
    assert!(out.stderr.contains("process scheduler can't be used together with AllowedCPUs"), "{out}");
    container.assert_no_leaks();
}

/// How many CPUs there are.
fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

const ALLOWED: &str = "grep -F Cpus_allowed_list: /proc/self/status | cut -f 2";

/// The CPUs that this test may use.
fn own_cpus() -> String {
    let status = fs::read_to_string("/proc/self/status").expect("procfs is mounted");
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    format!("{}\n", line.expect("it is in status").trim())
}

#[test]
fn the_callers_cpus_stay_the_callers() {
    need!(cpus() > 1, "there is one CPU only");
    let pinned = ["taskset", "-c", "0"];
    let container = Container::sh(ALLOWED);
    let out = container.with_bundle::<&str>("run", &[]).within(&pinned).ok();
    assert_eq!(out.stdout, own_cpus());
    let container = Container::lasting();
    container.up();
    let out = container.exec_command(&[], &["sh", "-c", ALLOWED]).within(&pinned).ok();
    assert_eq!(out.stdout, own_cpus());
}

#[test]
fn exec_runs_on_the_cpus_it_is_given() {
    need!(cpus() > 1, "there is one CPU only");
    let mut container = Container::lasting();
    container.set("/process/execCPUAffinity", json!({"initial": "0", "final": "1"}));
    container.up();
    let of_first = fs::read_to_string(format!("/proc/{}/status", container.pid())).expect("it runs");
    assert!(of_first.contains(&format!("Cpus_allowed_list:\t{}", own_cpus())), "it is for exec only");
    assert_eq!(container.exec(&["sh", "-c", ALLOWED]).ok().stdout, "1\n", "the config's");
    let allowed =
        |affinity: Value| exec_process(&container, ALLOWED, &[("execCPUAffinity", affinity)]).ok().stdout;
    assert_eq!(allowed(json!({"initial": "1", "final": "0-1"})), "0-1\n");
    assert_eq!(allowed(json!({"initial": "1"})), "1\n", "nothing changes it after the cgroup was joined");
    assert_eq!(allowed(json!({"final": "0"})), "0\n");
    assert_eq!(allowed(json!({})), "1\n", "nothing is said, so the config's");
}

#[test]
fn cpus_that_are_not_there_are_refused() {
    let container = Container::lasting();
    container.up();
    for name in ["initial", "final"] {
        let out = exec_process(&container, "true", &[("execCPUAffinity", json!({ name: "4000" }))]);
        assert!(out.code != 0 && out.stderr.contains(&format!("{name} CPU affinity")), "{out}");
    }
}

/// The policy of the first mapping of the process that reads it.
const POLICY: &str = "head -n 1 /proc/self/numa_maps | cut -d ' ' -f 2";

#[test]
fn memory_comes_from_the_nodes_of_the_config() {
    need!(fs::exists("/proc/self/numa_maps").is_ok_and(|there| there), "a kernel without NUMA");
    for (policy, expected) in [
        (json!({"mode": "MPOL_DEFAULT"}), "default\n"),
        (json!({"mode": "MPOL_LOCAL"}), "local\n"),
        (json!({"mode": "MPOL_INTERLEAVE", "nodes": "0"}), "interleave:0\n"),
        (json!({"mode": "MPOL_PREFERRED_MANY", "nodes": "0"}), "prefer (many):0\n"),
        (json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}), "bind=static:0\n"),
        (
            json!({"mode": "MPOL_PREFERRED", "nodes": "0", "flags": ["MPOL_F_RELATIVE_NODES"]}),
            "prefer=relative:0\n",
        ),
    ] {
        let script = "head -n 1 /proc/self/numa_maps | sed 's/^[^ ]* //; s/ [^ ]*=.*//; s/ file.*//'";
        let out = printed(script, &[("/linux/memoryPolicy", policy.clone())]);
        assert_eq!(out, expected, "{policy}");
    }
    let mut container = Container::lasting();
    container.set("/linux/memoryPolicy", json!({"mode": "MPOL_INTERLEAVE", "nodes": "0"}));
    container.up();
    assert_eq!(container.exec(&["sh", "-c", POLICY]).ok().stdout, "interleave:0\n");
}

#[test]
fn memory_policies_that_cannot_be_are_refused_in_the_words_of_runc() {
    for (policy, words) in [
        (json!({}), "invalid memory policy mode"),
        (json!({"mode": "MPOL_PREFERRED", "nodes": "0", "flags": ["badflag"]}), "invalid memory policy flag"),
        (json!({"mode": "MPOL_BIND", "nodes": "0-9876543210"}), "invalid memory policy node"),
        (json!({"mode": "MPOL_DEFAULT", "nodes": "0-7"}), "mode requires 0 nodes but got 8"),
    ] {
        let mut container = Container::sh("true");
        container.set("/linux/memoryPolicy", policy);
        let out = container.run();
        assert!(out.code == 1 && out.stderr.contains(words), "{words}: {out}");
    }
    // A node beyond any kernel's limit is the kernel's to refuse.
    let mut container = Container::sh("true");
    container.set("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "1030"}));
    let out = container.run();
    assert!(out.code == 1 && out.stderr.contains("set_mempolicy"), "{out}");
    container.assert_no_leaks();
}

#[test]
fn the_execution_domain_is_that_of_the_config() {
    need!(cfg!(target_arch = "x86_64"), "other machines have other names");
    for (domain, machine) in [("LINUX", "x86_64\n"), ("LINUX32", "i686\n")] {
        // The filter that denies the call is loaded after it, with and without noNewPrivileges.
        for no_new_privileges in [true, false] {
            let mut container = Container::lasting();
            container
                .set("/linux/personality", json!({"domain": domain}))
                .set("/process/noNewPrivileges", no_new_privileges)
                .set(
                    "/linux/seccomp",
                    json!({"defaultAction": "SCMP_ACT_ALLOW",
                        "syscalls": [{"names": ["personality"], "action": "SCMP_ACT_ERRNO"}]}),
                );
            container.up();
            assert_eq!(container.exec(&["uname", "-m"]).ok().stdout, machine);
        }
        assert_eq!(printed("uname -m", &[("/linux/personality", json!({"domain": domain}))]), machine);
    }
}
