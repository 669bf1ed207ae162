//! Configs that are refused or warned about: each with every finding, by code and place.
#![allow(missing_docs)]

mod common;

use common::{options, root, user};
use orlop_cgroups::Layout;
use orlop_compile::{Compiled, Diagnostic, Diagnostics, Host, Options, compile};
use orlop_spec::{Document, Spec};
use serde_json::{Value, json};

/// A small config without fault.
fn good() -> Value {
    json!({
        "ociVersion": "1.3.0",
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["/bin/true"], "cwd": "/"},
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {"namespaces": [
            {"type": "mount"}, {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}
        ]}
    })
}

/// Sets what a pointer names; `-` appends to an array.
fn set(config: &mut Value, pointer: &str, value: Value) {
    let mut at = config;
    for token in pointer.split('/').skip(1) {
        at = match at {
            Value::Array(items) => {
                let index = token.parse().unwrap_or(items.len());
                if index == items.len() {
                    items.push(Value::Null);
                }
                &mut items[index]
            }
            Value::Object(members) => members.entry(token).or_insert(Value::Null),
            missing => {
                *missing =
                    if token == "-" || token == "0" { json!([Value::Null]) } else { json!({ token: null }) };
                if token == "-" || token == "0" { &mut missing[0] } else { &mut missing[token] }
            }
        };
    }
    *at = value;
}

fn config(changes: &[(&str, Value)]) -> Spec {
    let mut config = good();
    for (pointer, value) in changes {
        set(&mut config, pointer, value.clone());
    }
    Document::parse(config.to_string()).unwrap().spec
}

fn shown(findings: &[Diagnostic]) -> Vec<String> {
    let place = |d: &Diagnostic| d.pointer.as_ref().map(|p| format!(" {p}")).unwrap_or_default();
    findings.iter().map(|d| format!("{:?} {:?}{}", d.severity, d.code, place(d))).collect()
}

fn findings(result: &Result<Compiled, Diagnostics>) -> Vec<String> {
    match result {
        Ok(compiled) => shown(&compiled.warnings),
        Err(diagnostics) => shown(diagnostics.all()),
    }
}

/// Compares findings with what is expected: lines without `Error `, or with `warn ` instead of `Warning `.
fn check(host: &Host, options: &Options<'_>, changes: &[(&str, Value)], expected: &[&str]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|line| {
            line.strip_prefix("warn ").map_or(format!("Error {line}"), |rest| format!("Warning {rest}"))
        })
        .collect();
    let result = compile(&config(changes), host, options);
    assert_eq!(findings(&result), expected, "{changes:#?}\n{result:#?}");
}

fn all_are_found(cases: &[(&[(&str, Value)], &[&str])]) {
    for (changes, expected) in cases {
        check(&root(), &options(), changes, expected);
    }
}

#[test]
fn a_good_config_has_no_findings() {
    check(&root(), &options(), &[], &[]);
}

#[test]
fn the_document() {
    all_are_found(&[
        (&[("/ociVersion", json!(""))], &["OciVersion /ociVersion"]),
        (&[("/ociVersion", json!("2.0.0"))], &["OciVersion /ociVersion"]),
        (&[("/ociVersion", json!("0.9.1"))], &["OciVersion /ociVersion"]),
        (&[("/ociVersion", json!("latest"))], &["OciVersion /ociVersion"]),
        (&[("/ociVersion", json!("1.9.0"))], &["warn OciVersion /ociVersion"]),
        (&[("/process", json!(null))], &["ProcessMissing /process"]),
        (&[("/root", json!(null))], &["Root /root"]),
        (&[("/root/path", json!(""))], &["Root /root/path"]),
        (&[("/root/path", json!("/"))], &["Root /root/path"]),
        (&[("/root/path", json!("a\0b"))], &["NulByte /root/path"]),
        (&[("/vm", json!({}))], &["NotBuiltYet /vm"]),
    ]);
}

