//! Delete: the end of a container, or of an added process, for containerd too.
//!
//! What a process wrote before its end is delivered, as long as somebody reads it. But its children may hold its output
//! open for as long as they like, and a reader may have gone to sleep; so the answer waits
//!
//! - for the end of the output, at most [`CHILDREN`];
//! - if something is still waiting to be read then, for the reader, at most [`READER`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Exit, Phase, ProcessId, process, task, wrong_phase};
use crate::messages::Timestamp;
use crate::messages::events::TaskDelete;
use crate::messages::task::{DeleteRequest, DeleteResponse};
use crate::rootfs;
use crate::server::{Answer, Call, Server, Source, done};
use crate::ttrpc::{Failure, Result};

/// How long output of those is waited for who outlive a process.
const CHILDREN: Duration = Duration::from_secs(1);
/// How long a reader may take who does not read.
const READER: Duration = Duration::from_secs(10);

/// A process that is being deleted.
#[derive(Debug)]
pub(crate) struct Deleting {
    call: Call,
    since: Instant,
    /// Its output has ended, or is not waited for any more.
    quiet: bool,
}

impl Server {
    pub(crate) fn delete(&mut self, call: Call, request: &DeleteRequest) -> Answer {
        let id = ProcessId::new(&request.id, &request.exec_id);
        let task = task(&mut self.tasks, &id.container)?;
        if id.is_first() {
            match task.init.phase {
                Phase::Ended(_) | Phase::Created => {}
                _ => return Err(wrong_phase("delete", &id, "has not ended")),
            }
            task.begin()?;
        }
        let process = process(&mut self.tasks, &id)?;
        if matches!(process.phase, Phase::Starting | Phase::Running) {
            return Err(wrong_phase("delete", &id, "has not ended"));
        }
        if process.deleting.is_some() {
            return Err(wrong_phase("delete", &id, "is being deleted already"));
        }
        // A container that was never started has nothing to say.
        let quiet = process.exit().is_none();
        process.deleting = Some(Deleting { call, since: Instant::now(), quiet });
        self.reactor.at(Instant::now() + CHILDREN, Source::Drained(id.clone()));
        self.go_on_deleting(&id);
        Ok(None)
    }

    /// Its output has been waited for.
    pub(crate) fn drained(&mut self, id: &ProcessId) {
        let Ok(process) = process(&mut self.tasks, id) else { return };
        let Some(since) = process.deleting.as_ref().filter(|deleting| !deleting.quiet).map(|d| d.since)
        else {
            return;
        };
        let outputs = process.outputs.clone();
        if since.elapsed() < CHILDREN {
            return; // the moment was another's, of the same name
        }
        if outputs.iter().any(|output| self.is_stuck(*output)) && since.elapsed() < READER {
            return self.reactor.at(Instant::now() + CHILDREN, Source::Drained(id.clone()));
        }
        tracing::info!("{}: output that somebody else holds open is cut off", id.name());
        if let Ok(process) = super::process(&mut self.tasks, id) {
            process.deleting.iter_mut().for_each(|deleting| deleting.quiet = true);
        }
        self.go_on_deleting(id);
    }

    /// Deletes a process, if it is to be deleted and its output has ended.
    pub(super) fn go_on_deleting(&mut self, id: &ProcessId) {
        let Ok(process) = process(&mut self.tasks, id) else { return };
        let Some(deleting) = &process.deleting else { return };
        if !deleting.quiet && !process.outputs.is_empty() {
            return;
        }
        let Some(Deleting { call, .. }) = process.deleting.take() else { return };
        let flows = std::mem::take(&mut process.outputs).into_iter().chain(process.input.take());
        for flow in flows.collect::<Vec<_>>() {
            self.drop_flow(flow);
        }
        let logger = super::process(&mut self.tasks, id).ok().and_then(|process| process.logger.take());
        if let Some(logger) = logger {
            // Nobody waits for that.
            self.jobs.start(move || logger.finish(), |_: &mut Self, ()| {});
        }
        if id.is_first() { self.delete_container(Some(call), id) } else { self.delete_added(call, id) }
    }

    fn delete_added(&mut self, call: Call, id: &ProcessId) {
        let removed = task(&mut self.tasks, &id.container).ok().and_then(|task| task.execs.remove(&id.exec));
        let Some(process) = removed else { return };
        // One that was never started has not ended either.
        let exit = process.exit().unwrap_or_else(|| Exit::now(0));
        self.answer(call, done(&response(process.pid, exit)));
    }

    /// Takes a container away that nobody can ask for any more.
    pub(crate) fn take_away(&mut self, container: &str) {
        if task(&mut self.tasks, container).is_ok_and(|task| task.begin().is_ok()) {
            self.delete_container(None, &ProcessId::new(container, ""));
        }
    }

    /// Deletes it for a call, or because nobody knows it any more.
    fn delete_container(&mut self, call: Option<Call>, id: &ProcessId) {
        let Ok(task) = task(&mut self.tasks, &id.container) else { return };
        let (runtime, container, rootfs) =
            (Arc::clone(&task.runtime), task.id.clone(), task.bundle.join("rootfs"));
        let delete = move || {
            runtime.delete(&container, true)?;
            rootfs::unmount_all(&rootfs)
                .map_err(crate::stdio::failed(format!("unmount {}", rootfs.display())))
        };
        let id = id.clone();
        self.jobs.start(delete, move |server: &mut Self, deleted| server.deleted(call, &id, deleted));
    }

    fn deleted(&mut self, call: Option<Call>, id: &ProcessId, deleted: Result<()>) {
        if deleted.is_ok() {
            // One that was never started has just been killed.
            self.process_ended(id);
        }
        let Ok(task) = task(&mut self.tasks, &id.container) else { return };
        if let Err(failure) = deleted {
            self.answer_deleter(call, Err(failure));
            return self.turn_over(id);
        }
        let pid = task.init.pid;
        // What was to be restored never had a process that could be killed.
        let exit = task.init.exit().unwrap_or_else(|| Exit::now(if pid == 0 { 0 } else { 137 }));
        self.forget_memory(&id.container);
        let mut later = Vec::new();
        if let Some(mut task) = self.tasks.remove(&id.container) {
            later.append(&mut task.later);
            for waiting in task.execs.into_values().chain([task.init]).flat_map(|process| process.waiting) {
                self.answer(
                    waiting,
                    Err(Failure::new(crate::ttrpc::Code::NotFound, "the container was deleted")),
                );
            }
        }
        self.publish(&TaskDelete {
            container_id: id.container.clone(),
            pid: pid as u32,
            exit_status: exit.status,
            exited_at: Some(Timestamp::from(exit.at)),
            id: String::new(),
        });
        self.answer_deleter(call, done(&response(pid, exit)));
        self.now(later);
        self.emptied();
    }

    /// If it was nobody's wish, nobody is there.
    fn answer_deleter(&mut self, call: Option<Call>, result: Result<Vec<u8>>) {
        match (call, result) {
            (Some(call), result) => self.answer(call, result),
            (None, Ok(_)) => self.maybe_deserted(),
            (None, Err(failure)) => {
                tracing::warn!("{}", failure.message);
                self.look_again();
            }
        }
    }
}

fn response(pid: i32, exit: Exit) -> DeleteResponse {
    DeleteResponse { pid: pid as u32, exit_status: exit.status, exited_at: Some(Timestamp::from(exit.at)) }
}
