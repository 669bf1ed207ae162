//! What cannot be done to a container in some state, and in which words.

use orlop_spec::Status;

/// What a container can be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `start`.
    Start,
    /// `exec`.
    Exec,
    /// `kill`.
    Kill,
    /// `delete` without force.
    Delete,
    /// `pause`.
    Pause,
    /// `resume`.
    Resume,
    /// `update`.
    Update,
    /// `events`.
    Events,
    /// `checkpoint`.
    Checkpoint,
    /// `mounts`.
    Mount,
}

impl Action {
    /// Why it cannot be done to a container in this state, in the words that engines know from runc.
    pub(super) fn refusal(self, id: &str, status: &Status) -> String {
        match (self, status) {
            (Self::Start, Status::Running) => format!("cannot start an already running container: {id:?}"),
            (Self::Start, Status::Stopped) => format!("cannot start a container that has stopped: {id:?}"),
            (Self::Start, Status::Paused) => format!("cannot start a paused container: {id:?}"),
            (Self::Start, _) => format!("cannot start a container in the {status} state: {id:?}"),
            (Self::Exec, Status::Stopped) => format!("cannot exec in a stopped container: {id:?}"),
            (Self::Exec, Status::Paused) => {
                format!("cannot exec in a paused container (use --ignore-paused to override): {id:?}")
            }
            (Self::Exec, _) => format!("cannot exec in a {status} container: {id:?}"),
            (Self::Kill | Self::Update | Self::Events, _) => {
                format!("container not running: {id:?} is {status}")
            }
            (Self::Mount, _) => format!("cannot change mounts of a {status} container: {id:?}"),
            (Self::Delete, _) => format!("cannot delete container {id} that is not stopped: {status}"),
            (Self::Pause, _) => format!("container not running or created: {id:?} is {status}"),
            (Self::Resume, _) => format!("container not paused: {id:?} is {status}"),
            (Self::Checkpoint, _) => format!("container cannot be checkpointed in {status} state: {id:?}"),
        }
    }
}
