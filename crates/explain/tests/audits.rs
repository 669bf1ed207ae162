//! Every rule, with a config that has what it looks for and one that has not.
#![allow(missing_docs, clippy::unwrap_used)]

use orlop_explain::Assumptions;
use orlop_explain::audit::rules::RULES;
use orlop_explain::audit::{Audit, Level};
use orlop_explain::page::PLAIN;
use orlop_runtime::{ContainerId, CreateOptions, Runtime, Settings};
use serde_json::{Value, json};

fn audit(config: &Value) -> Audit {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("config.json"), serde_json::to_string_pretty(config).unwrap())
        .unwrap();
    let root = Some(directory.path().join("state"));
    let runtime = Runtime::new(Settings { root, ..Settings::default() }).unwrap();
    let assumptions = Assumptions::parse("typical").unwrap();
    let options = CreateOptions { bundle: directory.path().to_owned(), ..CreateOptions::default() };
    let mut assumed = Vec::new();
    let id = ContainerId::new("c1").unwrap();
    let planned = runtime
        .plan(&id, &options, &mut |spec, host| assumed = assumptions.apply(spec, host))
        .unwrap_or_else(|e| panic!("{e}\n{config:#}"));
    Audit::of_bundle(&planned, assumed)
}

/// A config in which nothing is found.
fn hardened() -> Value {
    let kernel_mount = |destination: &str, kind: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": kind, "options": options});
    let namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup"].map(|kind| json!({"type": kind}));
    json!({
        "ociVersion": "1.2.0",
        "root": {"path": "rootfs", "readonly": true},
        "process": {
            "args": ["/server"], "cwd": "/", "user": {"uid": 1000, "gid": 1000}, "noNewPrivileges": true,
            "apparmorProfile": "container",
        },
        "mounts": [
            kernel_mount("/proc", "proc", &["nosuid", "nodev", "noexec"]),
            kernel_mount("/dev", "tmpfs", &["nosuid", "mode=755"]),
            kernel_mount("/sys", "sysfs", &["nosuid", "nodev", "noexec", "ro"]),
        ],
        "linux": {
            "namespaces": namespaces,
            "readonlyPaths": ["/proc/bus", "/proc/sys", "/proc/sysrq-trigger"],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/acpi", "/proc/scsi", "/sys/firmware"],
            "resources": {
                "devices": [{"allow": false, "access": "rwm"}],
                "memory": {"limit": 67_108_864}, "pids": {"limit": 64}, "cpu": {"quota": 50000, "period": 100_000},
            },
            "seccomp": {
                "defaultAction": "SCMP_ACT_ERRNO",
                "syscalls": [{"names": ["read", "write", "execve", "exit_group"], "action": "SCMP_ACT_ALLOW"}],
            },
        },
    })
}

fn without_namespace(config: &mut Value, kind: &str) {
    config["linux"]["namespaces"].as_array_mut().unwrap().retain(|namespace| namespace["type"] != kind);
}

fn without_path(config: &mut Value, list: &str, path: &str) {
    config["linux"][list].as_array_mut().unwrap().retain(|known| known != path);
}

fn bind(config: &mut Value, source: &str, options: &[&str]) {
    let options = [&["rbind"], options].concat();
    let mount = json!({"destination": "/mnt", "type": "bind", "source": source, "options": options});
    config["mounts"].as_array_mut().unwrap().push(mount);
}

fn capabilities(config: &mut Value, set: &str, names: &[&str]) {
    let sets = json!({"bounding": names, "permitted": names, "effective": names, "inheritable": if set == "ambient" { names } else { &[] }});
    config["process"]["capabilities"] = sets;
    config["process"]["capabilities"][set] = json!(names);
}

