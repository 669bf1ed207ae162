//! Pause, Resume, Update, Shutdown.

use std::sync::Arc;

use orlop_runtime::{ContainerId, ResourcesSource, Runtime};
use orlop_spec::ResourcesDocument;

use super::{Phase, ProcessId, task, wrong_phase};
use crate::messages::events::{TaskPaused, TaskResumed};
use crate::messages::task::UpdateTaskRequest;
use crate::server::{Answer, Call, Server, empty};
use crate::ttrpc::{Code, Failure, Result};

impl Server {
    /// Freezes a container, or lets it go on.
    pub(crate) fn pause(&mut self, call: Call, id: String, pause: bool) -> Answer {
        let task = task(&mut self.tasks, &id)?;
        if !matches!(task.init.phase, Phase::Created | Phase::Running) {
            let doing = if pause { "pause" } else { "resume" };
            return Err(wrong_phase(doing, &ProcessId::new(&id, ""), "does not run"));
        }
        task.begin()?;
        let (runtime, container) = (Arc::clone(&task.runtime), task.id.clone());
        // From now on no process is started in it.
        task.paused = true;
        let change = move || freeze(&runtime, &container, pause);
        self.jobs.start(change, move |server: &mut Self, changed| {
            let Ok(task) = super::task(&mut server.tasks, &id) else { return };
            task.paused = pause == changed.is_ok();
            match (&changed, pause) {
                (Ok(()), true) => server.publish(&TaskPaused { container_id: id.clone() }),
                (Ok(()), false) => server.publish(&TaskResumed { container_id: id.clone() }),
                (Err(_), _) => {}
            }
            server.answer(call, changed.map(|()| Vec::new()));
            server.turn_over(&ProcessId::new(&id, ""));
        });
        Ok(None)
    }

    pub(crate) fn update(&mut self, call: Call, request: UpdateTaskRequest) -> Answer {
        let task = task(&mut self.tasks, &request.id)?;
        let text = request.resources.unwrap_or_default().value;
        let limits = ResourcesDocument::parse(text).map_err(|errors| {
            let every: Vec<_> = errors.errors.iter().map(ToString::to_string).collect();
            Failure::new(Code::InvalidArgument, format!("the limits: {}", every.join("; ")))
        })?;
        let resources = ResourcesSource::Args(Box::new(limits.spec));
        task.begin()?;
        let (runtime, container) = (Arc::clone(&task.runtime), task.id.clone());
        let update = move || runtime.update(&container, &resources).map_err(Failure::from);
        self.jobs.start(update, move |server: &mut Self, updated| {
            if let Ok(task) = super::task(&mut server.tasks, &request.id) {
                // It may have directories that it did not have before.
                task.cgroup = task.runtime.cgroup(&task.id).unwrap_or_default();
            }
            server.answer(call, updated.map(|()| Vec::new()));
            server.turn_over(&ProcessId::new(&request.id, ""));
        });
        Ok(None)
    }

    /// Ends, if nothing is left to do; else there will be another call.
    pub(crate) fn shutdown(&mut self) -> Answer {
        // A pod ends by a call of its own.
        if self.tasks.is_empty() && self.sandbox.is_none() {
            self.quit();
        }
        empty()
    }
}

fn freeze(runtime: &Runtime, container: &ContainerId, pause: bool) -> Result<()> {
    let frozen = if pause { runtime.pause(container) } else { runtime.resume(container) };
    frozen.map_err(Failure::from)
}
