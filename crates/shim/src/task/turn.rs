//! Calls that change a container as a whole wait for one another. A containerd that was killed and is back asks what there
//! is, and takes away what it does not want, while the shim may still be at what it was asked for before; refused then, it
//! would forget the shim.

use std::time::{Duration, Instant};

use orlop_protobuf::Message as _;

use super::{ProcessId, Task};
use crate::messages::task::{PidsRequest, StateRequest};
use crate::server::{Call, Server, Source};
use crate::ttrpc::{Code, Failure, Request};

/// How long a call waits for its turn: longer than Delete may wait for output. But a hook may hang, and containerd, which
/// asks one shim after the other when it comes back, must not.
const TURN: Duration = Duration::from_secs(15);
/// More calls than these do not wait for one container: each holds its argument.
const MOST: usize = 64;

impl Task {
    /// Whether a call has to wait for the one that is under way.
    fn comes_later(&self, method: &str) -> bool {
        match method {
            "Delete" | "Start" | "Pause" | "Resume" | "Update" | "Checkpoint" => self.busy,
            // containerd takes a shim without processes for one that was left behind.
            "Pids" => self.is_being_made(),
            _ => false,
        }
    }

    fn is_changed_by_another(&self) -> Failure {
        let why = format!("container {:?} is being changed by another call", self.id.as_str());
        Failure::new(Code::FailedPrecondition, why)
    }

    /// Marks that a job is about to change it.
    pub(super) fn begin(&mut self) -> Result<(), Failure> {
        if std::mem::replace(&mut self.busy, true) { Err(self.is_changed_by_another()) } else { Ok(()) }
    }
}

impl Server {
    /// The call, if it can be done now; else it is kept for later.
    pub(crate) fn now_or_later(&mut self, call: Call, request: Request) -> Option<Request> {
        let Some(task) = whole_container(&request).and_then(|id| self.tasks.get_mut(&id)) else {
            return Some(request);
        };
        if !task.comes_later(&request.method) || task.later.len() >= MOST {
            return Some(request);
        }
        task.later.push((call, request));
        self.reactor.at(Instant::now() + TURN, Source::Turn(call));
        None
    }

    /// The job that changed a container is done: what waited for that is done now.
    pub(super) fn turn_over(&mut self, id: &ProcessId) {
        let Some(task) = self.tasks.get_mut(&id.container) else { return };
        task.busy = false;
        let later = std::mem::take(&mut task.later);
        self.now(later);
    }

    /// Does what has waited; to one of them it may be too early again.
    pub(super) fn now(&mut self, later: Vec<(Call, Request)>) {
        for (call, request) in later {
            self.again(call, request);
        }
    }

    /// A call has waited long enough.
    pub(crate) fn no_turn(&mut self, call: Call) {
        let waiting = |task: &&mut Task| task.later.iter().any(|(waiting, _)| *waiting == call);
        if let Some(task) = self.tasks.values_mut().find(waiting) {
            task.later.retain(|(waiting, _)| *waiting != call);
            let failure = task.is_changed_by_another();
            self.answer(call, Err(failure));
        }
    }
}

/// The container that a call is about, unless it is about an added process.
fn whole_container(request: &Request) -> Option<String> {
    match request.method.as_str() {
        "Delete" | "Start" => {
            let which = StateRequest::decode(&request.payload).ok()?;
            which.exec_id.is_empty().then_some(which.id)
        }
        _ => PidsRequest::decode(&request.payload).ok().map(|which| which.id),
    }
}
