//! `process` of `config.md`: what the container's program finds when it starts.
use std::collections::BTreeMap;
use std::fs;

use orlop_tests::container::printed;
use orlop_tests::{Container, need};
use serde_json::{Value, json};

#[test]
fn args_are_given_as_they_are() {
    let mut container = Container::new(&[]);
    let args = ["sh", "-c", "for a; do echo \"<$a>\"; done", "sh", "a b", "", "*", "ü\n", "$HOME"];
    container.set("/process/args", args.as_slice());
    assert_eq!(container.run().ok().stdout, "<a b>\n<>\n<*>\n<ü\n>\n<$HOME>\n");
}

#[test]
fn env_is_what_the_configuration_says_and_nothing_of_the_host() {
    let out =
        printed("env", &[("/process/env", json!(["PATH=/bin", "A=1 2", "EMPTY=", "HOME=/given", "EQ=a=b"]))]);
    let mut lines: Vec<&str> = out.lines().collect();
    // The shell adds these two itself.
    lines.retain(|line| !line.starts_with("PWD=") && !line.starts_with("SHLVL="));
    lines.sort_unstable();
    assert_eq!(lines, ["A=1 2", "EMPTY=", "EQ=a=b", "HOME=/given", "PATH=/bin"]);
}

#[test]
fn home_comes_from_the_containers_passwd_if_env_lacks_it() {
    assert_eq!(printed("echo $HOME", &[]), "/root\n");
    let user = printed("echo $HOME", &[("/process/user", json!({"uid": 1000, "gid": 1000}))]);
    assert_eq!(user, "/home/user\n");
}

#[test]
fn home_is_slash_for_a_user_that_passwd_does_not_know() {
    let out = printed("echo $HOME", &[("/process/user", json!({"uid": 4242, "gid": 4242}))]);
    assert_eq!(out, "/\n");
}

#[test]
fn path_of_the_configuration_finds_the_program() {
    let mut container = Container::new(&["tool"]);
    let tools = container.bundle.rootfs().join("opt");
    fs::create_dir(&tools).expect("a new directory");
    fs::write(tools.join("tool"), "#!/bin/sh\necho found\n").expect("a new file");
    rustix::fs::chmod(tools.join("tool"), 0o755.into()).expect("our own file");
    container.set("/process/env", json!(["PATH=/nowhere:/opt"]));
    assert_eq!(container.run().ok().stdout, "found\n");
}

#[test]
fn cwd_is_entered() {
    assert_eq!(printed("pwd", &[("/process/cwd", json!("/home/user"))]), "/home/user\n");
}

#[test]
fn cwd_that_is_absent_is_created() {
    let out = printed("pwd", &[("/process/cwd", json!("/srv/new/deep")), ("/root/readonly", json!(false))]);
    assert_eq!(out, "/srv/new/deep\n");
}

#[test]
fn cwd_must_be_absolute() {
    let mut container = Container::sh("pwd");
    container.set("/process/cwd", "home");
    let out = container.run();
    assert!(out.code != 0 && out.stderr.to_lowercase().contains("cwd"), "{out}");
}

#[test]
fn standard_input_output_and_error_are_the_callers() {
    let container = Container::sh("cat; echo to-err >&2");
    let out = container.with_bundle::<&str>("run", &[]).input(b"line 1\nline 2").output();
    assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("line 1\nline 2", "to-err\n"));
}

#[test]
fn a_megabyte_of_input_arrives_unchanged() {
    let container = Container::sh("wc -c");
    let out = container.with_bundle::<&str>("run", &[]).input(&vec![b'x'; 1 << 20]).output();
    assert_eq!(out.ok().stdout.trim(), "1048576");
}

#[test]
fn hostname_is_set() {
    assert_eq!(
        printed("hostname; uname -n", &[("/hostname", json!("orlop-deck"))]),
        "orlop-deck\norlop-deck\n"
    );
}

#[test]
fn domainname_is_set() {
    let mut container = Container::sh("cat /proc/sys/kernel/domainname");
    container.set("/domainname", "deck.example");
    let out = container.run().ok();
    need!(
        orlop_tests::runtime::is_orlop() || out.stdout == "deck.example\n",
        "this runtime knows no domainname"
    );
    assert_eq!(out.stdout, "deck.example\n");
}

