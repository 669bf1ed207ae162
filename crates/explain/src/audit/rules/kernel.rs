//! What of the kernel is in reach: system calls, `/proc`, `/sys`.

use super::{Facts, Hit, hit, when};
use crate::audit::calls::CALLS;
use crate::audit::facts::{Guard, MountFact};
use crate::filter::Call;
use crate::inspect::NamespaceKind;
use orlop_seccomp::Arch;

pub(super) fn no_filter(facts: &Facts) -> Vec<Hit> {
    when(matches!(facts.filter, Guard::None), || hit("there is no system call filter", "/linux/seccomp"))
}

pub(super) fn default_allow(facts: &Facts) -> Vec<Hit> {
    let Guard::Filter(filter) = &facts.filter else { return Vec::new() };
    let action = filter.default_action();
    let permissive = action.filter(|action| ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG"].contains(action));
    permissive
        .into_iter()
        .map(|action| hit(format!("its default action is {action}"), "/linux/seccomp/defaultAction"))
        .collect()
}

/// Asks the filter, as it is compiled, about each call.
pub(super) fn calls(facts: &Facts) -> Vec<Hit> {
    let (Guard::Filter(filter), Some(host)) = (&facts.filter, Arch::host()) else { return Vec::new() };
    let mut hits = Vec::new();
    for dangerous in &CALLS {
        // What this architecture does not have, nobody can call.
        let answer = Call::parse(dangerous.call).and_then(|call| filter.ask(&call, host));
        let Some(answer) = answer.ok().filter(|answer| answer.passes) else { continue };
        let capability =
            dangerous.needs.filter(|needs| facts.unprivileged_root || facts.capabilities() >> needs & 1 == 0);
        hits.push(Hit {
            part: Some(dangerous.id.to_owned()),
            level: Some(if capability.is_some() { super::Info } else { dangerous.level }),
            why: Some(dangerous.why),
            pointer: answer.pointer,
            what: match capability {
                Some(_) => format!("its filter allows {}, for which it lacks the capability", dangerous.call),
                None => format!("its filter allows {}", dangerous.call),
            },
            ..Hit::default()
        });
    }
    hits
}

pub(super) fn is_part(text: &str) -> bool {
    CALLS.iter().any(|dangerous| dangerous.id == text)
}

/// One hit about a path that can be written; less bad where root is nobody on the host.
fn writable(facts: &Facts, path: &str, level: super::Level) -> Vec<Hit> {
    let mount = facts.visible(path).filter(|mount| mount.writable && is_of_kernel(mount));
    let found = |mount: &MountFact| Hit {
        pointer: mount.pointer.clone(),
        level: Some(if facts.unprivileged_root { level.lower() } else { level }),
        what: format!("{path} can be written"),
        ..Hit::default()
    };
    mount.into_iter().map(found).collect()
}

fn is_of_kernel(mount: &MountFact) -> bool {
    ["proc", "sysfs"].contains(&mount.fstype.as_str())
        || mount.host.as_ref().is_some_and(|host| host.starts_with("/proc") || host.starts_with("/sys"))
}

pub(super) fn proc_sys(facts: &Facts) -> Vec<Hit> {
    writable(facts, "/proc/sys", super::High)
}

pub(super) fn sysrq(facts: &Facts) -> Vec<Hit> {
    writable(facts, "/proc/sysrq-trigger", super::High)
}

pub(super) fn sysfs(facts: &Facts) -> Vec<Hit> {
    writable(facts, "/sys", super::High)
}

/// What engines hide.
const SENSITIVE: [&str; 5] = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/acpi", "/proc/scsi"];

pub(super) fn unmasked(facts: &Facts) -> Vec<Hit> {
    let visible = |path: &&&str| facts.visible(path).is_some_and(is_of_kernel);
    let paths: Vec<&str> = SENSITIVE.iter().filter(visible).copied().collect();
    when(!paths.is_empty(), || hit(format!("visible: {}", paths.join(" ")), "/linux/maskedPaths"))
}

pub(super) fn firmware(facts: &Facts) -> Vec<Hit> {
    let visible = facts.visible("/sys/firmware").is_some_and(is_of_kernel);
    when(visible, || hit("/sys/firmware is visible", "/linux/maskedPaths"))
}

pub(super) fn cgroup(facts: &Facts) -> Vec<Hit> {
    let trees = facts
        .mounts
        .iter()
        .filter(|mount| ["cgroup", "cgroup2"].contains(&mount.fstype.as_str()) && mount.writable);
    let one = |mount: &MountFact| {
        let own = !facts.shared.contains(&NamespaceKind::Cgroup);
        // A tree of version 2 in a namespace of its own begins at its own group.
        let level = match mount.fstype.as_str() {
            _ if facts.unprivileged_root => super::Info,
            "cgroup2" if own => super::Low,
            "cgroup2" => super::High,
            _ if facts.capabilities() >> 21 & 1 == 1 => super::Critical,
            _ => super::Medium,
        };
        Hit {
            level: Some(level),
            pointer: mount.pointer.clone(),
            what: format!("{} ({}) can be written", mount.target.display(), mount.fstype),
            ..Hit::default()
        }
    };
    trees.map(one).collect()
}

const INSIDES: [&str; 6] = ["debugfs", "tracefs", "securityfs", "bpf", "configfs", "efivarfs"];

pub(super) fn file_systems(facts: &Facts) -> Vec<Hit> {
    let inside = facts.mounts.iter().filter(|mount| INSIDES.contains(&mount.fstype.as_str()));
    let one = |mount: &MountFact| Hit {
        pointer: mount.pointer.clone(),
        what: format!("{} is mounted at {}", mount.fstype, mount.target.display()),
        ..Hit::default()
    };
    inside.map(one).collect()
}
