//! What containers have left behind: finding it, which changes nothing, and removing it (`gc`).
//!
//! Only what is ours for certain is found: what lies in our own root of state, and cgroups with the mark of a container of
//! that root. What somebody may still be at work on is none: a state directory that any process has open is left alone.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use orlop_cgroups::{Cgroup, Location, Place};
use orlop_spec::Status;
use serde::Serialize;

use crate::error::{Doing, Error, Result};
use crate::id::ContainerId;
use crate::liveness;
use crate::owner;
use crate::runtime::Runtime;
use crate::store::StateDir;

/// For so long nobody has touched a state directory without a state: whoever has made it a moment ago may not have opened it.
const AGE: Duration = Duration::from_secs(60);

/// Something that is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// What kind of thing it is.
    pub kind: Kind,
    /// Where it is.
    pub path: PathBuf,
    /// The container that it was made for.
    pub id: String,
    /// Why it is taken for a leftover.
    pub why: String,
    /// Processes that are in it; then it is not removed, as nobody knows any more what they are for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<i32>,
}

/// Kinds of things that are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A state directory: with it goes all that its state knows of.
    State,
    /// A file that was to replace another one.
    File,
    /// A cgroup whose container has no state any more.
    Cgroup,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::State => "state",
            Self::File => "file",
            Self::Cgroup => "cgroup",
        })
    }
}

impl Runtime {
    /// What is left of containers, in the order in which it can be removed. With `stopped`, containers that have ended count,
    /// too, though whoever made them may still want to delete them.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`], [`Error::Cgroup`]: something cannot be read.
    pub fn leftovers(&self, stopped: bool) -> Result<Vec<Leftover>> {
        let mut found = Vec::new();
        let open = open_directories();
        let ids = match self.store.list() {
            // Cgroups may be left of containers whose root is gone as a whole.
            Err(e) if e.errno() == Some(libc::ENOENT) => Vec::new(),
            ids => ids?,
        };
        for id in ids {
            let dir = match self.store.find(&id) {
                Err(Error::NotExist { .. }) => continue,
                dir => dir?,
            };
            let meta = std::fs::metadata(dir.path());
            let meta = meta.doing(|| format!("look at {}", dir.path().display()))?;
            if open.contains(&(meta.dev(), meta.ino())) {
                continue;
            }
            let leftover = |kind, path: &Path, why: String| Leftover {
                kind,
                path: path.to_owned(),
                id: id.to_string(),
                why,
                processes: Vec::new(),
            };
            match why_over(&dir, stopped)? {
                Some(why) => found.push(leftover(Kind::State, dir.path(), why)),
                None => found.extend(drafts(&dir)?.into_iter().map(|path| {
                    leftover(Kind::File, &path, "the command that was writing it was killed".to_owned())
                })),
            }
        }
        found.extend(self.lost_cgroups()?);
        Ok(found)
    }

    /// Removes a leftover. One that is gone already counts as removed.
    ///
    /// # Errors
    ///
    /// As [`Runtime::delete`]; [`Error::Cgroup`]: processes are in it.
    pub fn remove_leftover(&self, leftover: &Leftover) -> Result<()> {
        match leftover.kind {
            Kind::State => self.delete(&ContainerId::new(&leftover.id)?, true),
            Kind::File => match std::fs::remove_file(&leftover.path) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
                removed => removed.doing(|| format!("remove {}", leftover.path.display())),
            },
            Kind::Cgroup if leftover.processes.is_empty() => {
                let (parent, name) = (leftover.path.parent(), leftover.path.file_name());
                let Some((parent, name)) = parent.zip(name) else { return Ok(()) };
                let v2 = Place { mount: parent.to_owned(), inner: name.into() };
                Ok(Cgroup::remove_at(&Location { v2, v1: Vec::new() })?)
            }
            Kind::Cgroup => Err(Error::Cgroup {
                what: format!("{}: processes are in it: {:?}", leftover.path.display(), leftover.processes),
                hint: Some("find out what they are; writing 1 to its cgroup.kill ends them".into()),
            }),
        }
    }

    /// Cgroups with the mark of a container of our root that is not there any more.
    fn lost_cgroups(&self) -> Result<Vec<Leftover>> {
        let mut found = Vec::new();
        for (place, mark) in orlop_cgroups::marked(self.layout()?)? {
            let Some(dir) = owner::state_directory(&mark.owner) else { continue };
            // Containers of other roots may be alive where we cannot look: their path may mean something else there.
            if dir.parent() != Some(self.store.root()) || !owner::is_gone(&mark.owner) {
                continue;
            }
            found.push(Leftover {
                kind: Kind::Cgroup,
                path: place.path(),
                id: dir.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                why: format!("the state of its container, {}, is gone", dir.display()),
                processes: Cgroup::procs_at(&place)?,
            });
        }
        Ok(found)
    }
}

/// Why a state directory that nobody has open is a leftover, if it is one.
fn why_over(dir: &StateDir, stopped: bool) -> Result<Option<String>> {
    let saved = match dir.read_state() {
        Ok(saved) => saved,
        Err(Error::NotExist { .. }) if is_old(dir.path()) => {
            return Ok(Some("create or delete was killed: there is no state in it".to_owned()));
        }
        Err(Error::NotExist { .. }) => return Ok(None),
        Err(e) => return Err(e),
    };
    let supervised = saved.supervised;
    Ok(match liveness::status(&saved, dir)? {
        // Who makes a container has its state directory open until it is made.
        Status::Creating => Some("create was killed".to_owned()),
        Status::Stopped if !saved.bundle.exists() => {
            Some(format!("it has ended, and its bundle {} is gone", saved.bundle.display()))
        }
        Status::Stopped if stopped && !supervised => Some("it has ended".to_owned()),
        _ => None,
    })
}

fn is_old(path: &Path) -> bool {
    let changed = std::fs::metadata(path).and_then(|meta| meta.modified());
    changed.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > AGE))
}

/// What commands that were killed have left of files that they were writing.
fn drafts(dir: &StateDir) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir.path()).doing(|| format!("list {}", dir.path().display()))?;
    let is_draft = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let pid = name.strip_prefix('.').and_then(|name| name.rsplit_once('.')).map(|(_, pid)| pid);
        pid.and_then(|pid| pid.parse::<i32>().ok()).is_some()
    };
    Ok(entries.flatten().map(|entry| entry.path()).filter(is_draft).collect())
}

/// The directories that other processes have open, as far as we may look: device and inode.
fn open_directories() -> BTreeSet<(u64, u64)> {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let others = processes.filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name != own && name.bytes().all(|b| b.is_ascii_digit())
    });
    let descriptors =
        others.flat_map(|entry| std::fs::read_dir(entry.path().join("fd")).into_iter().flatten());
    let open = descriptors.flatten().filter_map(|entry| std::fs::metadata(entry.path()).ok());
    open.filter(std::fs::Metadata::is_dir).map(|meta| (meta.dev(), meta.ino())).collect()
}
