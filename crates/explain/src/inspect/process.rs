//! The files of one process below `/proc` (proc(5)).

use std::path::PathBuf;

use serde::{Serialize, Serializer};

use super::View;
use crate::names::capability_names;

/// Kinds of namespaces, with their names in `/proc/PID/ns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the names of namespaces(7)
pub enum NamespaceKind {
    Cgroup,
    Ipc,
    Mount,
    Network,
    Pid,
    Time,
    User,
    Uts,
}

impl NamespaceKind {
    /// All of them, and the file of each.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Cgroup, "cgroup"),
        (Self::Ipc, "ipc"),
        (Self::Mount, "mnt"),
        (Self::Network, "net"),
        (Self::Pid, "pid"),
        (Self::Time, "time"),
        (Self::User, "user"),
        (Self::Uts, "uts"),
    ];

    /// Its name in a config.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Ipc => "ipc",
            Self::Mount => "mount",
            Self::Network => "network",
            Self::Pid => "pid",
            Self::Time => "time",
            Self::User => "user",
            Self::Uts => "uts",
        }
    }
}

/// A namespace of a process beside the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Namespace {
    /// Which kind.
    pub kind: NamespaceKind,
    /// Its inode.
    pub inode: u64,
    /// The inode of the caller's.
    pub here: u64,
    /// Both are the same one.
    pub shared: bool,
}

/// Of `/proc/PID/status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // the fields of proc_pid_status(5)
pub struct Status {
    pub name: String,
    pub state: String,
    /// Its number in each PID namespace from the caller's inwards.
    pub pids: Vec<i32>,
    pub parent: i32,
    /// Real, effective, saved, for files.
    pub uid: Vec<u32>,
    /// Real, effective, saved, for files.
    pub gid: Vec<u32>,
    pub groups: Vec<u32>,
    pub umask: Option<String>,
    pub threads: u32,
    pub no_new_privs: Option<bool>,
    /// 0 none, 1 strict, 2 a filter.
    pub seccomp: Option<u8>,
    pub seccomp_filters: Option<u32>,
    #[serde(serialize_with = "names")]
    pub inheritable: u64,
    #[serde(serialize_with = "names")]
    pub permitted: u64,
    #[serde(serialize_with = "names")]
    pub effective: u64,
    #[serde(serialize_with = "names")]
    pub bounding: u64,
    #[serde(serialize_with = "names")]
    pub ambient: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde has it
fn names<S: Serializer>(set: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(capability_names(*set))
}

fn numbers<T: std::str::FromStr>(text: &str) -> Vec<T> {
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

impl Status {
    /// Reads it. What is missing or malformed counts as absent.
    pub fn parse(text: &str) -> Self {
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(str::trim).unwrap_or_default()
        };
        let set = |name: &str| u64::from_str_radix(field(name), 16).unwrap_or(0);
        Self {
            name: field("Name").to_owned(),
            state: field("State").to_owned(),
            pids: numbers(field("NSpid")),
            parent: field("PPid").parse().unwrap_or(0),
            uid: numbers(field("Uid")),
            gid: numbers(field("Gid")),
            groups: numbers(field("Groups")),
            umask: Some(field("Umask").to_owned()).filter(|umask| !umask.is_empty()),
            threads: field("Threads").parse().unwrap_or(0),
            no_new_privs: field("NoNewPrivs").parse::<u8>().ok().map(|value| value != 0),
            seccomp: field("Seccomp").parse().ok(),
            seccomp_filters: field("Seccomp_filters").parse().ok(),
            inheritable: set("CapInh"),
            permitted: set("CapPrm"),
            effective: set("CapEff"),
            bounding: set("CapBnd"),
            ambient: set("CapAmb"),
        }
    }
}

/// A resource limit, in the kernel's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// What is limited, such as `Max open files`.
    pub name: String,
    /// What is in force: a number, or `unlimited`.
    pub soft: String,
    /// How far it may be raised.
    pub hard: String,
    /// Of what.
    pub unit: String,
}

