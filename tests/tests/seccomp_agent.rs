//! `SCMP_ACT_NOTIFY`: an agent outside decides about system calls.
use orlop_tests::agent::Agent;
use orlop_tests::spec::make_rootless;
use orlop_tests::unprivileged::{USER, Unprivileged};
use orlop_tests::{Container, Output, runtime};
use serde_json::{Value, json};

/// Everything that init calls once its filter is in force (but write(2)), and more.
const OF_INIT: [&str; 21] = [
    "accept4",
    "capset",
    "chdir",
    "close",
    "execve",
    "faccessat2",
    "fstat",
    "getcwd",
    "newfstatat",
    "open",
    "openat",
    "poll",
    "prctl",
    "read",
    "recvmsg",
    "sendmsg",
    "setgid",
    "setgroups",
    "setresgid",
    "setresuid",
    "umask",
];

fn profile(agent: &str, names: &[&str]) -> Value {
    json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": agent, "listenerMetadata": "a word for you",
           "syscalls": [{"names": names, "action": "SCMP_ACT_NOTIFY"}]})
}

/// A container in which the agent decides about these calls.
fn asking(script: &str, names: &[&str], no_new_privileges: bool) -> (Container, Agent) {
    let mut container = Container::sh(script);
    let agent = Agent::start(container.home());
    container.set("/linux/seccomp", profile(agent.socket(), names)).set("/root/readonly", false);
    container.set("/process/noNewPrivileges", no_new_privileges);
    (container, agent)
}

const MKDIR: &[&str] = &["mkdir", "mkdirat"];

#[track_caller]
fn was_asked(out: &Output) {
    assert!(out.stderr.contains("No medium found"), "the agent's own errno: {out}");
}

#[test]
fn the_agent_decides_and_is_told_about_whom() {
    for no_new_privileges in [true, false] {
        let (container, agent) =
            asking("mkdir /tmp/x; cat /proc/self/mounts >/dev/null", MKDIR, no_new_privileges);
        was_asked(&container.run().ok());
        let told = agent.told(1);
        assert_eq!(told.len(), 1, "{told:?}");
        let told = &told[0];
        assert_eq!((&told["fds"], &told["metadata"]), (&json!(["seccompFd"]), &json!("a word for you")));
        assert_eq!((&told["state"]["id"], &told["state"]["pid"]), (&json!(container.id), &told["pid"]));
        assert!(told["pid"].as_i64() > Some(1) && told["ociVersion"].is_string(), "{told}");
        assert!(
            ["creating", "created"].contains(&told["state"]["status"].as_str().unwrap_or_default()),
            "{told}"
        );
    }
}

#[test]
fn create_start_and_exec_ask_too() {
    for no_new_privileges in [true, false] {
        let script = "mkdir /tmp/x; trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done";
        let (container, agent) = asking(script, MKDIR, no_new_privileges);
        container.up();
        assert_eq!(agent.told(1).len(), 1);
        was_asked(&container.exec(&["sh", "-c", "mkdir /tmp/y; echo goes on"]));
        let told = agent.told(2);
        assert_eq!((told.len(), &told[1]["state"]["status"]), (2, &json!("running")));
        assert_eq!(told[1]["state"]["pid"], json!(container.pid()), "the container's own process");
        assert_ne!(told[1]["pid"], told[1]["state"]["pid"], "the new process");
    }
}

#[test]
fn calls_that_init_itself_makes_can_be_left_to_the_agent() {
    for no_new_privileges in [true, false] {
        let (mut container, _agent) = asking("echo started", &OF_INIT, no_new_privileges);
        container.set("/process/user", json!({"uid": 1000, "gid": 1000, "additionalGids": [5]}));
        assert_eq!(container.run().ok().stdout, "started\n", "{no_new_privileges}");
        container.set("/process/args", json!(["sleep", "1000"]));
        container.up();
        assert_eq!(container.exec(&["id", "-u"]).ok().stdout, "1000\n");
        container.command("delete", &["--force"]).ok();
    }
}

#[test]
fn write_and_the_default_action_cannot_be_left_to_it() {
    let (mut container, _agent) = asking("echo ran", &["write"], true);
    container.run().fails_with("SCMP_ACT_NOTIFY cannot be used for the write syscall");
    container
        .set("/linux/seccomp/syscalls", json!([]))
        .set("/linux/seccomp/defaultAction", "SCMP_ACT_NOTIFY");
    container.run().fails_with("SCMP_ACT_NOTIFY cannot be used as default action");
}

#[test]
fn no_agent_is_an_error_that_leaves_nothing() {
    for no_new_privileges in [true, false] {
        let (mut container, agent) = asking("echo ran", MKDIR, no_new_privileges);
        drop(agent);
        let out = container.run().fails_with("failed to connect with seccomp agent");
        assert!(!out.stdout.contains("ran"), "{out}");
        container.assert_no_leaks();
        for (path, words) in [("", "needs a listenerPath"), ("@abstract", "not absolute")] {
            container.set("/linux/seccomp/listenerPath", path);
            container.run().fails_with(if runtime::is_orlop() { words } else { "" });
        }
    }
}

#[test]
fn start_without_an_agent_ends_the_container() {
    // The filter comes last, and reading our word is left to the agent that is gone.
    let (container, agent) = asking("echo ran", &["read", "mkdir"], true);
    container.create();
    drop(agent);
    container.command::<&str>("start", &[]).output().fails_with("failed to connect with seccomp agent");
    assert_eq!(container.wait(), 137);
    assert_eq!(container.status(), "stopped");
}

#[test]
fn an_agent_that_goes_away_makes_calls_fail() {
    let (container, agent) = asking("echo up >/up; read x </go; mkdir /tmp/x", MKDIR, false);
    let (mut up, mut go) = (container.fifo("up"), container.fifo("go"));
    let running = container.spawn();
    assert_eq!(up.line(), "up");
    drop(agent);
    go.tell("now");
    let out = running.wait();
    assert!(out.code != 0 && out.stderr.contains("Function not implemented"), "{out}");
}

#[test]
fn a_listener_that_nothing_needs_is_left_alone() {
    let mut container = Container::sh("echo ran");
    let seccomp =
        json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/no/agent.sock", "listenerMetadata": "x"});
    container.set("/linux/seccomp", seccomp);
    let out = container.run().ok();
    assert_eq!(out.stdout, "ran\n");
    if runtime::is_orlop() {
        assert!(out.stderr.contains("/linux/seccomp/listenerPath"), "a warning: {out}");
    }
}

#[test]
fn a_start_container_hook_gets_no_descriptor_of_it() {
    let (mut container, _agent) = asking("mkdir /tmp/x; :", MKDIR, true);
    let script = "[ $(ls /proc/self/fd | wc -l) = 4 ]";
    container.push("/hooks/startContainer", json!({"path": "/bin/sh", "args": ["sh", "-c", script]}));
    was_asked(&container.run().ok());
}

#[test]
fn an_unprivileged_user_can_have_an_agent() {
    for no_new_privileges in [true, false] {
        let (mut container, agent) = asking("mkdir /tmp/x; :", MKDIR, no_new_privileges);
        make_rootless(&mut container.bundle.config, USER, USER);
        container.bundle.save();
        let user = Unprivileged::new(container.home());
        was_asked(&container.with_bundle::<&str>("run", &[]).within(&user.wrapper()).output().ok());
        drop(agent);
    }
}
