//! What a supervised container was asked to be.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::health::HealthCheck;
use super::policy::RestartPolicy;
use crate::error::{Error, Result};
use crate::options::{CgroupManager, CreateOptions};
use crate::store::StateDir;

const FILE: &str = "supervise.json";

/// How a container is to be supervised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Supervision {
    /// What happens when it has ended.
    pub restart: RestartPolicy,
    /// What happens with its output; `None` throws it away.
    pub logging: Option<Logging>,
    /// How its health is checked, if it is.
    pub health: Option<HealthCheck>,
    /// It is deleted when it has ended for good.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub remove: bool,
}

/// How output is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Logging {
    /// How large a file may become, in bytes, before the next one is begun; `None` is any size.
    pub max_size: Option<u64>,
    /// How many files are kept, at least one.
    pub max_files: u32,
}

impl Default for Logging {
    /// State is usually kept in memory: 30 MB and no more.
    fn default() -> Self {
        Self { max_size: Some(10 << 20), max_files: 3 }
    }
}

/// All that a supervisor has to know to run the container, now and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// The bundle, absolute.
    pub bundle: PathBuf,
    /// The config for the first run, absolute; later ones have the copy in the state directory.
    pub config: PathBuf,
    /// Where to write the process id, absolute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid_file: Option<PathBuf>,
    /// As [`CreateOptions::no_pivot`].
    pub no_pivot: bool,
    /// As [`CreateOptions::no_new_keyring`].
    pub no_new_keyring: bool,
    /// As [`CreateOptions::init`].
    pub init: bool,
    /// As [`CreateOptions::overlay`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<String>,
    /// Who makes its cgroup.
    pub cgroup_manager: CgroupManager,
    /// As [`crate::Settings::rootless`].
    pub rootless: Option<bool>,
    /// When it was made.
    pub created: String,
    /// How it is supervised.
    pub supervision: Supervision,
}

impl Settings {
    /// Reads them back.
    ///
    /// # Errors
    ///
    /// [`Error::NotExist`]: there are none, as it was just deleted. [`Error::State`]: they are not ours.
    pub(super) fn read(dir: &StateDir) -> Result<Self> {
        let text = dir.read(FILE)?.ok_or_else(|| dir.not_exist())?;
        serde_json::from_slice(&text)
            .map_err(|e| Error::State { path: dir.path().join(FILE), why: e.to_string() })
    }

    /// Writes them as the first file of a state directory ([`Store::claim`](crate::store::Store::claim)).
    pub(super) fn write_first(&self, dir: &StateDir) -> Result<()> {
        let text = serde_json::to_vec(self)
            .map_err(|e| Error::State { path: dir.path().join(FILE), why: e.to_string() })?;
        dir.write_new(FILE, &text)
    }

    /// What to make the container with; the first time, or again.
    pub(super) fn options(&self, dir: &StateDir, first: bool) -> CreateOptions {
        CreateOptions {
            bundle: self.bundle.clone(),
            config: Some(if first { self.config.clone() } else { dir.config_path() }),
            pid_file: self.pid_file.clone(),
            no_pivot: self.no_pivot,
            no_new_keyring: self.no_new_keyring,
            init: self.init,
            overlay: self.overlay.clone(),
            ..CreateOptions::default()
        }
    }
}
