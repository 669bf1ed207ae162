//! What not every kernel has: agents of filters, labels, network devices, resource directors. What is refused, and where.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::findings::{all_are_found, check, config};
use common::{create, options, root, user};
use orlop_compile::{ExecOptions, Host, SeccompAgent, compile_exec};
use orlop_program::Step;
use orlop_spec::Process;
use serde_json::{Value, json};

fn asking(changes: &[(&str, Value)]) -> (&'static str, Value) {
    let mut profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/agent.sock",
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]});
    for (key, value) in changes {
        profile[key] = value.clone();
    }
    ("/linux/seccomp", profile)
}

#[test]
fn agents_of_filters() {
    let (path, flags) = ("/linux/seccomp/listenerPath", "/linux/seccomp/flags/0");
    all_are_found(&[
        (&[asking(&[])], &[]),
        (&[asking(&[("listenerMetadata", json!("x"))])], &[]),
        (&[asking(&[("listenerPath", json!(""))])], &[&format!("Seccomp {path}")]),
        (&[asking(&[("listenerPath", json!("agent.sock"))])], &[&format!("SeccompAgent {path}")]),
        (&[asking(&[("listenerPath", json!("/a\0b"))])], &[&format!("NulByte {path}")]),
        (
            &[asking(&[("defaultAction", json!("SCMP_ACT_NOTIFY"))])],
            &["Seccomp /linux/seccomp/defaultAction"],
        ),
        (
            &[asking(&[("syscalls", json!([{"names": ["write"], "action": "SCMP_ACT_NOTIFY"}]))])],
            &["Seccomp /linux/seccomp/syscalls/0/names/0"],
        ),
        (&[asking(&[("syscalls", json!([]))])], &[&format!("warn SeccompIgnored {path}")]),
        (
            &[asking(&[
                ("syscalls", json!([])),
                ("listenerPath", json!("")),
                ("listenerMetadata", json!("x")),
            ])],
            &["Seccomp /linux/seccomp/listenerMetadata"],
        ),
    ]);
    let killable = [asking(&[("flags", json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]))])];
    check(&root(), &options(), &killable, &[]);
    let old = Host { kernel: (5, 18), ..root() };
    check(&old, &options(), &killable, &[&format!("SeccompFlag {flags}")]);
}

/// And one thread needs no flag to be in step with itself.
#[test]
fn an_agent_comes_with_flags() {
    let spec = config(&[asking(&[("flags", json!(["SECCOMP_FILTER_FLAG_TSYNC"]))])]);
    let compiled = create(&spec, &root()).unwrap();
    assert_eq!(compiled.launch.filter.map(|filter| filter.flags), Some(1 << 3));
    let agent = SeccompAgent { path: "/run/agent.sock".into(), metadata: String::new() };
    assert_eq!(compiled.launch.seccomp_agent, Some(agent));
    let flags = compiled.program.steps().find_map(|step| match step.unwrap() {
        Step::Seccomp { flags, .. } => Some(flags),
        _ => None,
    });
    assert_eq!(flags, Some(8));
}

fn steps(changes: &[(&str, Value)], host: &Host) -> Vec<String> {
    let compiled = create(&config(changes), host).unwrap();
    compiled.program.steps().map(|step| format!("{:?}", step.unwrap())).collect()
}

#[test]
fn labels_of_security_modules() {
    let apparmor = [("/process/apparmorProfile", json!("strict"))];
    check(&root(), &options(), &apparmor, &["Label /process/apparmorProfile"]);
    check(&root(), &options(), &[("/process/apparmorProfile", json!("unconfined"))], &[]);
    let selinux = [("/process/selinuxLabel", json!("a:b:c")), ("/linux/mountLabel", json!("a:b:d"))];
    check(&root(), &options(), &selinux, &["Label /process/selinuxLabel", "Label /linux/mountLabel"]);
    let enabled = Host { apparmor: true, selinux: true, ..root() };
    check(&enabled, &options(), &apparmor, &[]);
    check(&enabled, &options(), &selinux, &[]);
    check(
        &enabled,
        &options(),
        &[("/process/apparmorProfile", json!("a\0b"))],
        &["NulByte /process/apparmorProfile"],
    );
}

