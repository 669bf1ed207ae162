//! The runtime: what all commands have in common.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::OnceLock;

use orlop_cgroups::{Cgroup, Layout};
use orlop_spec::{Document, Status};

use crate::error::{Error, Result};
use crate::id::ContainerId;
use crate::liveness;
use crate::options::Settings;
use crate::owner::Standing;
use crate::state::StateFile;
use crate::store::{StateDir, Store, in_user_namespace};

/// A container runtime: a state store and a way to make cgroups.
///
/// Each command is a method; the files `create.rs`, `start.rs`, `exec.rs`, `kill.rs`, `delete.rs`, `freeze.rs` and
/// `inspect.rs`, `update.rs`, `events.rs`, `mounts.rs` have one or two each.
#[derive(Debug)]
pub struct Runtime {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    layout: OnceLock<Layout>,
    in_user_namespace: OnceLock<bool>,
}

impl Runtime {
    /// Where the state of containers is.
    pub fn root(&self) -> &Path {
        self.store.root()
    }

    /// A runtime with these settings. Nothing is opened or asked yet.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`]: no usable root.
    pub fn new(settings: Settings) -> Result<Self> {
        let store = Store::open(settings.root.as_deref())?;
        Ok(Self { store, settings, layout: OnceLock::new(), in_user_namespace: OnceLock::new() })
    }

    /// Where this host keeps its cgroups.
    pub(crate) fn layout(&self) -> Result<&Layout> {
        if let Some(layout) = self.layout.get() {
            return Ok(layout);
        }
        let found = Layout::detect()?;
        Ok(self.layout.get_or_init(|| found))
    }

    /// Whether we are in a user namespace other than the initial one.
    pub(crate) fn in_user_namespace(&self) -> bool {
        *self.in_user_namespace.get_or_init(in_user_namespace)
    }

    /// Whether a lack of rights over cgroups is forgiven.
    pub(crate) fn is_rootless(&self) -> bool {
        let is_root = || nix::unistd::geteuid().is_root() && !self.in_user_namespace();
        self.settings.rootless.unwrap_or_else(|| !is_root())
    }

    /// What is known of a container.
    pub(crate) fn load(&self, id: &ContainerId) -> Result<Container> {
        let dir = self.store.find(id)?;
        let saved = dir.read_state()?;
        Ok(Container { dir, saved })
    }
}

/// A container that exists: its state directory, and what is saved there.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) dir: StateDir,
    pub(crate) saved: StateFile,
}

/// What was found of a container.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Where it is in its life.
    pub(crate) status: Status,
    /// Its first process, if that lives.
    pub(crate) process: Option<OwnedFd>,
    /// Its cgroup, as [`Container::cgroup`]; only of one that runs, waits for `start`, or is paused.
    pub(crate) cgroup: Option<Cgroup>,
}

impl Container {
    /// Where it is in its life.
    pub(crate) fn status(&self) -> Result<Status> {
        self.look().map(|seen| seen.status)
    }

    /// Where it is in its life, and what of it was found on the way.
    pub(crate) fn look(&self) -> Result<Seen> {
        let process = self.saved.process.map(|process| process.open()).transpose()?.flatten();
        let mut status = liveness::status_if(&self.saved, &self.dir, process.is_some())?;
        let can_be_paused = matches!(status, Status::Running | Status::Created);
        let cgroup = if can_be_paused { self.cgroup()? } else { None };
        if cgroup.as_ref().is_some_and(|cgroup| cgroup.is_frozen().unwrap_or(false)) {
            status = Status::Paused;
        }
        Ok(Seen { status, process, cgroup })
    }

    /// Its cgroup, or `None` if it has none, it is gone, or what is there is another's.
    pub(crate) fn cgroup(&self) -> Result<Option<Cgroup>> {
        let Some(cgroup) = self.found_cgroup()? else { return Ok(None) };
        Ok((self.standing(&cgroup)? == Standing::Own).then_some(cgroup))
    }

    /// What is where its cgroup is to be.
    pub(crate) fn found_cgroup(&self) -> Result<Option<Cgroup>> {
        let Some(location) = self.saved.cgroups.location() else { return Ok(None) };
        match Cgroup::open(&location) {
            Ok(cgroup) => Ok(Some(cgroup)),
            Err(e) if e.errno() == Some(nix::errno::Errno::ENOENT) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Its cgroup, for what cannot be done without one.
    pub(crate) fn own_cgroup(&self) -> Result<Cgroup> {
        self.cgroup()?.ok_or_else(|| Error::Cgroup {
            what: format!("container {:?} has no cgroup of its own", self.saved.id),
            hint: Some("as another user than root, run it in a cgroup that is delegated to you".into()),
        })
    }

    /// The config it was made with, and the limits that `update` gave it. Later changes of the bundle have no effect
    /// (`runtime.md#lifecycle`).
    pub(crate) fn config(&self) -> Result<Document> {
        Document::parse(self.dir.read_config()?).map_err(|e| Error::State {
            path: self.dir.config_path(),
            why: e.errors.first().map(ToString::to_string).unwrap_or_default(),
        })
    }
}
