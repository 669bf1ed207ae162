//! Processes, and what surrounds them, that are refused or warned about: each config with every finding, by code and place.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod common;

use common::findings::{all_are_found, check, config, findings, map, mount};
use common::{options, root};
use orlop_cgroups::Layout;
use orlop_compile::{ExecOptions, Host, Options, compile, compile_exec};
use orlop_spec::{Process, User};
use serde_json::{Value, json};

#[test]
fn the_process() {
    all_are_found(&[
        (&[("/process/args", json!([]))], &["Args /process/args"]),
        (&[("/process/args", json!([""]))], &["Args /process/args/0"]),
        (&[("/process/args", json!(["/a", "b\0"]))], &["NulByte /process/args"]),
        (&[("/process/cwd", json!(""))], &["Cwd /process/cwd"]),
        (&[("/process/cwd", json!("tmp"))], &["Cwd /process/cwd"]),
        (&[("/process/env", json!(["A=1", "B", "=c"]))], &["Env /process/env/1", "Env /process/env/2"]),
        (
            &[("/process/args/0", json!("sh")), ("/process/env", json!(["PATH=.:"]))],
            &[
                "warn SearchPath /process/env/0",
                "warn SearchPath /process/env/0",
                "SearchPath /process/args/0",
            ],
        ),
        (&[("/process/user/umask", json!(4095))], &["User /process/user/umask"]),
        (&[("/process/user/uid", json!(4_294_967_295_u32))], &["User /process/user/uid"]),
        (&[("/process/oomScoreAdj", json!(1001))], &["OomScore /process/oomScoreAdj"]),
        (
            &[
                ("/process/terminal", json!(true)),
                ("/process/consoleSize", json!({"height": 70000, "width": 1})),
            ],
            &["Console /process/consoleSize"],
        ),
        (
            &[("/process/rlimits", json!([{"type": "RLIMIT_MOON", "soft": 1, "hard": 1}]))],
            &["Rlimit /process/rlimits/0/type"],
        ),
        (
            &[("/process/rlimits", json!([{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}]))],
            &["Rlimit /process/rlimits/0"],
        ),
        (
            &[(
                "/process/rlimits",
                json!([{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}, {"type": "RLIMIT_CPU", "soft": 1,
                "hard": 1}]),
            )],
            &["Rlimit /process/rlimits/1"],
        ),
    ]);
}

fn capabilities(sets: &[(&str, &[&str])]) -> (&'static str, Value) {
    let sets = sets.iter().map(|(set, names)| ((*set).to_owned(), json!(names)));
    ("/process/capabilities", Value::Object(sets.collect()))
}

#[test]
fn capability_sets() {
    let kill: &[&str] = &["CAP_KILL"];
    all_are_found(&[
        (
            &[capabilities(&[("bounding", &["CAP_FLY", "cap_kill"])])],
            &[
                "warn CapabilityUnknown /process/capabilities/bounding/0",
                "warn CapabilityUnknown /process/capabilities/bounding/1",
            ],
        ),
        (&[capabilities(&[("effective", kill)])], &["CapabilitySets /process/capabilities/effective"]),
        (&[capabilities(&[("inheritable", kill)])], &["CapabilitySets /process/capabilities/inheritable"]),
        (&[capabilities(&[("ambient", kill)])], &["note CapabilitySets /process/capabilities/ambient"]),
    ]);
    let poor = Host { bounding: 1, last_cap: 37, ..root() };
    check(
        &poor,
        &options(),
        &[capabilities(&[("bounding", kill), ("permitted", kill)])],
        &["CapabilityUnavailable /process/capabilities/permitted"],
    );
    check(
        &poor,
        &options(),
        &[capabilities(&[("bounding", kill)])],
        &["warn CapabilityUnavailable /process/capabilities/bounding"],
    );
    check(
        &poor,
        &options(),
        &[capabilities(&[("bounding", &["CAP_BPF"])])],
        &["warn CapabilityUnknown /process/capabilities/bounding/0"],
    );
}