#[test]
fn labels_are_set_before_the_user_changes_and_only_where_there_are_any() {
    let enabled = Host { apparmor: true, selinux: true, ..root() };
    let plain = steps(&[], &enabled);
    assert!(!plain.iter().any(|step| step.contains("Label") || step.contains("AppArmor")), "{plain:#?}");
    let with = steps(
        &[
            ("/process/apparmorProfile", json!("strict")),
            ("/process/selinuxLabel", json!("u:r:p:s0:c1,c2")),
            ("/linux/mountLabel", json!("u:r:m:s0:c1,c2")),
            ("/linux/maskedPaths", json!(["/proc/kcore"])),
            ("/mounts/-", json!({"destination": "/dev/shm", "type": "tmpfs", "source": "shm"})),
            ("/mounts/-", json!({"destination": "/dev/mqueue", "type": "mqueue"})),
            ("/mounts/-", json!({"destination": "/x", "type": "tmpfs", "options": ["context=mine"]})),
        ],
        &enabled,
    );
    let at = |text: &str| {
        with.iter().position(|step| step.contains(text)).unwrap_or_else(|| panic!("{text}: {with:#?}"))
    };
    assert_eq!(at("SessionKeyring"), at("KeyLabel { label: Some(\"u:r:p:s0:c1,c2\") }") + 1);
    assert_eq!(at("KeyLabel { label: None }"), at("SessionKeyring") + 1);
    // One value of fsconfig(2), so commas need no quotes.
    assert!(
        with[at("target: \"/dev/shm\", real")].contains("(\"context\", Some(\"u:r:m:s0:c1,c2\"))"),
        "{with:#?}"
    );
    assert!(!with[at("target: \"/proc\", real")].contains("context"), "{with:#?}");
    assert_eq!(with.iter().filter(|step| step.contains("\"context\", Some(\"mine\")")).count(), 1);
    assert!(!with[at("Some(\"mine\")")].contains("u:r:m"), "the config's own option wins: {with:#?}");
    assert_eq!(at("FileLabel"), at("mqueue") + 1);
    assert!(at("MaskLabel") < at("MaskPath"));
    assert!(at("AppArmorProfile") < at("Identity") && at("ExecLabel") < at("Identity"));
}

#[test]
fn an_added_process_has_its_containers_labels_unless_it_has_its_own() {
    let enabled = Host { apparmor: true, selinux: true, ..root() };
    let spec =
        config(&[("/process/apparmorProfile", json!("strict")), ("/process/selinuxLabel", json!("a:b:c"))]);
    let options = ExecOptions { id: "c1", no_new_keyring: false, preserve_fds: 0, filter: None };
    let added = |process: &Process| -> Vec<String> {
        let compiled = compile_exec(&spec, process, &enabled, &options).unwrap();
        compiled.program.steps().map(|step| format!("{:?}", step.unwrap())).collect()
    };
    let process = Process { args: vec!["/bin/true".into()], cwd: "/".into(), ..Process::default() };
    let has = |steps: &[String], step: &str| assert!(steps.iter().any(|s| s == step), "{step}: {steps:#?}");
    let its_containers = added(&process);
    has(&its_containers, "PrivateProc");
    has(&its_containers, "AppArmorProfile { profile: \"strict\" }");
    has(&its_containers, "ExecLabel { label: \"a:b:c\" }");
    let own = Process { apparmor_profile: "unconfined".into(), selinux_label: "x:y:z".into(), ..process };
    let own = added(&own);
    has(&own, "AppArmorProfile { profile: \"unconfined\" }");
    has(&own, "ExecLabel { label: \"x:y:z\" }");
    has(&own, "KeyLabel { label: Some(\"x:y:z\") }");
}

