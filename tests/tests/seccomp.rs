//! `linux.seccomp`: what a filter does to a real program.
use std::fs;
use std::path::PathBuf;

use orlop_tests::seccomp::engine_profile;
use orlop_tests::{Container, Output, runtime};
use serde_json::{Value, json};

/// Runs a shell script under a profile.
fn under(profile: &Value, script: &str) -> Output {
    let mut container = Container::sh(script);
    container.set("/linux/seccomp", profile.clone()).set("/root/readonly", false);
    container.run()
}

/// A profile that allows everything but what `rules` say.
fn allow_but(rules: &Value) -> Value {
    json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], "syscalls": rules})
}

#[test]
fn a_denied_syscall_gives_eperm_unless_the_rule_says_otherwise() {
    let profile = allow_but(&json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]));
    let out = under(&profile, "mkdir /tmp/x");
    assert!(out.code != 0 && out.stderr.contains("Operation not permitted"), "{out}");
}

#[test]
fn errno_ret_is_the_errno_given() {
    let rule = json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]);
    let out = under(&allow_but(&rule), "mkdir /tmp/x; touch /tmp/y && echo others work");
    assert!(out.stderr.contains("No space left on device"), "{out}");
    assert_eq!(out.stdout, "others work\n");
}

#[test]
fn the_filter_is_in_force_and_inherited() {
    let profile = allow_but(&json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]));
    let out = under(&profile, "sh -c 'grep Seccomp: /proc/self/status'");
    assert_eq!(out.stdout.split_whitespace().last(), Some("2"), "{out}");
}

#[test]
fn kill_process_ends_it_with_sigsys() {
    for action in ["SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL"] {
        let profile = allow_but(&json!([{"names": ["mkdir", "mkdirat"], "action": action}]));
        let out = under(&profile, "sh -c 'mkdir /tmp/x'; echo $?");
        assert_eq!(out.stdout, "159\n", "128 + SIGSYS, {action}: {out}");
    }
}

#[test]
fn an_argument_is_compared() {
    // kill(pid, SIGUSR1) is denied, kill(pid, SIGUSR2) is not.
    let rule = json!([{"names": ["kill"], "action": "SCMP_ACT_ERRNO",
                       "args": [{"index": 1, "value": 10, "op": "SCMP_CMP_EQ"}]}]);
    let out = under(
        &allow_but(&rule),
        "trap : USR1 USR2; kill -USR1 $$ || echo denied; kill -USR2 $$ && echo allowed",
    );
    assert_eq!(out.stdout, "denied\nallowed\n", "{out}");
}

#[test]
fn an_argument_is_compared_under_a_mask() {
    // chmod with the set-user-id bit is denied.
    let rule = json!([{"names": ["chmod"], "action": "SCMP_ACT_ERRNO",
                       "args": [{"index": 1, "value": 0o4000, "valueTwo": 0o4000, "op": "SCMP_CMP_MASKED_EQ"}]}]);
    let out = under(
        &allow_but(&rule),
        "touch /tmp/f; chmod 4755 /tmp/f || echo denied; chmod 755 /tmp/f && echo allowed",
    );
    assert_eq!(out.stdout, "denied\nallowed\n", "{out}");
}

#[test]
fn each_comparison_decides_as_it_is_named() {
    // The second argument of kill, against 5.
    for (op, denied, allowed) in [
        ("SCMP_CMP_EQ", "5", "3 4 6 7"),
        ("SCMP_CMP_NE", "3 4 6 7", "5"),
        ("SCMP_CMP_LT", "3 4", "5 6 7"),
        ("SCMP_CMP_LE", "3 4 5", "6 7"),
        ("SCMP_CMP_GE", "5 6 7", "3 4"),
        ("SCMP_CMP_GT", "6 7", "3 4 5"),
    ] {
        let rule = json!([{"names": ["kill"], "action": "SCMP_ACT_ERRNO",
                           "args": [{"index": 1, "value": 5, "op": op}]}]);
        let script = "trap : 3 4 5 6 7; \
                      for n in DENIED; do kill -$n $$ 2>/dev/null && echo $n got through; done; \
                      for n in ALLOWED; do kill -$n $$ || echo $n was denied; done; :";
        let script = script.replace("DENIED", denied).replace("ALLOWED", allowed);
        let out = under(&allow_but(&rule), &script);
        assert_eq!((out.code, out.stdout.as_str()), (0, ""), "{op}: {out}");
    }
}

#[test]
fn a_profile_works_without_no_new_privileges() {
    let profile = allow_but(&json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]));
    let mut container = Container::sh("mkdir /tmp/x; grep NoNewPrivs /proc/self/status");
    container
        .set("/linux/seccomp", profile)
        .set("/process/noNewPrivileges", false)
        .set("/root/readonly", false);
    container.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    let out = container.run();
    assert!(out.stderr.contains("not permitted") && out.stdout.ends_with("0\n"), "{out}");
}

#[test]
fn a_profile_may_name_syscalls_that_this_machine_does_not_know() {
    let rule = json!([{"names": ["mkdir", "syscall_of_tomorrow"], "action": "SCMP_ACT_ERRNO"}]);
    let out = under(&allow_but(&rule), "mkdir /tmp/x; echo still here");
    assert_eq!(out.stdout, "still here\n", "{out}");
    assert!(out.stderr.contains("not permitted"), "{out}");
}