/// Reads `/proc/PID/limits`.
pub(super) fn limits(text: &str) -> Vec<Limit> {
    let limit = |line: &str| {
        let (name, rest) = line.split_at_checked(26)?;
        let mut words = rest.split_whitespace().map(str::to_owned);
        let (soft, hard) = (words.next()?, words.next()?);
        Some(Limit { name: name.trim().to_owned(), soft, hard, unit: words.next().unwrap_or_default() })
    };
    text.lines().skip(1).filter_map(limit).collect()
}

/// An open descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Descriptor {
    /// Its number.
    pub number: u32,
    /// What it is: a path, or `socket:[…]` and the like.
    pub target: PathBuf,
}

impl View {
    pub(super) fn namespaces(&self) -> Vec<Namespace> {
        let inode = |link: PathBuf| {
            let text = link.to_string_lossy().into_owned();
            text.split_once('[').and_then(|(_, rest)| rest.trim_end_matches(']').parse::<u64>().ok())
        };
        let namespace = |(kind, file): (NamespaceKind, &str)| {
            let there = inode(self.link(&format!("ns/{file}"))?)?;
            let here = inode(std::fs::read_link(format!("/proc/self/ns/{file}")).ok()?)?;
            Some(Namespace { kind, inode: there, here, shared: there == here })
        };
        NamespaceKind::ALL.into_iter().filter_map(namespace).collect()
    }

    pub(super) fn id_map(&self, file: &str) -> Vec<[u64; 3]> {
        let text = self.read(file).unwrap_or_default();
        let line = |line: &str| {
            let mut numbers = line.split_whitespace().filter_map(|word| word.parse().ok());
            Some([numbers.next()?, numbers.next()?, numbers.next()?])
        };
        text.lines().filter_map(line).collect()
    }

    pub(super) fn label(&self) -> Option<String> {
        self.read("attr/current").map(|label| label.trim_end_matches(['\0', '\n']).to_owned())
    }

    pub(super) fn descriptors(&self) -> Option<Vec<Descriptor>> {
        let entries = std::fs::read_dir(self.path("fd")).ok()?;
        let descriptor = |entry: std::fs::DirEntry| {
            let number = entry.file_name().to_string_lossy().parse().ok()?;
            Some(Descriptor { number, target: std::fs::read_link(entry.path()).ok()? })
        };
        let mut all: Vec<_> = entries.flatten().filter_map(descriptor).collect();
        all.sort_by_key(|descriptor| descriptor.number);
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_limits_are_read() {
        let status = Status::parse(
            "Name:\tsh\nUmask:\t0022\nState:\tS (sleeping)\nPPid:\t7\nUid:\t1\t2\t3\t4\nGroups:\t5 6 \nNSpid:\t90\t1\n\
             CapEff:\t0000000000000021\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n",
        );
        assert_eq!((status.name.as_str(), status.parent, status.pids.as_slice()), ("sh", 7, &[90, 1][..]));
        assert_eq!((status.uid[1], status.groups.as_slice(), status.effective), (2, &[5, 6][..], 0x21));
        assert_eq!(
            (status.no_new_privs, status.seccomp, status.seccomp_filters),
            (Some(true), Some(2), Some(1))
        );
        assert_eq!(Status::parse(""), Status::default());
        let limits = limits(
            "Limit                     Soft Limit           Hard Limit           Units     \n\
             Max open files            1024                 unlimited            files     \n\
             Max nice priority         0                    0                    \n",
        );
        let [files, nice] = &*limits else { panic!("{limits:?}") };
        assert_eq!(
            (files.name.as_str(), files.soft.as_str(), files.hard.as_str()),
            ("Max open files", "1024", "unlimited")
        );
        assert_eq!((nice.unit.as_str(), nice.name.as_str()), ("", "Max nice priority"));
    }
}