#[test]
fn network_devices() {
    let devices = |value: Value| ("/linux/netDevices", value);
    let named = |name: &str| devices(json!({ "eth0": {"name": name} }));
    let name = "NetDevice /linux/netDevices/eth0/name";
    all_are_found(&[
        (
            &[devices(
                json!({"eth0": {}, "eth1": {"name": "ctr_eth1"}, "eth2": {"name": "eth%d"}, "eth3": {"name": "eth%d"}}),
            )],
            &[],
        ),
        // Two may change their names with each other.
        (&[devices(json!({"eth0": {"name": "eth1"}, "eth1": {"name": "eth0"}}))], &[]),
        (&[named("a23456789012345")], &[]),
        (&[named("a234567890123456")], &[name]),
        (&[named("..")], &[name]),
        (&[named("a/b")], &[name]),
        (&[named("a:1")], &[name]),
        (&[named("a b")], &[name]),
        (&[named("a\tb")], &[name]),
        (&[named("a\0b")], &[name]),
        (&[named("a%s")], &[name]),
        (&[named("a%d%d")], &[name]),
        (&[devices(json!({"": {}}))], &["NetDevice /linux/netDevices/"]),
        (&[devices(json!({"eth0 ": {"name": "x"}}))], &["NetDevice /linux/netDevices/eth0 "]),
        (&[named("lo")], &["NetDeviceTwice /linux/netDevices/eth0"]),
        (
            &[devices(json!({"eth0": {"name": "x"}, "eth1": {"name": "x"}}))],
            &["NetDeviceTwice /linux/netDevices/eth1"],
        ),
        (
            &[devices(json!({"eth0": {}})), ("/linux/namespaces", json!([{"type": "mount"}]))],
            &["NamespaceMissing /linux/netDevices"],
        ),
    ]);
    let rootless = [
        devices(json!({"eth0": {}})),
        ("/linux/namespaces/-", json!({"type": "user"})),
        ("/linux/uidMappings", json!([{"containerID": 0, "hostID": 1000, "size": 1}])),
        ("/linux/gidMappings", json!([{"containerID": 0, "hostID": 1000, "size": 1}])),
    ];
    check(&user(), &options(), &rootless, &["Rootless /linux/netDevices"]);
    check(&root(), &options(), &rootless, &[]);
}

#[test]
fn devices_move_into_a_joined_namespace_only_if_it_is_not_the_hosts() {
    let path = ("/linux/namespaces/2", json!({"type": "network", "path": "/run/netns/x"}));
    let compiled = create(&config(&[path, ("/linux/netDevices", json!({"eth0": {}}))]), &root()).unwrap();
    let place = compiled.launch.joins[0]
        .must_differ
        .as_ref()
        .and_then(|origin| origin.pointer().map(ToString::to_string));
    assert_eq!(place.as_deref(), Some("/linux/netDevices"));
    assert_eq!(compiled.launch.net_devices[0].new_name, "eth0");
}

#[test]
fn shares_of_caches() {
    let rdt = |value: Value| [("/linux/intelRdt", value)];
    check(&root(), &options(), &rdt(json!({})), &["Rdt /linux/intelRdt"]);
    let with = Host { resctrl: Some("/sys/fs/resctrl".into()), ..root() };
    let places: [(Value, &[&str]); 14] = [
        (json!({}), &[]),
        (json!({"closID": "/"}), &[]),
        (json!({"closID": "gold", "enableMonitoring": true, "schemata": ["L3:0=f", "L2:0=f"]}), &[]),
        (
            json!({"enableCMT": true, "enableMBM": true}),
            &["warn Deprecated /linux/intelRdt/enableCMT", "warn Deprecated /linux/intelRdt/enableMBM"],
        ),
        (json!({"closID": "a/b"}), &["RdtGroup /linux/intelRdt/closID"]),
        (json!({"closID": ".."}), &["RdtGroup /linux/intelRdt/closID"]),
        (json!({"closID": "/a"}), &["RdtGroup /linux/intelRdt/closID"]),
        (json!({"closID": "a\nb"}), &["RdtGroup /linux/intelRdt/closID"]),
        (json!({"closID": "a\0b"}), &["RdtGroup /linux/intelRdt/closID"]),
        (json!({"l3CacheSchema": "L3:0=f\nMB:0=1"}), &["RdtSchema /linux/intelRdt/l3CacheSchema"]),
        (json!({"l3CacheSchema": "L3CODE:0=f"}), &["warn RdtSchema /linux/intelRdt/l3CacheSchema"]),
        (json!({"memBwSchema": "L3:0=f"}), &["RdtSchema /linux/intelRdt/memBwSchema"]),
        (json!({"memBwSchema": "MB:0=20\n"}), &["RdtSchema /linux/intelRdt/memBwSchema"]),
        (json!({"schemata": ["L2:0=f", "L3:0=f\n"]}), &["RdtSchema /linux/intelRdt/schemata/1"]),
    ];
    for (value, expected) in places {
        check(&with, &options(), &rdt(value), expected);
    }
    let spec =
        config(&rdt(json!({"l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=20", "schemata": ["L2:0=1"]})));
    let plan = create(&spec, &with).unwrap().launch.rdt.unwrap();
    assert_eq!(
        (plan.compared, plan.schemata),
        (vec!["L3:0=f".into(), "MB:0=20".into()], vec!["L2:0=1".to_owned()])
    );
    assert_eq!((plan.group, plan.container.as_str()), (None, "c1"));
}
