//! A running process from the kernel's side: which namespaces, files, groups and rights it has.
//!
//! Everything is read below a directory `/proc/PID` that was opened first: it stays that process's, and reads from it fail
//! once the process is gone, whoever gets its number next.
//!
//! | file | what is in it |
//! |---|---|
//! | `process.rs` | the files of one process: status, limits, namespaces, descriptors |
//! | `mounts.rs` | its mount table |
//! | `cgroup.rs` | its control groups: limits, use, pressure |
//! | `tree.rs` | the processes around it |
//! | `text.rs` | the report for people |

mod cgroup;
mod mounts;
mod process;
mod text;
mod tree;

pub use cgroup::{Group, Value};
pub use mounts::{Mount, mount_table};
pub use process::{Descriptor, Limit, Namespace, NamespaceKind, Status};
pub use tree::Relative;

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use orlop_runtime::error::Doing as _;
use orlop_runtime::liveness::Process;
use orlop_runtime::{Error, Result};
use serde::Serialize;

/// What the kernel says of a process. What the caller may not read is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The container's id, if it is one of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The process, as the caller sees it.
    pub pid: i32,
    /// Its command line.
    pub command: Vec<String>,
    /// The program's file, as its mount namespace has it.
    pub executable: Option<PathBuf>,
    /// Its namespaces beside those of the caller.
    pub namespaces: Vec<Namespace>,
    /// Who it is, and what it may do.
    pub status: Status,
    /// User ids: in its user namespace, in the caller's, how many.
    pub uid_map: Vec<[u64; 3]>,
    /// Group ids.
    pub gid_map: Vec<[u64; 3]>,
    /// The label of a security module such as AppArmor or SELinux; empty without one.
    pub label: Option<String>,
    /// How willingly the kernel kills it when memory is short.
    pub oom_score_adj: Option<i64>,
    /// Its resource limits.
    pub limits: Vec<Limit>,
    /// Its mounts.
    pub mounts: Vec<Mount>,
    /// Its control groups.
    pub cgroups: Vec<Group>,
    /// Its descriptors.
    pub descriptors: Option<Vec<Descriptor>>,
    /// It, its descendants, and whoever else is in its PID namespace.
    pub processes: Vec<Relative>,
}

/// A process whose `/proc` directory is held open.
#[derive(Debug)]
pub struct View {
    process: Process,
    directory: File,
}

impl View {
    /// Takes hold of a process that is known.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`]: it has ended.
    pub fn of(process: Process) -> Result<Self> {
        let path = format!("/proc/{}", process.pid);
        let directory = File::open(&path).doing(|| format!("open {path}"))?;
        // The directory came first: if the process is alive now, it is this process's.
        if process.is_alive()? {
            return Ok(Self { process, directory });
        }
        Err(nix::errno::Errno::ESRCH).doing(|| format!("look at process {}", process.pid))
    }

    /// Takes hold of whatever process has this id now.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`]: there is none.
    pub fn of_pid(pid: i32) -> Result<Self> {
        Self::of(Process::of(pid)?)
    }

    /// A file of the process.
    fn path(&self, name: &str) -> PathBuf {
        format!("/proc/self/fd/{}/{name}", self.directory.as_raw_fd()).into()
    }

    /// The text of a file, if it can be read.
    fn read(&self, name: &str) -> Option<String> {
        std::fs::read(self.path(name)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Where a link leads, if that can be read.
    fn link(&self, name: &str) -> Option<PathBuf> {
        std::fs::read_link(self.path(name)).ok()
    }

    /// Everything there is to say.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`]: it has ended meanwhile, and part of what was read may be nobody's.
    pub fn report(&self, id: Option<String>) -> Result<Report> {
        let status = self.read("status").map(|text| Status::parse(&text)).unwrap_or_default();
        let words = self.read("cmdline").unwrap_or_default();
        let report = Report {
            id,
            pid: self.process.pid,
            command: words.split('\0').filter(|word| !word.is_empty()).map(str::to_owned).collect(),
            executable: self.link("exe"),
            namespaces: self.namespaces(),
            status,
            uid_map: self.id_map("uid_map"),
            gid_map: self.id_map("gid_map"),
            label: self.label(),
            oom_score_adj: self.read("oom_score_adj").and_then(|text| text.trim().parse().ok()),
            limits: self.read("limits").map(|text| process::limits(&text)).unwrap_or_default(),
            mounts: self.read("mountinfo").map(|text| mount_table(&text)).unwrap_or_default(),
            cgroups: cgroup::groups(&self.read("cgroup").unwrap_or_default()),
            descriptors: self.descriptors(),
            processes: tree::around(self.process.pid, self.link("ns/pid").as_deref()),
        };
        if self.process.is_alive()? { Ok(report) } else { Err(gone(self.process.pid)) }
    }
}

fn gone(pid: i32) -> Error {
    Error::usage(format!("process {pid} has ended while it was looked at"))
}

impl Report {
    /// As JSON.
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// A namespace by its kind.
    pub fn namespace(&self, kind: NamespaceKind) -> Option<&Namespace> {
        self.namespaces.iter().find(|namespace| namespace.kind == kind)
    }
}