#[test]
fn user_is_uid_gid_and_additional_gids() {
    let out = printed(
        "id -u; id -g; id -G",
        &[("/process/user", json!({"uid": 1000, "gid": 1001, "additionalGids": [5, 2000]}))],
    );
    assert_eq!(out, "1000\n1001\n1001 5 2000\n");
}

#[test]
fn without_additional_gids_there_are_no_groups_of_the_host() {
    let out =
        printed("grep Groups: /proc/self/status", &[("/process/user", json!({"uid": 1000, "gid": 1000}))]);
    let groups = out.trim_start_matches("Groups:").trim();
    assert!(groups.is_empty() || groups == "1000", "{out}");
}

#[test]
fn umask_is_022_or_what_the_configuration_says() {
    assert_eq!(printed("umask", &[]), "0022\n");
    assert_eq!(printed("umask", &[("/process/user/umask", json!(0o077))]), "0077\n");
}

#[test]
fn rlimits_are_set_soft_and_hard() {
    let out = printed(
        "cat /proc/self/limits",
        &[(
            "/process/rlimits",
            json!([
                {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
                {"type": "RLIMIT_CORE", "soft": 0, "hard": 4096},
                {"type": "RLIMIT_STACK", "soft": 1_048_576, "hard": 2_097_152}
            ]),
        )],
    );
    for (name, soft, hard) in [
        ("Max open files", "100", "200"),
        ("Max core file size", "0", "4096"),
        ("Max stack size", "1048576", "2097152"),
    ] {
        let line = out.lines().find(|line| line.starts_with(name)).expect("every limit is listed");
        let values: Vec<&str> = line[name.len()..].split_whitespace().collect();
        assert_eq!(values[..2], [soft, hard], "{line}");
    }
}

#[test]
fn a_soft_limit_above_the_hard_one_is_refused() {
    let mut container = Container::sh("true");
    container.set("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "soft": 200, "hard": 100}]));
    assert_ne!(container.run().code, 0);
    container.assert_no_leaks();
}

#[test]
fn rlimits_can_be_raised_with_sys_resource() {
    need!(
        need::capability(need::CAP_SYS_RESOURCE),
        "raising a hard limit needs CAP_SYS_RESOURCE, not to be had here"
    );
    let out = printed(
        "ulimit -Hl",
        &[(
            "/process/rlimits",
            json!([{"type": "RLIMIT_MEMLOCK", "soft": 1_u64 << 40, "hard": 1_u64 << 40}]),
        )],
    );
    assert_eq!(out.trim(), (1_u64 << 30).to_string());
}

/// The capability masks of the container's program, by name of their line.
fn capabilities(changes: &[(&str, Value)]) -> BTreeMap<String, u64> {
    let out = printed("grep ^Cap /proc/self/status", changes);
    let parse = |line: &str| {
        let (name, mask) = line.split_once(':').expect("name and mask");
        (name.to_owned(), u64::from_str_radix(mask.trim(), 16).expect("a hexadecimal mask"))
    };
    out.lines().map(parse).collect()
}

/// The sets that a container's root needs to have `names`.
fn three_sets(names: &[&str]) -> Value {
    json!({"bounding": names, "permitted": names, "effective": names})
}

const CHOWN: u64 = 1 << 0;
const KILL: u64 = 1 << 5;
const NET_RAW: u64 = 1 << 13;

#[test]
fn all_five_capability_sets_are_what_the_configuration_says() {
    // As root, exec raises permitted and effective to the bounding set: look at another user.
    let masks = capabilities(&[
        (
            "/process/capabilities",
            json!({
                "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
                "permitted": ["CAP_CHOWN", "CAP_KILL"],
                "effective": ["CAP_CHOWN"],
                "inheritable": ["CAP_CHOWN"],
                "ambient": ["CAP_CHOWN"]
            }),
        ),
        ("/process/user", json!({"uid": 1000, "gid": 1000})),
    ]);
    assert_eq!(masks["CapBnd"], CHOWN | KILL | NET_RAW);
    assert_eq!(masks["CapInh"], CHOWN);
    assert_eq!(masks["CapAmb"], CHOWN);
    // Through exec without root, what is ambient stays and nothing else.
    assert_eq!((masks["CapPrm"], masks["CapEff"]), (CHOWN, CHOWN));
}

#[test]
fn root_gets_no_more_than_the_bounding_set() {
    let masks = capabilities(&[("/process/capabilities", three_sets(&["CAP_CHOWN", "CAP_KILL"]))]);
    for set in ["CapBnd", "CapPrm", "CapEff"] {
        assert_eq!(masks[set], CHOWN | KILL, "{set}");
    }
    assert_eq!((masks["CapInh"], masks["CapAmb"]), (0, 0));
}

#[test]
fn without_capabilities_there_are_none() {
    let masks = capabilities(&[("/process/capabilities", json!({}))]);
    assert!(masks.values().all(|mask| *mask == 0), "{masks:?}");
}

#[test]
fn a_capability_that_the_kernel_does_not_know_does_not_stop_the_container() {
    // config.md: "runtimes MUST NOT fail if the container configuration requests capabilities that cannot be
    // granted, e.g. if the runtime operates in a restricted environment with limited capabilities", only warn.
    let masks = capabilities(&[("/process/capabilities", three_sets(&["CAP_CHOWN", "CAP_OF_TOMORROW"]))]);
    assert_eq!(masks["CapBnd"], CHOWN);
}

#[test]
fn no_new_privileges_is_as_configured() {
    for (configured, expected) in [(true, "1"), (false, "0")] {
        let out =
            printed("grep NoNewPrivs /proc/self/status", &[("/process/noNewPrivileges", json!(configured))]);
        assert_eq!(out.split_whitespace().last(), Some(expected));
    }
}

#[test]
fn oom_score_adj_is_set() {
    let out = printed("cat /proc/self/oom_score_adj", &[("/process/oomScoreAdj", json!(567))]);
    assert_eq!(out, "567\n");
}

#[test]
fn oom_score_adj_can_go_down_with_sys_resource() {
    need!(
        need::capability(need::CAP_SYS_RESOURCE),
        "lowering oom_score_adj needs CAP_SYS_RESOURCE, not to be had here"
    );
    let out = printed("cat /proc/self/oom_score_adj", &[("/process/oomScoreAdj", json!(-500))]);
    assert_eq!(out, "-500\n");
}

#[test]
fn only_standard_input_output_and_error_are_open() {
    let container = Container::new(&["ls", "/proc/self/fd"]);
    let leaky = ["sh", "-c", "exec 7</etc/passwd 9</; exec \"$@\"", "sh"];
    let out = container.with_bundle::<&str>("run", &[]).within(&leaky).ok();
    // 3 is the directory that `ls` itself has open.
    assert_eq!(out.lines(), ["0", "1", "2", "3"]);
}

#[test]
fn preserve_fds_passes_descriptors_from_3_on() {
    let container = Container::sh("cat <&3; cat <&4; ls /proc/self/fd | wc -l");
    let [three, four] = ["three", "four"].map(|name| container.home().join(name));
    fs::write(&three, "third\n").expect("a new file");
    fs::write(&four, "fourth\n").expect("a new file");
    let script = format!("exec 3<{} 4<{} 5</; exec \"$@\"", three.display(), four.display());
    let run = container.with_bundle("run", &["--preserve-fds", "2"]).within(&["sh", "-c", &script, "sh"]);
    // 0 to 4 and the one that `ls` opens.
    assert_eq!(run.ok().stdout, "third\nfourth\n6\n");
}

#[test]
fn listen_fds_are_passed_on_with_the_pid_inside() {
    let container = Container::sh("echo $LISTEN_FDS $LISTEN_PID; cat <&3");
    let file = container.home().join("socket");
    fs::write(&file, "third\n").expect("a new file");
    let script = format!("exec 3<{}; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"", file.display());
    let run = container.with_bundle::<&str>("run", &[]).within(&["sh", "-c", &script, "sh"]);
    assert_eq!(run.ok().stdout, "1 1\nthird\n");
}
