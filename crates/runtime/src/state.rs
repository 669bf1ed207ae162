//! What is remembered of a container between two calls of `orlop`, and what `state` and `list` show of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use orlop_cgroups::{Controllers, Location, Place};
use orlop_spec::Status;
use serde::{Deserialize, Serialize};

pub use crate::clock::now;
use crate::host_mounts::HostMounts;
use crate::liveness::Process;
use crate::rdt::RdtGroup;
use crate::supervise::Supervised;

/// The content of `state.json` in a state directory.
///
/// What the config says is not repeated here: a copy of the config is beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateFile {
    /// The version of this format: [`StateFile::FORMAT`].
    pub format: u32,
    /// The version of the spec that the config follows, as it says.
    pub oci_version: String,
    /// The container's id.
    pub id: String,
    /// The container process; absent until there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// `creating` until `create` is done, then `created`; what it is later is found out, not remembered.
    pub status: Status,
    /// The bundle directory, absolute.
    pub bundle: PathBuf,
    /// The root file system, absolute, on the host.
    pub rootfs: PathBuf,
    /// When it was made: [`now`].
    pub created: String,
    /// Who made it: the user id of the caller.
    pub owner: u32,
    /// The annotations of the config.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Its cgroups.
    #[serde(default)]
    pub cgroups: CgroupPaths,
    /// Its share of caches and memory bandwidth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rdt: Option<RdtGroup>,
    /// What it has mounted among the host's mounts, if it has no mount namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_mounts: Option<HostMounts>,
    /// Whether it was made without the rights of the host's root.
    #[serde(default)]
    pub rootless: bool,
    /// Whether its process has a terminal.
    #[serde(default)]
    pub terminal: bool,
    /// What standard input, output and error were for whoever made it, if its process got them: links of pipes, such as
    /// `pipe:[7]`, and nothing where it was anything else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub descriptors: Vec<String>,
    /// Whether it was restored into a time namespace, so that its clocks go on where they were.
    #[serde(default)]
    pub own_clocks: bool,
    /// Whether a supervisor of ours runs it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub supervised: bool,
}

impl StateFile {
    /// The version of this format that this version of orlop writes and understands.
    pub const FORMAT: u32 = 1;
}

/// The cgroups of a container: directories on the host, each as its mount point and the path below.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CgroupPaths {
    /// In the cgroup v2 hierarchy; absent if the container has no cgroup of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub v2: Option<(PathBuf, PathBuf)>,
    /// In cgroup v1 hierarchies, with their controllers as `cgroup.controllers` writes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub v1: Vec<(String, PathBuf, PathBuf)>,
    /// The unit that systemd has made them for; absent if we have made them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
}

/// A unit of systemd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// It is one of the user's own systemd.
    pub user: bool,
}

impl CgroupPaths {
    /// What to save of a cgroup.
    pub fn of(location: &Location) -> Self {
        let v1 = location.v1.iter();
        Self {
            v2: Some((location.v2.mount.clone(), location.v2.inner.clone())),
            v1: v1.map(|(used, at)| (used.to_string(), at.mount.clone(), at.inner.clone())).collect(),
            unit: None,
        }
    }

    /// The cgroup that was saved, if there is one.
    pub fn location(&self) -> Option<Location> {
        let place = |mount: &PathBuf, inner: &PathBuf| Place { mount: mount.clone(), inner: inner.clone() };
        let (mount, inner) = self.v2.as_ref()?;
        let v1 = self.v1.iter();
        Some(Location {
            v2: place(mount, inner),
            v1: v1.map(|(used, mount, inner)| (Controllers::parse(used), place(mount, inner))).collect(),
        })
    }
}

/// What `orlop state` and `orlop list` print of a container: the fields of runc, in its order.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerState {
    /// The version of the spec that its config follows.
    pub oci_version: String,
    /// Its id.
    pub id: String,
    /// Its process as the caller sees it; 0 when it is stopped.
    pub pid: i32,
    /// Where it is in its life.
    pub status: Status,
    /// The bundle directory, absolute.
    pub bundle: PathBuf,
    /// The root file system, absolute, on the host.
    pub rootfs: PathBuf,
    /// When it was made, as RFC 3339.
    pub created: String,
    /// The annotations of its config.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Who made it: a user's name, or `#` and a number; `state` leaves it empty, as runc does.
    pub owner: String,
    /// What its supervisor has recorded, if it has one.
    #[serde(rename = "supervisor", skip_serializing_if = "Option::is_none")]
    pub supervised: Option<Supervised>,
}

impl ContainerState {
    /// What is shown of a container whose state is now `status`.
    pub fn new(saved: StateFile, status: Status) -> Self {
        let pid = match (&status, saved.process) {
            (Status::Stopped, _) | (_, None) => 0,
            (_, Some(process)) => process.pid,
        };
        Self {
            oci_version: saved.oci_version,
            id: saved.id,
            pid,
            status,
            bundle: saved.bundle,
            rootfs: saved.rootfs,
            created: saved.created,
            annotations: saved.annotations,
            owner: String::new(),
            supervised: None,
        }
    }

    /// With the owner's name, as `list` shows it.
    #[must_use]
    pub(crate) fn with_owner(mut self, uid: u32, users: &Users) -> Self {
        self.owner = users.name(uid).map_or_else(|| format!("#{uid}"), str::to_owned);
        self
    }

    /// The state as hooks read it (`runtime.md#state`).
    pub fn to_oci(&self) -> orlop_spec::State {
        orlop_spec::State {
            oci_version: self.oci_version.clone(),
            id: self.id.clone(),
            status: self.status.clone(),
            pid: i64::from(self.pid),
            bundle: self.bundle.to_string_lossy().into_owned(),
            annotations: self.annotations.clone(),
        }
    }
}

/// The users that `/etc/passwd` has. Other sources of names would need the C library's plug-ins, which a static program does
/// not have.
#[derive(Debug)]
pub(crate) struct Users(String);

impl Users {
    /// Nobody, if the file cannot be read.
    pub(crate) fn read() -> Self {
        Self(std::fs::read_to_string("/etc/passwd").unwrap_or_default())
    }

    fn name(&self, uid: u32) -> Option<&str> {
        self.0.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_prints_the_fields_in_the_order_of_runc() {
        let saved = StateFile {
            format: StateFile::FORMAT,
            oci_version: "1.3.0".into(),
            id: "web".into(),
            process: Some(Process::started(7, 9)),
            status: Status::Created,
            bundle: "/b".into(),
            rootfs: "/b/rootfs".into(),
            created: "2026-01-01T00:00:00Z".into(),
            owner: 0,
            annotations: BTreeMap::new(),
            cgroups: CgroupPaths::default(),
            rdt: None,
            rootless: false,
            terminal: false,
            descriptors: Vec::new(),
            own_clocks: false,
            host_mounts: None,
            supervised: false,
        };
        let json = serde_json::to_string(&ContainerState::new(saved.clone(), Status::Running)).unwrap();
        assert_eq!(
            json,
            r#"{"ociVersion":"1.3.0","id":"web","pid":7,"status":"running","bundle":"/b","rootfs":"/b/rootfs","created":"2026-01-01T00:00:00Z","owner":""}"#
        );
        assert_eq!(ContainerState::new(saved, Status::Stopped).pid, 0);
    }

    #[test]
    fn owners_have_names() {
        let users = Users::read();
        assert_eq!(users.name(0), Some("root"));
        assert_eq!(users.name(4_000_000_001), None);
    }
}
