//! What can go wrong while doing: every text names the object, the value, the kernel's answer, and a way out.

use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;

use crate::controller::Controllers;

/// The result of everything in this crate that touches the kernel.
pub type Result<T> = std::result::Result<T, Error>;

/// An operation on a cgroup that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call on a file or directory failed.
    #[error("{call} {}: {errno}{}", path.display(), Hint(hint))]
    Call {
        /// The call or action, such as `mkdir`.
        call: &'static str,
        /// What it concerned.
        path: PathBuf,
        /// The kernel's answer.
        errno: Errno,
        /// A way out, or nothing.
        hint: &'static str,
    },
    /// The kernel refused a value.
    #[error("write {value:?} to {}: {errno}{}{}", path.display(), From(origin), Hint(hint))]
    Write {
        /// The file.
        path: PathBuf,
        /// What was written.
        value: String,
        /// The kernel's answer.
        errno: Errno,
        /// The place in `config.json` that asked for it, or nothing.
        origin: String,
        /// A way out, or nothing.
        hint: &'static str,
    },
    /// A limit is not above what the cgroup uses already (`checkBeforeUpdate`).
    #[error("{}: rejecting {of} limit {limit} <= usage {usage} bytes{}", path.display(), From(origin))]
    BelowUsage {
        /// Of what: `memory` or `memory+swap`. Tests of engines look for these words.
        of: &'static str,
        /// The file of the limit.
        path: PathBuf,
        /// The limit asked for, in bytes.
        limit: u64,
        /// What is in use, in bytes.
        usage: u64,
        /// The place in `config.json` that asked for it.
        origin: String,
    },
    /// A file of the kernel does not read as it should.
    #[error("{}: cannot make sense of {text:?}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The part that is odd.
        text: String,
    },
    /// Controllers that settings need cannot be had in this part of the tree.
    #[error(
        "{}: the {missing} controller is not available (available: {available}); hint: enable it in the \
         cgroup.subtree_control of the parent directory", path.display()
    )]
    NoController {
        /// The directory whose `cgroup.controllers` lacks them.
        path: PathBuf,
        /// What is missing.
        missing: Controllers,
        /// What is there.
        available: Controllers,
    },
    /// Controllers that settings need are not given on in a cgroup that is not the caller's.
    #[error(
        "{}: the {missing} controller is not given to the cgroups below, and this cgroup is not ours to change: {errno}; \
         hint: run as root, or have the controller delegated to you", path.display()
    )]
    NotDelegated {
        /// The directory whose `cgroup.subtree_control` lacks them.
        path: PathBuf,
        /// What is missing.
        missing: Controllers,
        /// The kernel's answer.
        errno: Errno,
    },
    /// The cgroup is threaded or invalid as a domain, and a setting needs a domain (cgroup-v2.rst, "Threads").
    #[error(
        "{}: the cgroup is in the state {kind:?} and cannot have the {needed} controllers; hint: choose a linux.cgroupsPath \
         whose parents have no processes of their own", path.display()
    )]
    NotADomain {
        /// The directory.
        path: PathBuf,
        /// The text of `cgroup.type`.
        kind: String,
        /// The controllers that need a domain.
        needed: Controllers,
    },
    /// The path of a sub-cgroup is refused.
    #[error("bad sub cgroup path {path:?}: {why}")]
    Sub {
        /// The path, as given.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// No hierarchy of version 2 is mounted.
    #[error(
        "no cgroup2 file system is mounted (looked in {}); hint: mount -t cgroup2 none /sys/fs/cgroup/unified", looked.display()
    )]
    NoUnified {
        /// Where it was looked for.
        looked: PathBuf,
    },
    /// Settings need a version 1 hierarchy that the host does not have.
    #[error("{file} = {value}: no version 1 hierarchy with the {controller} controller is mounted")]
    NoHierarchy {
        /// The file that should be written.
        file: String,
        /// What should be written.
        value: String,
        /// Its controller.
        controller: crate::Controller,
    },
    /// The cgroup has processes in it before the container was made.
    #[error(
        "{}: container's cgroup is not empty: {} process(es), first {}; hint: choose another linux.cgroupsPath or end them",
        path.display(), pids.len(), pids.first().copied().unwrap_or_default()
    )]
    NotEmpty {
        /// The directory.
        path: PathBuf,
        /// Who is there.
        pids: Vec<i32>,
    },
    /// The cgroup belongs to another container, which has not ended.
    #[error(
        "{}: container's cgroup is in use by another container: {owner}; hint: choose another linux.cgroupsPath or delete \
         that container", path.display()
    )]
    Claimed {
        /// The directory.
        path: PathBuf,
        /// The mark of its owner.
        owner: String,
    },
    /// The cgroup is frozen before the container was made: its process would never run.
    #[error("{}: container's cgroup unexpectedly frozen; hint: echo 0 > {}/cgroup.freeze, here or in a parent", path.display(), path.display())]
    Frozen {
        /// The directory.
        path: PathBuf,
    },
    /// The cgroup did not freeze in time; it has been thawed again.
    #[error("{}: not frozen after {deadline:?} (thawed again): {}", path.display(), Tasks(unfrozen))]
    FreezeTimeout {
        /// The directory.
        path: PathBuf,
        /// How long it was waited for.
        deadline: Duration,
        /// The tasks that were not frozen.
        unfrozen: Vec<Task>,
    },
    /// Somebody else has thawed the cgroup before it was frozen.
    #[error("{}: thawed by somebody else before it was frozen", path.display())]
    Thawed {
        /// The directory.
        path: PathBuf,
    },
    /// The cgroup did not become empty in time.
    #[error("{}: still has processes after {deadline:?}: {}", path.display(), Tasks(left))]
    EmptyTimeout {
        /// The directory.
        path: PathBuf,
        /// How long it was waited for.
        deadline: Duration,
        /// Who is left.
        left: Vec<Task>,
    },
    /// A cgroup could not be removed since it, or one below it, is in use.
    #[error("rmdir {}: in use by {pids:?}; hint: end these processes first", path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
        /// Its processes.
        pids: Vec<i32>,
    },
    /// The device program could not be loaded or attached.
    #[error("{call} of the device program for {}: {errno}{}{}", path.display(), Log(log), Hint(hint))]
    Device {
        /// The bpf(2) command.
        call: &'static str,
        /// The cgroup.
        path: PathBuf,
        /// The kernel's answer.
        errno: Errno,
        /// What the verifier said, or nothing.
        log: String,
        /// A way out, or nothing.
        hint: &'static str,
    },
}

