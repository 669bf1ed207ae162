//! The config that `orlop spec` writes: a shell in a container, as `runc spec` has it.
//!
//! It differs from runc 1.1's on purpose in three points, two of which later versions of runc share:
//!
//! - there are no ambient capabilities: a program that is not root must not gain any by default;
//! - `/sys/devices/virtual/tpm` is masked too;
//! - the hostname is our own.
//!
//! There is a cgroup namespace in it, which whoever writes it for a host with cgroups of version 1 leaves out, as runc does:
//! what is in a container then finds its cgroups by the names that the host has for them.

use crate::{
    Capabilities, DeviceRule, IdMapping, Linux, Mount, Namespace, NamespaceKind, Process, Resources, Rlimit,
    RlimitKind, Root, Spec, VERSION,
};

/// What Docker gives its containers: enough for package managers and servers, nothing that reaches the host.
pub const USUAL_CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// The config that `spec` writes, or `spec --rootless`.
///
/// A rootless one maps root in the container to the user that runs it: set `host_id` of both mappings, which are 0
/// here, to the caller's effective ids. It has the host's network and `/sys`, as a user without privileges can have no
/// other, and no limits, as it may own no cgroup.
pub fn default_spec(rootless: bool) -> Spec {
    Spec {
        oci_version: VERSION.to_owned(),
        process: Some(process()),
        root: Some(Root { path: "rootfs".to_owned(), readonly: true }),
        hostname: "orlop".to_owned(),
        mounts: mounts(rootless),
        linux: Some(linux(rootless)),
        ..Spec::default()
    }
}

/// A spec as `spec` prints it: indented by tabs, without a newline at the end, like runc.
///
/// # Errors
/// None that a spec can cause: every field of it has a form in JSON.
pub fn to_text(spec: &Spec) -> serde_json::Result<String> {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    serde::Serialize::serialize(spec, &mut serializer)?;
    String::from_utf8(text).map_err(serde::ser::Error::custom)
}

fn strings(items: &[&str]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn process() -> Process {
    let capabilities = strings(&["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    Process {
        terminal: true,
        args: strings(&["sh"]),
        env: strings(&["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"]),
        cwd: "/".to_owned(),
        capabilities: Some(Capabilities {
            bounding: capabilities.clone(),
            effective: capabilities.clone(),
            permitted: capabilities,
            ..Capabilities::default()
        }),
        rlimits: vec![Rlimit { kind: RlimitKind::Nofile, hard: 1024, soft: 1024 }],
        no_new_privileges: true,
        ..Process::default()
    }
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Mount {
    Mount {
        destination: destination.to_owned(),
        kind: kind.to_owned(),
        source: source.to_owned(),
        options: strings(options),
        ..Mount::default()
    }
}

fn mounts(rootless: bool) -> Vec<Mount> {
    // The group tty (5) is not mapped in a user namespace with one id.
    let pts: &[&str] = &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"];
    let pts = if rootless { &pts[..5] } else { pts };
    // A new sysfs shows the network namespace, and only its owner may mount it.
    let sys = if rootless {
        mount("/sys", "none", "/sys", &["rbind", "nosuid", "noexec", "nodev", "ro"])
    } else {
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"])
    };
    vec![
        mount("/proc", "proc", "proc", &[]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", "devpts", pts),
        mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        sys,
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ]
}

fn linux(rootless: bool) -> Linux {
    use NamespaceKind::{Cgroup, Ipc, Mount, Network, Pid, User, Uts};
    let namespaces: &[NamespaceKind] = if rootless {
        &[Pid, Ipc, Uts, Mount, Cgroup, User]
    } else {
        &[Pid, Network, Ipc, Uts, Mount, Cgroup]
    };
    let root_only =
        || if rootless { vec![IdMapping { container_id: 0, host_id: 0, size: 1 }] } else { Vec::new() };
    let deny_all = DeviceRule { allow: false, access: "rwm".to_owned(), ..DeviceRule::default() };
    Linux {
        uid_mappings: root_only(),
        gid_mappings: root_only(),
        resources: (!rootless).then(|| Resources { devices: vec![deny_all], ..Resources::default() }),
        namespaces: namespaces
            .iter()
            .map(|kind| Namespace { kind: kind.clone(), path: String::new() })
            .collect(),
        masked_paths: strings(&[
            "/proc/acpi",
            "/proc/asound",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/timer_list",
            "/proc/timer_stats",
            "/proc/sched_debug",
            "/sys/firmware",
            "/proc/scsi",
            "/sys/devices/virtual/tpm",
        ]),
        readonly_paths: strings(&["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]),
        ..Linux::default()
    }
}