#[test]
fn what_is_not_built_yet() {
    all_are_found(&[
        (&[("/process/scheduler", json!({"policy": "SCHED_FIFO"}))], &["NotBuiltYet /process/scheduler"]),
        (
            &[("/process/ioPriority", json!({"class": "IOPRIO_CLASS_IDLE"}))],
            &["NotBuiltYet /process/ioPriority"],
        ),
        (&[("/process/execCPUAffinity", json!({"final": "0"}))], &["NotBuiltYet /process/execCPUAffinity"]),
        (&[("/linux/netDevices", json!({"eth0": {}}))], &["NotBuiltYet /linux/netDevices"]),
        (&[("/linux/timeOffsets", json!({"boottime": {"secs": 1}}))], &["NotBuiltYet /linux/timeOffsets"]),
        (&[("/linux/namespaces/-", json!({"type": "time"}))], &["NotBuiltYet /linux/namespaces/5"]),
        (&[("/linux/intelRdt", json!({"closID": "a"}))], &["NotBuiltYet /linux/intelRdt"]),
        (&[("/linux/memoryPolicy", json!({"mode": "MPOL_LOCAL"}))], &["NotBuiltYet /linux/memoryPolicy"]),
        (&[("/linux/personality", json!({"domain": "LINUX32"}))], &["NotBuiltYet /linux/personality"]),
        (&[("/mounts/0/options", json!(["nodev", "idmap"]))], &["NotBuiltYet /mounts/0/options/1"]),
        (
            &[("/mounts/0/uidMappings", json!([{"containerID": 0, "hostID": 1, "size": 1}]))],
            &["NotBuiltYet /mounts/0/uidMappings"],
        ),
        (
            &[(
                "/linux/seccomp",
                json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/agent",
                "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}),
            )],
            &["NotBuiltYet /linux/seccomp/listenerPath"],
        ),
        (&[("/linux/cgroupsPath", json!("a.slice:b:c"))], &["NotBuiltYet /linux/cgroupsPath"]),
    ]);
}

#[test]
fn labels_of_security_modules() {
    let apparmor = [("/process/apparmorProfile", json!("strict"))];
    check(&root(), &options(), &apparmor, &["Label /process/apparmorProfile"]);
    let enabled = Host { apparmor: true, selinux: true, ..root() };
    check(&enabled, &options(), &apparmor, &["NotBuiltYet /process/apparmorProfile"]);
    check(&root(), &options(), &[("/process/apparmorProfile", json!("unconfined"))], &[]);
    let selinux = [("/process/selinuxLabel", json!("a:b:c")), ("/linux/mountLabel", json!("a:b:d"))];
    check(&root(), &options(), &selinux, &["Label /process/selinuxLabel", "Label /linux/mountLabel"]);
    check(
        &enabled,
        &options(),
        &selinux,
        &["NotBuiltYet /process/selinuxLabel", "NotBuiltYet /linux/mountLabel"],
    );
}

#[test]
fn namespaces() {
    all_are_found(&[
        (&[("/linux/namespaces/-", json!({"type": "moon"}))], &["NamespaceUnknown /linux/namespaces/5"]),
        (&[("/linux/namespaces/-", json!({"type": "pid"}))], &["NamespaceTwice /linux/namespaces/5"]),
        (&[("/linux/namespaces/1/path", json!("ns/pid"))], &["NamespacePath /linux/namespaces/1"]),
        (&[("/linux/namespaces/1/path", json!("/a\0b"))], &["NulByte /linux/namespaces/1"]),
        (&[("/linux/namespaces", json!([{"type": "pid"}]))], &["NamespaceMissing /linux/namespaces"]),
        (
            &[
                ("/linux/namespaces", json!([{"type": "mount"}])),
                ("/hostname", json!("h")),
                ("/domainname", json!("d")),
            ],
            &["NamespaceMissing /hostname", "NamespaceMissing /domainname"],
        ),
        (&[("/hostname", json!("x".repeat(65)))], &["Name /hostname"]),
        (&[("/hostname", json!("a\0b"))], &["NulByte /hostname"]),
    ]);
}

fn map(container: u32, host: u32, size: u32) -> Value {
    json!({"containerID": container, "hostID": host, "size": size})
}