/// A task that did not freeze or end, and what it was doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its thread id.
    pub tid: i32,
    /// Its name.
    pub name: String,
    /// Its state letter, as in `/proc/PID/stat`: `D` waits in the kernel and cannot be interrupted.
    pub state: char,
    /// The kernel function it waits in, or `0`.
    pub wchan: String,
}

struct Hint<'a>(&'a str);

impl std::fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "; hint: {}", self.0) }
    }
}

struct From<'a>(&'a str);

impl std::fmt::Display for From<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " (asked for by {})", self.0) }
    }
}

struct Log<'a>(&'a str);

impl std::fmt::Display for Log<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

struct Tasks<'a>(&'a [Task]);

impl std::fmt::Display for Tasks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no task looks like it, but the kernel says so");
        }
        for (i, t) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}task {} ({}) is in state {} in {}", t.tid, t.name, t.state, t.wchan)?;
        }
        Ok(())
    }
}

impl Error {
    /// The kernel's answer, where there is one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Call { errno, .. }
            | Self::Write { errno, .. }
            | Self::NotDelegated { errno, .. }
            | Self::Device { errno, .. } => Some(*errno),
            _ => None,
        }
    }

    /// Whether the caller lacks rights, or the file system is read-only.
    pub fn is_denial(&self) -> bool {
        matches!(self.errno(), Some(Errno::EACCES | Errno::EPERM | Errno::EROFS))
    }
}