#[test]
fn an_engines_profile_lets_ordinary_programs_run_and_denies_the_rest() {
    let script = "ls / >/dev/null && (sleep 0; echo forked) && date >/dev/null && echo fine; \
                  hostname other 2>/dev/null || mount -t tmpfs none /mnt || echo denied";
    let mut container = Container::sh(script);
    // With the capability that these need, so that only the filter can deny them.
    let sets = json!(["CAP_SYS_ADMIN"]);
    container.set("/process/capabilities", json!({"bounding": sets, "permitted": sets, "effective": sets}));
    assert_eq!(container.run().ok().stdout, "forked\nfine\n", "without the filter they are allowed");
    container.set("/linux/seccomp", engine_profile());
    assert_eq!(container.run().stdout, "forked\nfine\ndenied\n");
}

/// A container whose programs cannot make directories, and are told this errno; and where its filter is kept.
fn without_mkdir(errno: u32) -> (Container, PathBuf) {
    let mut container = Container::lasting();
    let rule = json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno}]);
    container.set("/linux/seccomp", allow_but(&rule)).set("/root/readonly", false);
    container.up();
    let kept = kept(&container);
    (container, kept)
}

/// Where the filter of a container is kept.
fn kept(container: &Container) -> PathBuf {
    container.state_root().join(&container.id).join("filter")
}

#[test]
fn exec_is_under_the_filter_too() {
    let (container, _) = without_mkdir(28);
    container.exec(&["mkdir", "/tmp/x"]).fails_with("No space left");
}

#[test]
fn exec_has_the_filter_that_the_container_was_made_with() {
    let ((container, kept), (_other, of_other)) = (without_mkdir(28), without_mkdir(17));
    let own = fs::read(&kept).unwrap();
    fs::copy(of_other, &kept).unwrap();
    // Nobody has compiled the config's for this one.
    container.exec(&["mkdir", "/tmp/x"]).fails_with("File exists");
    // Where none was kept, or none that can be one, it is compiled.
    for none in [&[][..], &own[..own.len() - 1]] {
        fs::write(&kept, none).unwrap();
        container.exec(&["mkdir", "/tmp/x"]).fails_with("No space left");
    }
    fs::remove_file(&kept).unwrap();
    container.exec(&["mkdir", "/tmp/x"]).fails_with("No space left");
}

#[test]
fn no_filter_is_kept_where_there_is_none() {
    let container = Container::lasting();
    container.up();
    let kept = kept(&container);
    assert!(kept.with_file_name("config.json").exists() && !kept.exists());
}

#[test]
fn an_unknown_action_operator_or_architecture_is_refused() {
    for (pointer, value) in [
        ("/defaultAction", "SCMP_ACT_NONSENSE"),
        ("/syscalls/0/action", "SCMP_ACT_NONSENSE"),
        ("/syscalls/0/args/0/op", "SCMP_CMP_NONSENSE"),
        ("/architectures/0", "SCMP_ARCH_NONSENSE"),
    ] {
        let mut profile = allow_but(&json!([{"names": ["kill"], "action": "SCMP_ACT_ERRNO",
                                             "args": [{"index": 1, "value": 10, "op": "SCMP_CMP_EQ"}]}]));
        *profile.pointer_mut(pointer).expect("the profile has it") = json!(value);
        let out = under(&profile, "echo ran");
        assert!(out.code != 0 && !out.stdout.contains("ran"), "{pointer}: {out}");
        if runtime::is_orlop() {
            assert!(out.stderr.contains(&format!("/linux/seccomp{pointer}")), "{pointer}: {out}");
        }
    }
}

#[test]
fn a_profile_need_not_know_what_only_the_runtime_calls() {
    // Engines' profiles are older than some of these, and tight ones of applications have none of them.
    let ours = json!([{"names": ["accept4", "capset", "close_range", "faccessat2", "recvfrom", "recvmsg", "seccomp", "sendmsg",
                                 "sendto", "setgroups", "setresgid", "setresuid"],
                       "action": "SCMP_ACT_KILL_PROCESS"}]);
    for no_new_privileges in [true, false] {
        let mut container = Container::sh("echo runs; exit 3");
        container.set("/linux/seccomp", allow_but(&ours)).set("/process/noNewPrivileges", no_new_privileges);
        container.set("/process/user", json!({"uid": 1000, "gid": 1000, "additionalGids": [2000]}));
        assert_eq!(container.run().stdout, "runs\n", "{no_new_privileges}");
        container.up();
        assert_eq!(container.wait(), 3, "{no_new_privileges}");
        container.delete();
        container.set("/process/args", json!(["/bin"]));
        container.run().fails_with("/bin");
    }
}

#[test]
fn the_right_to_load_a_filter_does_not_reach_the_program() {
    for user in [0, 1000] {
        let mut container = Container::sh("grep Cap /proc/self/status");
        container
            .set("/process/noNewPrivileges", false)
            .set("/process/user", json!({"uid": user, "gid": user}));
        let without = container.run().ok().stdout;
        container.set("/linux/seccomp", allow_but(&json!([{"names": ["acct"], "action": "SCMP_ACT_ERRNO"}])));
        assert_eq!(container.run().ok().stdout, without, "user {user}");
    }
}

#[test]
fn an_engines_profile_works_without_no_new_privileges() {
    let mut container = Container::lasting();
    container.set("/linux/seccomp", engine_profile()).set("/process/noNewPrivileges", false);
    container.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    container.up();
    assert_eq!(container.exec(&["id", "-u"]).ok().stdout, "1000\n");
}
