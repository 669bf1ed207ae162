//! What the suites share: hosts, and how a compilation is shown.
#![allow(dead_code, missing_docs)] // not every suite uses all of it

use orlop_compile::{Compiled, Diagnostics, Host, Mode, Options, compile};
use orlop_spec::Spec;
use std::fmt::Write;
use std::path::Path;

/// Root on a host of version 2 cgroups.
pub(crate) fn root() -> Host {
    Host {
        euid: 0,
        egid: 0,
        privileged: true,
        setgroups_denied: false,
        last_cap: 40,
        bounding: (1 << 41) - 1,
        selinux: false,
        apparmor: false,
        kcore: true,
        kernel: (6, 18),
        cgroup_mount: Some("/sys/fs/cgroup".into()),
    }
}

/// A user without privileges.
pub(crate) fn user() -> Host {
    Host { euid: 1000, egid: 1000, privileged: false, ..root() }
}

pub(crate) fn options() -> Options<'static> {
    Options {
        id: "c1",
        bundle: Path::new("/bundle"),
        mode: Mode::Create,
        no_pivot: false,
        no_new_keyring: false,
        preserve_fds: 0,
        listen_fds: 0,
        systemd_cgroup: false,
        root_override: None,
    }
}

pub(crate) fn create(spec: &Spec, host: &Host) -> Result<Compiled, Diagnostics> {
    compile(spec, host, &options())
}

/// A compilation as text: each step with where it comes from and why, then what the host side does.
pub(crate) fn show(compiled: &Compiled) -> String {
    let mut out = String::new();
    let steps = compiled.program.steps().zip(compiled.program.infos());
    for (index, (step, info)) in steps.enumerate() {
        let step = step.expect("the program can be read back");
        writeln!(out, "{index:>3} {step:?}\n      {}: {}", info.origin, info.why).unwrap();
        if !info.parts.is_empty() {
            let parts: Vec<_> = info.parts.iter().map(ToString::to_string).collect();
            writeln!(out, "      parts: {}", parts.join(" ")).unwrap();
        }
    }
    writeln!(out, "{:#?}", compiled.launch).unwrap();
    for warning in &compiled.warnings {
        writeln!(out, "{warning}").unwrap();
    }
    out
}