#[test]
fn kernel_parameters_and_paths() {
    let sysctl = |name: &str| ("/linux/sysctl", json!({ name: "1" }));
    let bare = ("/linux/namespaces", json!([{"type": "mount"}]));
    all_are_found(&[
        (&[sysctl("vm.swappiness")], &["Sysctl /linux/sysctl/vm.swappiness"]),
        (&[sysctl("kernel.hostname")], &["Sysctl /linux/sysctl/kernel.hostname"]),
        (&[sysctl("kernel.domainname")], &[]),
        (
            &[sysctl("net/ipv4/../../vm/swappiness")],
            &["Sysctl /linux/sysctl/net~1ipv4~1..~1..~1vm~1swappiness"],
        ),
        (&[sysctl("net..x")], &["Sysctl /linux/sysctl/net..x"]),
        (
            &[bare.clone(), sysctl("net.ipv4.ip_forward")],
            &["NamespaceMissing /linux/sysctl/net.ipv4.ip_forward"],
        ),
        (&[bare.clone(), sysctl("kernel.sem")], &["NamespaceMissing /linux/sysctl/kernel.sem"]),
        (&[bare.clone(), sysctl("fs.mqueue.msg_max")], &["NamespaceMissing /linux/sysctl/fs.mqueue.msg_max"]),
        (&[sysctl("user.max_user_namespaces")], &["NamespaceMissing /linux/sysctl/user.max_user_namespaces"]),
        (&[("/linux/maskedPaths", json!(["proc"]))], &["HiddenPath /linux/maskedPaths/0"]),
        (&[("/linux/readonlyPaths", json!(["/a", "/"]))], &["HiddenPath /linux/readonlyPaths/1"]),
    ]);
}

#[test]
fn hooks() {
    let hook = |list: &'static str, hook: Value| (list, json!([hook]));
    all_are_found(&[
        (&[hook("/hooks/poststop", json!({"path": "true"}))], &["Hook /hooks/poststop/0"]),
        (
            &[hook("/hooks/createRuntime", json!({"path": "/bin/true", "timeout": 0}))],
            &["Hook /hooks/createRuntime/0"],
        ),
        (
            &[hook("/hooks/startContainer", json!({"path": "/a", "args": ["\0"]}))],
            &["NulByte /hooks/startContainer/0"],
        ),
        (&[hook("/hooks/prestart", json!({"path": "/bin/true"}))], &["warn Deprecated /hooks/prestart"]),
    ]);
}

#[test]
fn filters() {
    let filter = |value: Value| ("/linux/seccomp", value);
    all_are_found(&[
        (&[filter(json!({}))], &["warn SeccompIgnored /linux/seccomp"]),
        (&[filter(json!({"defaultAction": "SCMP_ACT_MAYBE"}))], &["Seccomp /linux/seccomp/defaultAction"]),
        (
            &[filter(json!({"defaultAction": 1, "flags": [2]}))],
            &["Seccomp /linux/seccomp/defaultAction", "Seccomp /linux/seccomp/flags/0"],
        ),
        (
            &[filter(
                json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_PDP11"], "syscalls": [
                {"names": ["mkdir", "mkmoon"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 7, "value": 0, "op":
                "SCMP_CMP_EQ"}]}]}),
            )],
            &["Seccomp /linux/seccomp/architectures/0", "Seccomp /linux/seccomp/syscalls/0/args/0/index"],
        ),
        (
            &[filter(json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkmoon"], "action":
                "SCMP_ACT_ERRNO"}]}))],
            &["warn SeccompIgnored /linux/seccomp/syscalls/0/names/0"],
        ),
    ]);
}