#[test]
fn id_mappings() {
    let user = ("/linux/namespaces/-", json!({"type": "user"}));
    let joined = ("/linux/namespaces/-", json!({"type": "user", "path": "/run/ns/user"}));
    let (uid, gid) = ("/linux/uidMappings", "/linux/gidMappings");
    let one = || json!([map(0, 1000, 10)]);
    all_are_found(&[
        (&[(uid, one())], &["MappingWithoutUser /linux/uidMappings"]),
        (&[user.clone()], &["MappingMissing /linux/uidMappings", "MappingMissing /linux/gidMappings"]),
        (&[user.clone(), (uid, one())], &["MappingMissing /linux/gidMappings"]),
        (
            &[user.clone(), (uid, json!([map(1, 1000, 1)])), (gid, one())],
            &["IdUnmapped /linux/uidMappings", "IdUnmapped /process/user/uid"],
        ),
        (
            &[user.clone(), (uid, json!([map(0, 1, 1), map(5, 9, 0)])), (gid, one())],
            &["Mapping /linux/uidMappings/1"],
        ),
        (
            &[user.clone(), (uid, one()), (gid, json!([map(0, 4_294_967_290, 10)]))],
            &["Mapping /linux/gidMappings/0"],
        ),
        (
            &[user.clone(), (uid, one()), (gid, json!([map(0, 1, 5), map(9, 3, 5)]))],
            &["Mapping /linux/gidMappings/1"],
        ),
        (
            &[user.clone(), (uid, one()), (gid, json!([map(0, 1, 5), map(4, 9, 5)]))],
            &["Mapping /linux/gidMappings/1"],
        ),
        (
            &[user.clone(), (uid, Value::Array((0..341).map(|i| map(i, i, 1)).collect())), (gid, one())],
            &["Mapping /linux/uidMappings"],
        ),
        (
            &[
                user.clone(),
                (uid, one()),
                (gid, one()),
                (
                    "/process/user",
                    json!({"uid": 10, "gid": 11,
                "additionalGids": [3, 12]}),
                ),
            ],
            &[
                "IdUnmapped /process/user/uid",
                "IdUnmapped /process/user/gid",
                "IdUnmapped /process/user/additionalGids/1",
            ],
        ),
        (&[joined.clone(), (uid, one()), (gid, one())], &["warn Mapping /linux/uidMappings"]),
        (&[joined.clone(), (uid, one())], &["Mapping /linux/gidMappings"]),
        (&[joined], &[]),
        (
            &[
                user.clone(),
                (uid, one()),
                (gid, one()),
                (
                    "/mounts/-",
                    json!({"destination": "/t", "type": "tmpfs",
                "options": ["uid=11,gid=9"]}),
                ),
            ],
            &["IdUnmapped /mounts/1/options/0"],
        ),
        (
            &[
                ("/linux/namespaces", json!([{"type": "mount"}, {"type": "user"}])),
                (uid, one()),
                (gid, one()),
                ("/mounts/-", json!({"destination": "/sys", "type": "sysfs"})),
                ("/mounts/-", json!({"destination": "/dev/mqueue", "type": "mqueue"})),
            ],
            &[
                "MountNeedsNamespace /mounts/0/type",
                "MountNeedsNamespace /mounts/1/type",
                "MountNeedsNamespace /mounts/2/type",
            ],
        ),
    ]);
}