/// Makes a config have what a rule looks for; the finding's id.
#[allow(clippy::too_many_lines)] // one line for each rule
fn spoil(rule: &'static str, c: &mut Value) -> &'static str {
    let null = Value::Null;
    match rule {
        "host-mount-namespace" => without_namespace(c, "mount"),
        "host-pid-namespace" => without_namespace(c, "pid"),
        "host-network-namespace" => without_namespace(c, "network"),
        "host-ipc-namespace" => without_namespace(c, "ipc"),
        "host-uts-namespace" => without_namespace(c, "uts"),
        "host-cgroup-namespace" => without_namespace(c, "cgroup"),
        "joined-namespace" => c["linux"]["namespaces"][1]["path"] = json!("/run/netns/pod"),
        "root-is-host-root" => c["process"]["user"]["uid"] = json!(0),
        "privileged" => capabilities(c, "bounding", &orlop_compile::KNOWN_CAPABILITIES),
        "capability" => {
            capabilities(c, "bounding", &["CAP_SYS_PTRACE"]);
            return "capability-sys-ptrace";
        }
        "ambient-capabilities" => capabilities(c, "ambient", &["CAP_NET_BIND_SERVICE"]),
        "inheritable-capabilities" => capabilities(c, "inheritable", &["CAP_NET_BIND_SERVICE"]),
        "new-privileges" => c["process"]["noNewPrivileges"] = json!(false),
        "no-security-module" => c["process"]["apparmorProfile"] = null,
        "oom-score-protected" => c["process"]["oomScoreAdj"] = json!(-500),
        "no-filter" => c["linux"]["seccomp"] = null,
        "filter-default-allow" => {
            c["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_ERRNO"}]});
        }
        "filter-allows" => {
            c["linux"]["seccomp"]["syscalls"][0]["names"] = json!(["read", "bpf"]);
            return "filter-allows-bpf";
        }
        "proc-sys-writable" => without_path(c, "readonlyPaths", "/proc/sys"),
        "sysrq-writable" => without_path(c, "readonlyPaths", "/proc/sysrq-trigger"),
        "proc-unmasked" => without_path(c, "maskedPaths", "/proc/kcore"),
        "firmware-visible" => without_path(c, "maskedPaths", "/sys/firmware"),
        "sysfs-writable" => c["mounts"][2]["options"] = json!(["nosuid"]),
        "cgroup-writable" => c["mounts"]
            .as_array_mut()
            .unwrap()
            .push(json!({"destination": "/sys/fs/cgroup", "type": "cgroup2", "source": "cgroup"})),
        "kernel-file-system" => c["mounts"]
            .as_array_mut()
            .unwrap()
            .push(json!({"destination": "/debug", "type": "debugfs", "source": "debugfs"})),
        "host-root-mounted" => bind(c, "/", &["ro"]),
        "engine-socket" => bind(c, "/var/run/docker.sock", &["ro"]),
        "sensitive-host-path" => bind(c, "/etc", &[]),
        "host-path-writable" => bind(c, "/srv/data", &[]),
        "shared-propagation" => bind(c, "/srv/data", &["ro", "rshared"]),
        "root-writable" => c["root"]["readonly"] = json!(false),
        "device-node" => {
            c["linux"]["devices"] = json!([{"path": "/dev/sda", "type": "b", "major": 8, "minor": 0}]);
        }
        "all-devices" => c["linux"]["resources"]["devices"] = json!([{"allow": true, "access": "rwm"}]),
        "no-memory-limit" => c["linux"]["resources"]["memory"] = null,
        "no-pids-limit" => c["linux"]["resources"]["pids"] = null,
        "no-cpu-limit" => c["linux"]["resources"]["cpu"] = null,
        "host-hook" => c["hooks"] = json!({"createRuntime": [{"path": "/usr/bin/hook"}]}),
        rule => panic!("the rule {rule} has no config that has it"),
    }
    rule
}

/// Without the members that are null, which no config has.
fn cleaned(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            members.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, cleaned(v))).collect()
        }
        other => other,
    }
}

#[test]
fn nothing_is_found_in_a_hardened_config() {
    let audit = audit(&hardened());
    assert_eq!((audit.findings.as_slice(), audit.score), (&[][..], 100));
    assert!(audit.text(&PLAIN).contains("nothing was found"));
}

#[test]
fn every_rule_finds_what_it_looks_for() {
    for rule in RULES {
        let mut config = hardened();
        let id = spoil(rule.id, &mut config);
        let audit = audit(&cleaned(config));
        let finding = audit.findings.iter().find(|finding| finding.id == id);
        let finding = finding.unwrap_or_else(|| panic!("{} is not found: {:#?}", rule.id, audit.findings));
        assert!(
            !finding.why.is_empty() && !finding.fix.is_empty() && finding.pointer.is_some(),
            "{finding:?}"
        );
        assert!(finding.place.is_some(), "{finding:?}");
        // Such a filter allows all the dangerous calls as well.
        let few = audit.findings.len() < 3 || rule.id == "filter-default-allow";
        assert!(few, "one change, one finding, or two: {:#?}", audit.findings);
        let cost: u32 = audit.findings.iter().map(|finding| finding.level.cost()).sum();
        assert_eq!(audit.score, 100_u32.saturating_sub(cost));
        assert!(audit.reaches(finding.level) && audit.reaches(Level::Info));
    }
}

#[test]
fn ids_are_different_and_levels_have_names() {
    let mut ids: Vec<_> = RULES.iter().map(|rule| rule.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), RULES.len());
    for level in Level::ALL {
        assert_eq!(Level::from_name(level.name()), Some(level));
    }
}

#[test]
fn rights_weigh_less_in_a_user_namespace() {
    let mut config = hardened();
    config["process"]["user"]["uid"] = json!(0);
    capabilities(&mut config, "bounding", &["CAP_SYS_ADMIN"]);
    let worst = |config: &Value| audit(config).findings.iter().map(|finding| finding.level).max();
    assert_eq!(worst(&config), Some(Level::Critical));
    config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    for map in ["uidMappings", "gidMappings"] {
        config["linux"][map] = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    }
    assert_eq!(worst(&config), Some(Level::Medium));
    assert!(audit(&config).findings.iter().all(|finding| finding.id != "root-is-host-root"));
}

#[test]
fn the_worst_comes_first_in_every_form() {
    let text =
        std::fs::read_to_string(format!("{}/../compile/tests/data/docker.json", env!("CARGO_MANIFEST_DIR")));
    let audit = audit(&serde_json::from_str(&text.unwrap()).unwrap());
    assert!(audit.findings.is_sorted_by(|a, b| a.level >= b.level));
    let sarif: Value = serde_json::from_str(&audit.sarif()).unwrap();
    let run = &sarif["runs"][0];
    assert_eq!(
        (sarif["version"].as_str(), run["results"].as_array().unwrap().len()),
        (Some("2.1.0"), audit.findings.len())
    );
    for result in run["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        assert!(result["locations"][0]["physicalLocation"]["region"]["startLine"].as_u64().unwrap() > 0);
    }
    let subject = audit.subject.clone();
    insta::assert_snapshot!(audit.text(&PLAIN).replace(&subject, "config.json"));
    let json: Value = serde_json::from_str(&audit.json()).unwrap();
    assert_eq!(json["findings"].as_array().unwrap().len(), audit.findings.len());
}