#[test]
fn control_groups() {
    all_are_found(&[
        (&[("/linux/cgroupsPath", json!("/../x"))], &["Cgroup /linux/cgroupsPath"]),
        (&[("/linux/cgroupsPath", json!("/"))], &["Cgroup /linux/cgroupsPath"]),
        (
            &[("/linux/resources", json!({"memory": {"kernel": 1}}))],
            &["warn CgroupIgnored /linux/resources/memory/kernel"],
        ),
        (
            &[("/linux/resources", json!({"devices": [{"allow": true, "type": "z", "access": "r"}]}))],
            &["Cgroup /linux/resources/devices/0/type"],
        ),
    ]);
    let legacy = Host { cgroups: Layout::default(), ..root() };
    check(
        &legacy,
        &options(),
        &[mount("/sys/fs/cgroup", "cgroup", "", &[])],
        &["Cgroup /linux/resources/devices", "MountCgroup /mounts/1/type"],
    );
}

#[test]
fn the_command() {
    for id in ["", "..", "a/b", "ä", "a b"] {
        check(&root(), &Options { id, ..options() }, &[], &["ContainerId"]);
    }
    check(&root(), &Options { id: &"x".repeat(256), ..options() }, &[], &["ContainerId"]);
    let limits =
        json!({ "memory": { "limit": 1 << 20 }, "pids": { "limit": -1 }, "devices": [{ "allow": false }] });
    check(
        &root(),
        &Options { no_cgroup: true, ..options() },
        &[("/linux/resources", limits)],
        &[
            "Cgroup /linux/resources/pids/limit",
            "Cgroup /linux/resources/memory/limit",
            "note CgroupIgnored /linux/resources/devices",
        ],
    );
}

#[test]
fn an_added_process() {
    let spec = config(&[
        ("/linux/namespaces/-", json!({"type": "user"})),
        ("/linux/uidMappings", json!([map(0, 1000, 2)])),
        ("/linux/gidMappings", json!([map(0, 1000, 2)])),
    ]);
    let options = ExecOptions { id: "c1", no_new_keyring: false, preserve_fds: 0, filter: None };
    let process = Process {
        cwd: "tmp".into(),
        user: User { uid: 1, gid: 2, ..User::default() },
        oom_score_adj: Some(-2000),
        apparmor_profile: "strict".into(),
        ..Process::default()
    };
    let found = findings(&compile_exec(&spec, &process, &root(), &options));
    assert_eq!(
        found,
        [
            "Error Label /process/apparmorProfile",
            "Error OomScore /process/oomScoreAdj",
            "Error IdUnmapped /process/user/gid",
            "Error Cwd /process/cwd",
            "Error Args /process/args",
        ]
    );
}

#[test]
fn findings_read_well() {
    let spec = config(&[
        ("/process/cwd", json!("tmp")),
        ("/process/rlimits", json!([{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}])),
        ("/hostname", json!("box")),
        ("/linux/namespaces", json!([{"type": "mount"}])),
        ("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"})),
        ("/linux/uidMappings", json!([map(0, 1, 1)])),
        ("/mounts/-", json!({"destination": "/proc/sys", "type": "tmpfs"})),
    ]);
    let error = compile(&spec, &root(), &options()).unwrap_err();
    insta::assert_snapshot!(error);
}