#[test]
fn without_privileges() {
    check(&user(), &options(), &[], &["Rootless /linux/namespaces"]);
    let own = [
        ("/linux/namespaces/-", json!({"type": "user"})),
        ("/linux/uidMappings", json!([map(0, 1000, 1)])),
        ("/linux/gidMappings", json!([map(0, 1000, 1)])),
    ];
    check(&user(), &options(), &own, &[]);
    let mut groups = own.to_vec();
    groups.push(("/process/user/additionalGids", json!([0, 5])));
    check(&user(), &options(), &groups, &["Groups /process/user/additionalGids/1"]);
    let mut rules = own.to_vec();
    rules.push(("/linux/resources", json!({"devices": [{"allow": false, "access": "rwm"}]})));
    check(&user(), &options(), &rules, &["warn CgroupIgnored /linux/resources/devices"]);
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> (&'static str, Value) {
    ("/mounts/-", json!({"destination": destination, "type": kind, "source": source, "options": options}))
}

#[test]
fn mounts() {
    all_are_found(&[
        (&[mount("", "tmpfs", "", &[])], &["MountDestination /mounts/1/destination"]),
        (&[mount("/", "tmpfs", "", &[])], &["MountDestination /mounts/1/destination"]),
        (&[mount("/x/../.", "tmpfs", "", &[])], &["MountDestination /mounts/1/destination"]),
        (&[mount("tmp", "tmpfs", "", &[])], &["warn MountDestination /mounts/1/destination"]),
        (&[mount("/a\0", "tmpfs", "", &[])], &["NulByte /mounts/1"]),
        (&[mount("/a", "", "", &[])], &["MountType /mounts/1/type"]),
        (&[mount("/a", "none", "/b", &["ro"])], &["MountType /mounts/1/type"]),
        (&[mount("/a", "bind", "/b", &[])], &["warn MountType /mounts/1/type"]),
        (&[mount("/a", "", "", &["bind"])], &["MountSource /mounts/1/source"]),
        (&[mount("/a", "", "/b", &["bind", "mode=1"])], &["MountOption /mounts/1/options/1"]),
        (&[mount("/a", "tmpfs", "", &["remount"])], &["MountOption /mounts/1/options"]),
        (
            &[mount("/a", "tmpfs", "", &["silent", "iversion"])],
            &["warn MountOptionIgnored /mounts/1/options", "warn MountOptionIgnored /mounts/1/options"],
        ),
        (&[mount("/proc", "tmpfs", "", &[])], &["MountInProc /mounts/1/destination"]),
        (&[mount("/proc/", "", "/etc", &["bind"])], &["MountInProc /mounts/1/destination"]),
        (&[mount("/proc", "", "/proc", &["rbind"])], &[]),
        (&[mount("/proc/sys/net", "", "/x", &["bind"])], &["MountInProc /mounts/1/destination"]),
        (
            &[mount("proc/self", "sysfs", "", &[])],
            &["warn MountDestination /mounts/1/destination", "MountInProc /mounts/1/destination"],
        ),
        (&[mount("/proc/meminfo", "", "/x", &["bind"])], &[]),
        (&[mount("/sys/fs/cgroup", "cgroup", "cgroup", &["ro"])], &[]),
        (
            &[mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nsdelegate"])],
            &["MountOption /mounts/1/options/0"],
        ),
        (&[("/linux/rootfsPropagation", json!("sideways"))], &["RootPropagation /linux/rootfsPropagation"]),
    ]);
    let old = Host { kernel: (5, 13), ..root() };
    check(
        &old,
        &options(),
        &[mount("/a", "tmpfs", "", &["nosymfollow"])],
        &["MountOption /mounts/1/options"],
    );
    let no_pivot = Options { no_pivot: true, ..options() };
    let private = [("/linux/rootfsPropagation", json!("rprivate"))];
    check(&root(), &no_pivot, &private, &["RootPropagation /linux/rootfsPropagation"]);
}

fn device(path: &str, kind: &str, major: i64, minor: i64) -> (&'static str, Value) {
    ("/linux/devices/-", json!({"path": path, "type": kind, "major": major, "minor": minor}))
}

#[test]
fn devices() {
    all_are_found(&[
        (&[device("dev/x", "c", 1, 1)], &["Device /linux/devices/0/path"]),
        (&[device("/dev/", "c", 1, 1)], &["Device /linux/devices/0/path"]),
        (&[device("/dev/x", "z", 1, 1)], &["Device /linux/devices/0/type"]),
        (&[device("/dev/x", "c", -1, 1)], &["Device /linux/devices/0/major"]),
        (&[device("/dev/x", "b", 1, 1 << 20)], &["Device /linux/devices/0/minor"]),
        (
            &[device("/dev/x", "b", 4096, -5)],
            &["Device /linux/devices/0/major", "Device /linux/devices/0/minor"],
        ),
        (&[device("/dev/x", "p", -1, -1)], &[]),
        (&[device("/dev/x", "c", 1, 1), device("/dev//x", "c", 1, 2)], &["DeviceTwice /linux/devices/1"]),
        (&[device("/dev/x", "c", 1, 1), device("/dev/x", "u", 1, 1)], &["warn DeviceTwice /linux/devices/1"]),
        (&[device("/dev/ptmx", "c", 5, 2)], &["warn Device /linux/devices/0"]),
        (
            &[device("/dev/x", "c", 1, 1), mount("/dev", "bind", "/dev", &["rbind"])],
            &["warn Device /linux/devices"],
        ),
    ]);
}

#[test]
fn the_process() {
    all_are_found(&[
        (&[("/process/args", json!([]))], &["Args /process/args"]),
        (&[("/process/args", json!([""]))], &["Args /process/args/0"]),
        (&[("/process/args", json!(["/a", "b\0"]))], &["NulByte /process/args"]),
        (&[("/process/cwd", json!(""))], &["Cwd /process/cwd"]),
        (&[("/process/cwd", json!("tmp"))], &["Cwd /process/cwd"]),
        (&[("/process/env", json!(["A=1", "B", "=c"]))], &["Env /process/env/2", "Env /process/env/1"]),
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
        (&[capabilities(&[("ambient", kill)])], &["warn CapabilitySets /process/capabilities/ambient"]),
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
            &["Cgroup /linux/resources/devices/0"],
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
    check(&root(), &Options { systemd_cgroup: true, ..options() }, &[], &["NotBuiltYet"]);
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
