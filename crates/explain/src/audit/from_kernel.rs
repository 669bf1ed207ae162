//! The facts of a running process, whatever runtime has made it: as the kernel has them.

use super::facts::{Facts, Guard, MountFact};
use crate::inspect::{Mount, NamespaceKind, Report, mount_table};

/// What the kernel does not tell.
pub(super) const UNKNOWN_FILTER: &str = "what its system call filter allows: the kernel does not tell";
/// The same.
pub(super) const UNKNOWN_DEVICES: &str = "which devices its cgroup lets it use: the kernel does not tell";

/// Gathers them.
pub(super) fn facts(report: &Report) -> Facts {
    let status = &report.status;
    let uid = status.uid.get(1).copied().unwrap_or(0);
    let user = report.namespace(NamespaceKind::User);
    // The status has ids as the caller sees them; what they are inside, the map says.
    let inside = report.uid_map.iter().find_map(|[inside, outside, count]| {
        let at = u64::from(uid).checked_sub(*outside).filter(|at| at < count)?;
        u32::try_from(inside + at).ok()
    });
    let root = report.uid_map.iter().find(|[inside, ..]| *inside == 0).map(|[_, outside, _]| *outside);
    let mut facts = Facts {
        shared: report
            .namespaces
            .iter()
            .filter(|namespace| namespace.shared)
            .map(|namespace| namespace.kind)
            .collect(),
        uid: inside.unwrap_or(uid),
        host_uid: Some(uid.into()),
        unprivileged_root: user.is_some_and(|user| !user.shared) && root != Some(0),
        bounding: status.bounding,
        permitted: status.permitted | status.effective,
        ambient: status.ambient,
        inheritable: status.inheritable,
        no_new_privileges: status.no_new_privs.unwrap_or(false),
        filter: if status.seccomp == Some(0) { Guard::None } else { Guard::Unknown },
        label: report.label.clone().filter(|label| !label.is_empty() && !label.starts_with("unconfined")),
        oom_score_adj: report.oom_score_adj,
        memory_limited: limited(report, &["memory.max", "memory.limit_in_bytes"], "memory"),
        pids_limited: limited(report, &["pids.max"], "pids"),
        running: true,
        cpu_limited: limited(report, &["cpu.max", "cpu.cfs_quota_us"], "cpu"),
        ..Facts::default()
    };
    let host = mount_table(&std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default());
    facts.mounts = report.mounts.iter().map(|mount| fact(mount, &host)).collect();
    if report.namespaces.is_empty() {
        facts.unknown.push("its namespaces, which this user may not read".to_owned());
    }
    if matches!(facts.filter, Guard::Unknown) {
        facts.unknown.push(UNKNOWN_FILTER.to_owned());
    }
    facts.unknown.push(UNKNOWN_DEVICES.to_owned());
    facts
}

/// Whether a limit is in force; `None` if no file says so.
fn limited(report: &Report, files: &[&str], controller: &str) -> Option<bool> {
    let values = report.cgroups.iter().flat_map(|group| &group.values);
    let found = values.filter(|value| files.contains(&value.file)).map(|value| {
        let first = value.value.split(' ').next().unwrap_or_default();
        // Version 1 has no word for "no limit" of memory but a number that no machine reaches.
        !(first == "max" || first.parse::<i64>().is_ok_and(|limit| !(1..1 << 60).contains(&limit)))
    });
    let found: Vec<bool> = found.collect();
    let mounted = report.cgroups.iter().any(|group| group.directory.is_some());
    match &*found {
        // In the root of the tree there are no such files, and no limit.
        [] if mounted && !controller.is_empty() => Some(false),
        [] => None,
        found => Some(found.contains(&true)),
    }
}

fn fact(mount: &Mount, host: &[Mount]) -> MountFact {
    let of_kernel = mount.target.starts_with("/proc") || mount.target.starts_with("/sys");
    let null = mount.root.as_os_str() == "/null";
    MountFact {
        target: mount.target.clone(),
        fstype: mount.fstype.clone(),
        host: mount.host_path(host).filter(|_| !of_virtual(&mount.fstype)),
        writable: mount.is_writable(),
        shared: mount.propagation.iter().any(|word| word.starts_with("shared:")),
        suid: !mount.has("nosuid"),
        masks: of_kernel && (null || mount.fstype == "tmpfs" && !mount.is_writable()),
        pointer: None,
    }
}

/// File systems that are made anew, or are the kernel's: there is nothing of the host's disks in them.
fn of_virtual(fstype: &str) -> bool {
    ["proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue"].contains(&fstype)
}
