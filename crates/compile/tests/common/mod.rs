//! What the suites share: hosts, and how a compilation is shown.
#![allow(dead_code, missing_docs)] // not every suite uses all of it
#![allow(clippy::unwrap_used)] // helpers of tests

pub(crate) mod findings;

use orlop_cgroups::{Controllers, Layout, Unified};
use orlop_compile::{CgroupRights, Compiled, Diagnostics, Host, Mode, Options, compile};
use orlop_program::Step;
use orlop_spec::{Document, Spec};
use std::fmt::Write;
use std::path::Path;

/// Root on a host of version 2 cgroups.
pub(crate) fn root() -> Host {
    Host {
        euid: 0,
        egid: 0,
        privileged: true,
        cgroup_rights: CgroupRights::Full,
        setgroups_denied: false,
        last_cap: 40,
        bounding: (1 << 41) - 1,
        selinux: false,
        apparmor: false,
        landlock: 7,
        resctrl: None,
        kernel_views: Vec::new(),
        kcore: true,
        kernel: (6, 18),
        cgroups: unified(),
    }
}

/// Version 2 with the usual controllers.
pub(crate) fn unified() -> Layout {
    let unified = Unified {
        mount: "/sys/fs/cgroup".into(),
        own: "system.slice/engine.service".into(),
        controllers: Controllers::parse("cpuset cpu io memory hugetlb pids rdma misc"),
    };
    Layout { unified: Some(unified), v1: Vec::new() }
}

/// A user without privileges.
pub(crate) fn user() -> Host {
    Host { euid: 1000, egid: 1000, privileged: false, cgroup_rights: CgroupRights::Forgiven, ..root() }
}

/// What the host side sends is what init waits for, and the other way round: one word too many would let it go on too early.
pub(crate) fn both_sides_agree(compiled: &Compiled) {
    let beside = compiled.launch.beside;
    let count =
        |is: fn(&Step<'_>) -> bool| compiled.program.steps().flatten().filter(|step| is(step)).count();
    assert_eq!(compiled.program.steps().flatten().filter(Step::is_beside).count(), beside.steps);
    assert_eq!(count(|step| matches!(step, Step::Tell { .. })), usize::from(beside.told));
    assert_eq!(count(|step| matches!(step, Step::AwaitBeside {})), usize::from(beside.dev.is_some()));
    assert!(!beside.told || compiled.launch.maps_by_host.is_empty(), "init would take a mount for a word");
    if let Some(dev) = beside.dev {
        let mount = compiled.program.steps().flatten().nth(dev);
        assert!(matches!(mount, Some(Step::Mount { beside: true, .. })), "{mount:?}");
    }
}

pub(crate) fn options() -> Options<'static> {
    Options {
        id: "c1",
        bundle: Path::new("/bundle"),
        mode: Mode::Create,
        no_pivot: false,
        stay: false,
        no_new_keyring: false,
        preserve_fds: 0,
        listen_fds: 0,
        systemd_cgroup: false,
        no_cgroup: false,
        scratch: Path::new("/run/orlop/c1"),
    }
}

pub(crate) fn create(spec: &Spec, host: &Host) -> Result<Compiled, Diagnostics> {
    compile(spec, host, &options())
}

/// A config of `tests/data`.
pub(crate) fn load(name: &str) -> Spec {
    let path = format!("{}/tests/data/{name}.json", env!("CARGO_MANIFEST_DIR"));
    Document::parse(std::fs::read(path).unwrap()).unwrap().spec
}

/// A compilation as text: each step with where it comes from and why, then what the host side does.
pub(crate) fn show(compiled: &Compiled) -> String {
    let mut out = String::new();
    let steps = compiled.program.steps().zip(compiled.program.infos());
    for (index, (step, info)) in steps.enumerate() {
        let step = step.expect("the program can be read back");
        match step {
            Step::Seccomp { flags, filter } => {
                writeln!(out, "{index:>3} Seccomp {{ flags: {flags}, {} instructions }}", filter.len() / 8)
                    .unwrap();
            }
            step => writeln!(out, "{index:>3} {step:?}").unwrap(),
        }
        writeln!(out, "      {}: {}", info.origin, info.why).unwrap();
        if !info.parts.is_empty() {
            let parts: Vec<_> = info.parts.iter().map(ToString::to_string).collect();
            writeln!(out, "      parts: {}", parts.join(" ")).unwrap();
        }
    }
    let mut launch = compiled.launch.clone();
    if let Some(cgroup) = launch.cgroup.take() {
        let instructions = cgroup.plan.devices.instructions().len();
        writeln!(out, "{:?}, owner {:?}, {instructions} instructions for devices", cgroup.path, cgroup.owner)
            .unwrap();
        for setting in &cgroup.plan.settings {
            writeln!(out, "    {setting} ({}: {})", setting.origin, setting.why).unwrap();
        }
    }
    writeln!(out, "{launch:#?}").unwrap();
    for warning in &compiled.warnings {
        writeln!(out, "{warning}").unwrap();
    }
    out
}
