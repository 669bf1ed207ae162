//! The configuration and its parts: parsed, compiled, and what is wrong is said.

use std::fmt::Display;
use std::path::Path;

use orlop_cgroups::{Controllers, Layout, Unified};
use orlop_compile::{
    CgroupRights, Compiled, Diagnostics, ExecOptions, Host, Mode, Options, compile, compile_exec,
    compile_update,
};
use orlop_program::{Program, Slot, Step};
use orlop_spec::{Document, ParseErrors, Process, ProcessDocument, ResourcesDocument, Spec};

/// Words of configs.
pub(super) const WORDS: &[&str] = &[
    "\"linux\":",
    "\"mounts\":",
    "\"namespaces\":",
    "\"annotations\":",
    "\"hooks\":",
    "\"uidMappings\":",
    "\"type\":",
    "\"path\":",
    "\"seccomp\":",
    "\"resources\":",
    "\"devices\":",
    "\"netDevices\":",
    "\"memoryPolicy\":",
    "\"scheduler\":",
    "\"ioPriority\":",
    "\"timeOffsets\":",
    "\"personality\":",
    "\"intelRdt\":",
    "\"rootfsPropagation\":",
    "null",
    "true",
    "[]",
    "{}",
    "-1",
    "18446744073709551615",
    "1e9",
    "\\u0000",
    "\\ud800",
    "..",
    "/proc/self",
    "cgroup",
    "bind",
    "tmpfs",
    "idmap",
    "run.oci.systemd.subgroup",
    "run.orlop.landlock.read",
    "run.orlop.landlock.tcp-bind",
    "run.oci.seccomp_bpf_data",
    "org.systemd.property.",
    "CAP_",
    "SCHED_DEADLINE",
    "RLIMIT_",
];

/// A `config.json`, compiled for root and for a user.
pub(super) fn config(bytes: &[u8]) {
    let document = match Document::parse(bytes) {
        Ok(document) => document,
        Err(errors) => return said(&errors),
    };
    for host in [root(), user()] {
        for systemd_cgroup in [false, true] {
            let options = Options { systemd_cgroup, ..options() };
            compiled(compile(&document.spec, &host, &options), &document.text);
        }
    }
}

/// A process alone, as `exec --process` reads it.
pub(super) fn process(bytes: &[u8]) {
    let document = match ProcessDocument::parse(bytes) {
        Ok(document) => document,
        Err(errors) => return said(&errors),
    };
    let options = ExecOptions { id: "c1", no_new_keyring: false, preserve_fds: 2, filter: None };
    let spec = default();
    for host in [root(), user()] {
        compiled(compile_exec(&spec, &document.spec, &host, &options), &document.text);
    }
}

/// Limits alone, as `update --resources` reads them.
pub(super) fn resources(bytes: &[u8]) {
    let document = match ResourcesDocument::parse(bytes) {
        Ok(document) => document,
        Err(errors) => return said(&errors),
    };
    let spec = default();
    for host in [root(), user()] {
        match compile_update(&spec, &document.spec, &host) {
            Ok(update) => drop(format!("{update:?}")),
            Err(diagnostics) => found(&diagnostics, &document.text),
        }
    }
}

/// What was compiled can be read back by init; what was not, has a reason.
fn compiled(result: Result<Compiled, Diagnostics>, text: &str) {
    let compiled = match result {
        Ok(compiled) => compiled,
        Err(diagnostics) => return found(&diagnostics, text),
    };
    let bytes = compiled.program.encode(&[(Slot::HOST, 3)]);
    let program = Program::read(&bytes).expect("what was written is a program");
    let steps: Vec<Step<'_>> = program.steps.map(|step| step.expect("what was written is a step")).collect();
    assert_eq!(steps.len(), compiled.program.infos().len());
    assert!(compiled.program.steps().map(|step| step.expect("a step")).eq(steps.iter().copied()));
    assert!(matches!(steps.last(), Some(Step::Exec { .. })), "a container's program ends with exec");
}

fn found(diagnostics: &Diagnostics, text: &str) {
    assert!(!diagnostics.all().is_empty(), "nothing is wrong, and nothing was compiled");
    for finding in diagnostics.all() {
        assert!(!format!("{finding:?}").is_empty());
        if let Some(pointer) = &finding.pointer {
            let document = Document { text: text.to_owned(), spec: Spec::default() };
            if let Some(place) = document.locate(pointer) {
                place.line_of(text);
            }
        }
    }
}

