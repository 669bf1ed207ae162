//! The control groups of a process: where they are, what they limit, what is used, and what is waited for.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Mount, mount_table};

/// A control group: of version 2, or of one hierarchy of version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The controllers of the hierarchy; empty for version 2.
    pub controllers: String,
    /// The path in the hierarchy.
    pub path: PathBuf,
    /// The directory, if its hierarchy is mounted here.
    pub directory: Option<PathBuf>,
    /// What its files say, of those that say most.
    pub values: Vec<Value>,
    /// Stalls, as `/proc/pressure` has them: `cpu`, `memory`, `io`, each with its lines.
    pub pressure: Vec<Value>,
}

/// A file and what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Value {
    /// The file's name.
    pub file: &'static str,
    /// Its text, in one line.
    pub value: String,
}

const V2: [&str; 14] = [
    "memory.current",
    "memory.max",
    "memory.high",
    "memory.low",
    "memory.swap.current",
    "memory.swap.max",
    "pids.current",
    "pids.max",
    "cpu.max",
    "cpu.weight",
    "cpuset.cpus.effective",
    "cpuset.mems.effective",
    "io.max",
    "cgroup.freeze",
];
const V1: [&str; 12] = [
    "memory.usage_in_bytes",
    "memory.limit_in_bytes",
    "memory.memsw.limit_in_bytes",
    "pids.current",
    "pids.max",
    "cpu.cfs_quota_us",
    "cpu.cfs_period_us",
    "cpu.shares",
    "cpuset.effective_cpus",
    "cpuset.effective_mems",
    "freezer.state",
    "devices.list",
];
const PRESSURE: [&str; 3] = ["cpu.pressure", "memory.pressure", "io.pressure"];

/// The groups that `/proc/PID/cgroup` lists.
pub(super) fn groups(text: &str) -> Vec<Group> {
    let mounts = mount_table(&std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default());
    text.lines().filter_map(|line| group(line, &mounts)).collect()
}

fn group(line: &str, mounts: &[Mount]) -> Option<Group> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, path) = (parts.next()?, parts.next()?, PathBuf::from(parts.next()?));
    let directory = mounts.iter().find_map(|mount| directory(mount, controllers, &path));
    let read = |files: &[&'static str]| {
        let file = |file: &&'static str| {
            let text = std::fs::read_to_string(directory.as_ref()?.join(file)).ok()?;
            let value = text.lines().collect::<Vec<_>>().join("; ");
            (!value.is_empty()).then_some(Value { file, value })
        };
        files.iter().filter_map(file).collect::<Vec<_>>()
    };
    let (values, pressure) =
        if controllers.is_empty() { (read(&V2), read(&PRESSURE)) } else { (read(&V1), Vec::new()) };
    Some(Group { controllers: controllers.to_owned(), path, directory, values, pressure })
}

/// The directory of a group below a mount of its hierarchy.
fn directory(mount: &Mount, controllers: &str, path: &Path) -> Option<PathBuf> {
    let of_hierarchy = if controllers.is_empty() {
        mount.fstype == "cgroup2"
    } else {
        mount.fstype == "cgroup"
            && controllers.split(',').all(|name| mount.super_options.iter().any(|option| option == name))
    };
    let below = path.strip_prefix(&mount.root).ok().filter(|_| of_hierarchy)?;
    let directory = mount.target.join(below);
    directory.exists().then_some(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_below_mounts_of_their_hierarchy() {
        let mounts = mount_table(
            "30 1 0:2 / /none rw - cgroup2 cgroup rw\n31 1 0:3 /outer / rw - cgroup cgroup rw,cpu,cpuacct\n",
        );
        let found = group("3:cpu,cpuacct:/outer/proc", &mounts).unwrap();
        assert_eq!(found.directory.as_deref(), Some(Path::new("/proc")));
        assert_eq!(group("3:cpu,cpuacct:/other", &mounts).unwrap().directory, None);
        assert_eq!(group("0::/system.slice", &mounts).unwrap().directory, None, "there is no such directory");
        assert!(group("nonsense", &mounts).is_none());
    }
}
