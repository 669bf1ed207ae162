//! What of the host's files and devices is in reach.

use std::path::Path;

use super::{Facts, Hit, hit, when};
use crate::audit::facts::{DeviceFact, MountFact};

/// Mounts of the host's files, with the path there; the container's own root is none.
fn of_host(facts: &Facts) -> impl Iterator<Item = (&MountFact, &Path)> {
    let root = facts
        .mounts
        .iter()
        .filter(|mount| mount.target == Path::new("/"))
        .find_map(|mount| mount.host.as_deref());
    let mounts = facts.mounts.iter().filter(|mount| mount.target != Path::new("/") && !mount.masks);
    let with_path = mounts.filter_map(|mount| Some((mount, mount.host.as_deref()?)));
    with_path
        .filter(move |(_, host)| root.is_none_or(|root| root == Path::new("/") || !host.starts_with(root)))
}

fn about(mount: &MountFact, host: &Path) -> Hit {
    let how = if mount.writable { "writable" } else { "read-only" };
    let what = format!("{} of the host is at {}, {how}", host.display(), mount.target.display());
    Hit { what, pointer: mount.pointer.clone(), ..Hit::default() }
}

pub(super) fn host_root(facts: &Facts) -> Vec<Hit> {
    let root = facts.mounts.first().filter(|root| root.host.as_deref() == Some(Path::new("/")));
    let own = root.map(|root| (root, Path::new("/")));
    let all = own.into_iter().chain(of_host(facts).filter(|(_, host)| *host == Path::new("/")));
    let one = |(mount, host): (&MountFact, &Path)| Hit {
        level: (!mount.writable).then_some(super::High),
        ..about(mount, host)
    };
    all.map(one).collect()
}

const SOCKETS: [&str; 8] = [
    "docker.sock",
    "containerd.sock",
    "crio.sock",
    "podman.sock",
    "dockershim.sock",
    "buildkitd.sock",
    "kubelet.sock",
    "systemd/private",
];

pub(super) fn sockets(facts: &Facts) -> Vec<Hit> {
    // Connecting to a socket is no writing: a read-only mount does not help.
    of_host(facts)
        .filter(|(_, host)| SOCKETS.iter().any(|name| host.ends_with(name)))
        .map(|(mount, host)| about(mount, host))
        .collect()
}

/// Directories, with what is below some of them.
const SENSITIVE: [&str; 19] = [
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib64",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/bin",
    "/var",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var/lib/kubelet",
    "/var/run",
];
/// Of these also what is below.
const WITH_ALL: [&str; 6] = ["/boot", "/etc", "/root/.ssh", "/usr/bin", "/usr/sbin", "/usr/lib"];
/// What engines mount from there for every container.
const HARMLESS: [&str; 5] =
    ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/localtime", "/etc/timezone"];

fn is_sensitive(host: &Path) -> bool {
    !HARMLESS.iter().any(|path| host == Path::new(path))
        && (SENSITIVE.iter().any(|path| host == Path::new(path))
            || WITH_ALL.iter().any(|path| host.starts_with(path)))
}

pub(super) fn sensitive(facts: &Facts) -> Vec<Hit> {
    let one = |(mount, host): (&MountFact, &Path)| Hit {
        level: (!mount.writable).then_some(super::Medium),
        ..about(mount, host)
    };
    of_host(facts).filter(|(_, host)| is_sensitive(host)).map(one).collect()
}

pub(super) fn writable(facts: &Facts) -> Vec<Hit> {
    let plain = of_host(facts)
        .filter(|(mount, host)| mount.writable && *host != Path::new("/") && !is_sensitive(host));
    plain
        .filter(|(_, host)| !SOCKETS.iter().any(|name| host.ends_with(name)))
        .map(|(mount, host)| about(mount, host))
        .collect()
}

pub(super) fn shared(facts: &Facts) -> Vec<Hit> {
    let one = |mount: &MountFact| Hit {
        pointer: mount.pointer.clone(),
        what: format!("mounts made in {} travel to its peers", mount.target.display()),
        ..Hit::default()
    };
    facts.mounts.iter().filter(|mount| mount.shared).map(one).collect()
}

pub(super) fn root(facts: &Facts) -> Vec<Hit> {
    when(facts.mounts.first().is_some_and(|root| root.writable), || {
        hit("the root file system is writable", "/root/readonly")
    })
}

/// Devices that every container may have: numbers 3, 5, 7, 8, 9 of memory devices, and terminals.
fn is_harmless(device: &DeviceFact) -> bool {
    let (major, minor) = device.number;
    !device.block && (major == 1 && [3, 5, 7, 8, 9].contains(&minor) || major == 5 || major == 136)
}

pub(super) fn devices(facts: &Facts) -> Vec<Hit> {
    let others = facts.devices.iter().filter(|device| !is_harmless(device));
    let one = |device: &DeviceFact| {
        let (major, minor) = device.number;
        let memory = major == 1 && [1, 2, 4].contains(&minor);
        let level = match device.block || memory {
            true => super::Critical,
            false if major == 1 => super::Medium,
            false => super::Low,
        };
        let kind = if device.block { "block" } else { "character" };
        let what = format!("{} is {kind} device {major}:{minor} of the host", device.path);
        Hit { level: Some(level), ..hit(what, &device.pointer) }
    };
    others.map(one).collect()
}

pub(super) fn all_devices(facts: &Facts) -> Vec<Hit> {
    let level = facts.unprivileged_root.then_some(super::Low);
    let one = |pointer: &String| Hit { level, ..hit("its device rules allow every device", pointer) };
    facts.all_devices.iter().map(one).collect()
}