/// What was not understood is said in lines, each with a place.
fn said<T: std::fmt::Debug>(errors: &ParseErrors<T>)
where
    ParseErrors<T>: Display,
{
    assert!((1..=50).contains(&errors.errors.len()));
    assert_eq!(errors.to_string().lines().count(), errors.errors.len() + usize::from(errors.omitted > 0));
    for error in &errors.errors {
        assert!(errors.covers(&error.pointer));
        errors.line_of(error);
    }
}

/// Root on a host of version 2 cgroups.
fn root() -> Host {
    let unified = Unified {
        mount: "/sys/fs/cgroup".into(),
        own: "system.slice/engine.service".into(),
        controllers: Controllers::parse("cpuset cpu io memory hugetlb pids rdma misc"),
    };
    Host {
        euid: 0,
        egid: 0,
        privileged: true,
        cgroup_rights: CgroupRights::Full,
        setgroups_denied: false,
        last_cap: 40,
        bounding: (1 << 41) - 1,
        selinux: true,
        apparmor: true,
        landlock: 7,
        resctrl: Some("/sys/fs/resctrl".into()),
        kernel_views: Vec::new(),
        kcore: true,
        kernel: (6, 18),
        cgroups: Layout { unified: Some(unified), v1: Vec::new() },
    }
}

fn user() -> Host {
    Host { euid: 1000, egid: 1000, privileged: false, cgroup_rights: CgroupRights::Forgiven, ..root() }
}

fn options() -> Options<'static> {
    Options {
        id: "c1",
        bundle: Path::new("/bundle"),
        mode: Mode::Create,
        no_pivot: false,
        no_new_keyring: false,
        preserve_fds: 0,
        listen_fds: 0,
        stay: false,
        systemd_cgroup: false,
        no_cgroup: false,
        scratch: Path::new("/run/orlop/fuzz"),
    }
}

fn default() -> Spec {
    orlop_spec::default_spec(false)
}

/// Those that the crates' own tests begin with, too.
pub(super) fn configs() -> Vec<Vec<u8>> {
    [
        &include_bytes!("../../../../crates/compile/tests/data/docker.json")[..],
        include_bytes!("../../../../crates/compile/tests/data/k8s.json"),
        include_bytes!("../../../../crates/compile/tests/data/podman.json"),
    ]
    .map(<[u8]>::to_vec)
    .into_iter()
    .chain(serde_json::to_vec(&default()))
    .collect()
}

/// Programs as init gets them.
pub(super) fn encoded() -> Vec<Vec<u8>> {
    let programs = configs().into_iter().filter_map(|config| {
        let spec = Document::parse(config).ok()?.spec;
        Some(compile(&spec, &root(), &options()).ok()?.program.encode(&[(Slot::HOST, 3), (Slot::START, 4)]))
    });
    programs.collect()
}

pub(super) fn processes() -> Vec<Vec<u8>> {
    let specs = configs().into_iter().filter_map(|config| Document::parse(config).ok());
    let processes = specs.filter_map(|document| document.spec.process);
    processes.chain([Process::default()]).filter_map(|process| serde_json::to_vec(&process).ok()).collect()
}

pub(super) fn limits() -> Vec<Vec<u8>> {
    let specs = configs().into_iter().filter_map(|config| Document::parse(config).ok());
    let limits = specs.filter_map(|document| document.spec.linux?.resources);
    let full = br#"{"memory":{"limit":1048576,"swap":-1,"reservation":1,"checkBeforeUpdate":true},"cpu":{"shares":2,
        "quota":-1,"period":1000,"burst":0,"cpus":"0-3,7","mems":"0","idle":1},"pids":{"limit":7},
        "blockIO":{"weight":10,"weightDevice":[{"major":8,"minor":0,"weight":100}],"throttleReadBpsDevice":[{"major":8,
        "minor":0,"rate":600}]},"hugepageLimits":[{"pageSize":"2MB","limit":9}],"rdma":{"mlx":{"hcaHandles":3}},
        "unified":{"memory.high":"max"},"devices":[{"allow":true,"type":"c","major":1,"minor":3,"access":"rwm"}]}"#;
    limits.filter_map(|limits| serde_json::to_vec(&limits).ok()).chain([full.to_vec()]).collect()
}
