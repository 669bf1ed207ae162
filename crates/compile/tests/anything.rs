//! Whatever a config says, the compiler answers: with a program that can be read back, or with findings.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod common;

use common::{both_sides_agree, options, root, user};
use orlop_compile::{ExecOptions, Host, Options, compile, compile_exec};
use orlop_spec::{Document, Spec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Strings of the kinds that configs are made of, good and bad.
fn text() -> impl Strategy<Value = String> {
    let usual = prop::sample::select(vec![
        "",
        "/",
        "/proc",
        "/proc/sys",
        "/dev",
        "/dev/null",
        "/a/../b",
        "rootfs",
        "..",
        "a\0b",
        "tmpfs",
        "proc",
        "sysfs",
        "bind",
        "cgroup",
        "none",
        "rbind",
        "ro",
        "rro",
        "rshared",
        "noatime",
        "remount",
        "size=1,mode=x",
        "mount",
        "pid",
        "network",
        "user",
        "uts",
        "ipc",
        "time",
        "CAP_KILL",
        "CAP_FLY",
        "RLIMIT_CPU",
        "PATH=",
        "PATH=/bin:x",
        "HOME=",
        "=",
        "1.0.2-dev",
        "1.3.0",
        "SCMP_ACT_ALLOW",
        "read",
        "c",
        "p",
        "net.ipv4.ip_forward",
        "kernel.sem",
        "vm.x",
    ]);
    prop_oneof![4 => usual.prop_map(str::to_owned), 1 => any::<String>()]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-1_i64..5).prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        prop::sample::select(vec![u64::MAX, 1 << 20, 4095]).prop_map(Value::from),
    ]
}

/// The schema of the parts that matter, filled at random.
fn any_config() -> impl Strategy<Value = Value> {
    let texts = || prop::collection::vec(text(), 0..4);
    let id_map = (0_u32..3, any::<u32>(), 0_u32..70000)
        .prop_map(|(c, h, s)| json!({"containerID": c, "hostID": h, "size": s}));
    let maps = prop::collection::vec(id_map, 0..3).boxed();
    let mount = (text(), text(), text(), texts())
        .prop_map(|(d, k, s, o)| json!({"destination": d, "type": k, "source": s, "options": o}));
    let device = (text(), text(), -1_i64..5000, -1_i64..300)
        .prop_map(|(p, k, major, minor)| json!({"path": p, "type": k, "major": major, "minor": minor}));
    let namespace =
        (text(), prop_oneof![Just(String::new()), text()]).prop_map(|(k, p)| json!({"type": k, "path": p}));
    let capabilities = (texts(), texts(), texts(), texts())
        .prop_map(|(b, e, p, a)| json!({"bounding": b, "effective": e, "permitted": p, "ambient": a}));
    let process = (any::<bool>(), any::<u32>(), texts(), texts(), text(), capabilities, number()).prop_map(
        |(terminal, uid, args, env, cwd, capabilities, size)| {
            let user = json!({"uid": uid, "gid": 1, "additionalGids": [uid, 2]});
            json!({"terminal": terminal, "consoleSize": {"height": 7, "width": 3}, "user": user, "args": args, "env": env,
                "cwd": cwd, "capabilities": capabilities, "noNewPrivileges": terminal,
                "rlimits": [{"type": "RLIMIT_CPU", "soft": 1, "hard": size.as_u64().unwrap_or(0)}]})
        },
    );
    let linux = (
        prop::collection::vec(namespace, 0..8),
        maps.clone(),
        maps,
        prop::collection::vec(device, 0..3),
        prop::collection::btree_map(text(), text(), 0..3),
        (texts(), texts(), text(), text(), text()),
    )
        .prop_map(
            |(namespaces, uid, gid, devices, sysctl, (masked, read_only, propagation, cgroup, action))| {
                json!({"namespaces": namespaces, "uidMappings": uid, "gidMappings": gid, "devices": devices,
                "sysctl": sysctl, "maskedPaths": masked, "readonlyPaths": read_only, "cgroupsPath": cgroup,
                "rootfsPropagation": propagation, "seccomp": {"defaultAction": action}})
            },
        );
    (text(), process, text(), prop::collection::vec(mount, 0..5), linux, text()).prop_map(
        |(version, process, root, mounts, linux, hostname)| {
            let mut config = Map::new();
            config.insert("ociVersion".into(), version.into());
            config.insert("process".into(), process);
            config.insert("root".into(), json!({"path": root, "readonly": true}));
            config.insert("mounts".into(), mounts.into());
            config.insert("linux".into(), linux);
            config.insert("hostname".into(), hostname.clone().into());
            config.insert("hooks".into(), json!({"createRuntime": [{"path": hostname}]}));
            Value::Object(config)
        },
    )
}

fn answers(spec: &Spec, host: &Host, options: &Options<'_>) {
    match compile(spec, host, options) {
        Ok(compiled) => {
            let steps = compiled.program.steps().inspect(|step| assert!(step.is_ok())).count();
            assert_eq!(steps, compiled.program.infos().len());
            both_sides_agree(&compiled);
        }
        Err(findings) => {
            assert!(findings.errors().count() > 0);
            assert!(findings.all().iter().all(|d| !d.message.is_empty()));
        }
    }
}

proptest! {
    #[test]
    fn the_compiler_always_answers(config in any_config(), id in text(), no_pivot: bool) {
        let Ok(document) = Document::parse(config.to_string()) else { return Ok(()) };
        let options = Options { id: &id, no_pivot, ..options() };
        for host in [root(), user(), Host { bounding: 1, setgroups_denied: true, privileged: false, ..root() }] {
            answers(&document.spec, &host, &options);
        }
        if let Some(process) = &document.spec.process {
            let options = ExecOptions { id: &id, no_new_keyring: false, preserve_fds: u32::MAX, filter: None };
            // Only that it returns.
            drop(compile_exec(&document.spec, process, &root(), &options));
        }
    }
}
