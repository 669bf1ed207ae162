//! What has happened to a supervised container: written by its supervisor, read by everybody.

use serde::{Deserialize, Serialize};

use super::health::Health;
use super::settings::Settings;
use crate::error::{Error, Result};
use crate::liveness::Process;
use crate::runtime::Container;
use crate::store::StateDir;

const FILE: &str = "life.json";

/// What a supervisor is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Making the container.
    Starting,
    /// Waiting for its end.
    Running,
    /// Waiting for the moment of the next run.
    Restarting,
    /// Nothing more: the container has ended for good, and so has the supervisor.
    Ended,
}

/// The content of `life.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Life {
    /// The supervisor.
    pub supervisor: Process,
    /// What it is doing.
    pub phase: Phase,
    /// When the container was last started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// When it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<String>,
    /// Its exit status, 128 + n if signal n killed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// How often it was run again.
    #[serde(default)]
    pub restarts: u32,
    /// Why it could not be run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its health, if that is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
}

impl Life {
    /// That of a container which is about to be run by this supervisor.
    pub(super) fn new(supervisor: Process) -> Self {
        Self {
            supervisor,
            phase: Phase::Starting,
            started: None,
            finished: None,
            exit_code: None,
            restarts: 0,
            error: None,
            health: None,
        }
    }

    /// Reads it; `None` if there is none yet.
    pub(super) fn read(dir: &StateDir) -> Result<Option<Self>> {
        let parse = |text: Vec<u8>| {
            serde_json::from_slice(&text)
                .map_err(|e| Error::State { path: dir.path().join(FILE), why: e.to_string() })
        };
        dir.read(FILE)?.map(parse).transpose()
    }

    pub(super) fn write(&self, dir: &StateDir) -> Result<()> {
        let text = serde_json::to_vec(self)
            .map_err(|e| Error::State { path: dir.path().join(FILE), why: e.to_string() })?;
        dir.write(FILE, &text).map(drop)
    }
}

/// What `state` and `list` show of supervision.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Supervised {
    /// The supervisor's process id; 0 if there is none any more.
    pub pid: i32,
    /// What it is doing: `starting`, `running`, `restarting`, `ended`; or `lost`, if it was killed: then nobody restarts
    /// the container, and nobody knows how it ended.
    pub status: &'static str,
    /// The policy.
    pub restart_policy: String,
    /// How often the container was run again.
    pub restarts: u32,
    /// When it was last started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// When it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<String>,
    /// Its exit status, if it has ended and that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Why it could not be run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its health, if that is checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
}

impl Container {
    /// What its supervisor has recorded; `None` if it has none.
    pub(crate) fn supervised(&self) -> Result<Option<Supervised>> {
        let Some(life) = self.life()? else { return Ok(None) };
        let policy = Settings::read(&self.dir)?.supervision.restart;
        let lives = life.supervisor.is_alive()?;
        Ok(Some(Supervised {
            pid: if lives { life.supervisor.pid } else { 0 },
            status: match life.phase {
                Phase::Ended => "ended",
                _ if !lives => "lost",
                Phase::Starting => "starting",
                Phase::Running => "running",
                Phase::Restarting => "restarting",
            },
            restart_policy: policy.to_string(),
            restarts: life.restarts,
            started: life.started,
            finished: life.finished,
            exit_code: life.exit_code,
            error: life.error,
            health: life.health,
        }))
    }

    /// The same as it is written; `None` if it has no supervisor.
    pub(crate) fn life(&self) -> Result<Option<Life>> {
        if self.saved.supervised { Life::read(&self.dir) } else { Ok(None) }
    }

    /// The same, for what makes sense for supervised containers only.
    pub(super) fn own_life(&self) -> Result<Life> {
        self.life()?.ok_or_else(|| {
            Error::usage(format!(
                "container {:?} has no supervisor, so nobody keeps its output and how it ended; `orlop run -d --supervise` \
                 gives it one",
                self.saved.id
            ))
        })
    }
}