#[test]
fn landlock() {
    let nnp = ("/process/noNewPrivileges", json!(true));
    let with = |key: &str, value: &str| {
        [("/annotations", json!({ format!("run.orlop.landlock.{key}"): value })), nnp.clone()]
    };
    let places: [(&str, &str, &[&str]); 16] = [
        ("read", "/", &[]),
        ("read", "/usr:/etc", &[]),
        ("write", "/tmp", &[]),
        ("tcp-bind", "80,443", &[]),
        ("tcp-connect", "", &[]),
        ("scope", "signal,abstract-unix-socket", &[]),
        ("read", "", &["Landlock /annotations/run.orlop.landlock.read"]),
        ("read", "/usr:", &["Landlock /annotations/run.orlop.landlock.read"]),
        ("write", "tmp", &["Landlock /annotations/run.orlop.landlock.write"]),
        ("tcp-bind", "80,", &["Landlock /annotations/run.orlop.landlock.tcp-bind"]),
        ("tcp-bind", "65536", &["Landlock /annotations/run.orlop.landlock.tcp-bind"]),
        ("tcp-bind", "+80", &["Landlock /annotations/run.orlop.landlock.tcp-bind"]),
        ("tcp-connect", "http", &["Landlock /annotations/run.orlop.landlock.tcp-connect"]),
        ("scope", "", &["Landlock /annotations/run.orlop.landlock.scope"]),
        ("scope", "signals", &["Landlock /annotations/run.orlop.landlock.scope"]),
        ("exec", "/bin", &["Landlock /annotations/run.orlop.landlock.exec"]),
    ];
    for (key, value, expected) in places {
        check(&root(), &options(), &with(key, value), expected);
    }
    // What a kernel cannot do is said with the version that can.
    for (version, key, needs) in [
        (0, "read", Some("has not enabled (lsm=landlock)")),
        (2, "read", Some("needs version 3 of Landlock (Linux 6.2), this is version 2 (Linux 6.18)")),
        (3, "read", None),
        (3, "tcp-bind", Some("needs version 4 of Landlock (Linux 6.7)")),
        (4, "tcp-bind", None),
        (5, "scope", Some("needs version 6 of Landlock (Linux 6.12)")),
        (6, "scope", None),
    ] {
        let host = Host { landlock: version, ..root() };
        let value = match key {
            "read" => "/",
            "scope" => "signal",
            _ => "1",
        };
        let result = compile(&config(&with(key, value)), &host, &options());
        match needs {
            Some(words) => {
                let found = result.unwrap_err();
                assert!(found.all()[0].message.contains(words), "{version} {key}: {found:?}");
            }
            None => assert!(result.is_ok(), "{version} {key}: {result:?}"),
        }
    }
    let without = [("/annotations", json!({ "run.orlop.landlock.read": "/" }))];
    check(&root(), &options(), &without, &["Landlock /annotations/run.orlop.landlock.read"]);
    let admin = capabilities(&[
        ("bounding", &["CAP_SYS_ADMIN"]),
        ("effective", &["CAP_SYS_ADMIN"]),
        ("permitted", &["CAP_SYS_ADMIN"]),
    ]);
    check(&root(), &options(), &[without[0].clone(), admin], &[]);
}

#[test]
fn landlock_is_in_force_right_before_the_filter_for_exec_too() {
    let annotations = json!({ "run.orlop.landlock.read": "/usr:/etc", "run.orlop.landlock.write": "/tmp" });
    let filter = (
        "/linux/seccomp",
        json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        { "names": ["mkdir"], "action": "SCMP_ACT_ERRNO" }] }),
    );
    let spec = config(&[("/annotations", annotations), ("/process/noNewPrivileges", json!(true)), filter]);
    let run = Options { mode: orlop_compile::Mode::Run, ..options() };
    let exec = ExecOptions { id: "c1", no_new_keyring: false, preserve_fds: 0, filter: None };
    let programs = [
        compile(&spec, &root(), &run).unwrap(),
        compile_exec(&spec, spec.process.as_ref().unwrap(), &root(), &exec).unwrap(),
    ];
    for compiled in programs {
        let names: Vec<_> = compiled.program.steps().map(|step| step.unwrap().name()).collect();
        let at = |name: &str| names.iter().position(|other| *other == name).unwrap();
        assert_eq!(names[at("Ruleset")..][..4], ["Ruleset", "AllowPath", "AllowPath", "AllowPath"]);
        assert!(at("Ruleset") < at("CloseFrom") && at("NoNewPrivileges") < at("Restrict"));
        assert!(at("Identity") < at("Restrict") && at("Restrict") < at("Seccomp"), "{names:?}");
    }
}
