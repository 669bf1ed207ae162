//! Exec: another process in a container; and its start.

use std::sync::Arc;

use orlop_runtime::{ContainerId, ExecOptions, Held, ProcessSource, Runtime};
use serde_json::Value;

use super::{Exit, Phase, Process, ProcessId, process, task, with_streams, wrong_phase};
use crate::messages::events::{TaskExecAdded, TaskExecStarted};
use crate::messages::task::{ExecProcessRequest, StartResponse};
use crate::server::{Answer, Call, Server, done, empty};
use crate::stdio::{Addresses, Streams, Whose};
use crate::ttrpc::{Code, Failure, Result};

impl Server {
    pub(crate) fn exec(&mut self, request: ExecProcessRequest) -> Answer {
        let id = ProcessId::new(&request.id, &request.exec_id);
        let task = task(&mut self.tasks, &id.container)?;
        // The name is a word in events and messages only, but it should be one.
        ContainerId::new(&id.exec)?;
        if task.execs.contains_key(&id.exec) {
            return Err(Failure::new(Code::AlreadyExists, format!("process {:?} already exists", id.exec)));
        }
        if task.init.exit().is_some() {
            return Err(wrong_phase("add a process to", &ProcessId::new(&id.container, ""), "has ended"));
        }
        let spec = description(&request)?;
        let ExecProcessRequest { terminal, stdin, stdout, stderr, .. } = request;
        let addresses = Addresses { stdin, stdout, stderr, terminal };
        task.execs.insert(id.exec.clone(), Process::new(addresses, Phase::Added(spec)));
        self.publish(&TaskExecAdded { container_id: id.container, exec_id: id.exec });
        empty()
    }

    pub(super) fn start_added(&mut self, call: Call, id: ProcessId) -> Answer {
        let task = task(&mut self.tasks, &id.container)?;
        let (runtime, container, options) =
            (Arc::clone(&task.runtime), task.id.clone(), task.options.clone());
        let phase = &task.init.phase;
        // A paused container would freeze it before it has said that it runs.
        let refused = match phase {
            Phase::Ended(_) => Some("has ended"),
            _ if task.paused => Some("is paused"),
            Phase::Running => None,
            _ => Some("does not run"),
        };
        if let Some(why) = refused {
            return Err(wrong_phase("start a process in", &ProcessId::new(&id.container, ""), why));
        }
        let process = process(&mut self.tasks, &id)?;
        let spec = match std::mem::replace(&mut process.phase, Phase::Starting) {
            Phase::Added(spec) => spec,
            other => {
                process.phase = other;
                return Err(wrong_phase("start", &id, "was started before"));
            }
        };
        let addresses = process.addresses.clone();
        let whose = self.whose(&id.container, &options);
        let launch = move || launch(&runtime, &container, spec, &addresses, &whose);
        self.jobs.start(launch, move |server: &mut Self, launched| server.started_added(call, &id, launched));
        Ok(None)
    }

    fn started_added(&mut self, call: Call, id: &ProcessId, launched: Result<(Held, Streams)>) {
        let Ok(process) = process(&mut self.tasks, id) else { return };
        let (held, streams) = match launched {
            Ok(launched) => launched,
            Err(failure) => {
                // Those who wait for its end need not wait any more.
                process.phase = Phase::Ended(Exit::now(255));
                self.tell_waiting(id);
                // The container may have ended meanwhile, and its end may have waited for this.
                self.conclude(&ProcessId::new(&id.container, ""));
                return self.answer(call, Err(failure));
            }
        };
        let pid = held.pid as u32;
        let streams = process.hold(held, streams);
        process.phase = Phase::Running;
        self.copy(id, streams);
        let (container_id, exec_id) = (id.container.clone(), id.exec.clone());
        self.publish(&TaskExecStarted { container_id, exec_id, pid });
        self.answer(call, done(&StartResponse { pid }));
        self.watch_process(id);
    }
}

/// The process that is asked for. What the request says of the terminal counts.
fn description(request: &ExecProcessRequest) -> Result<Vec<u8>> {
    let wrong = |why: String| Failure::new(Code::InvalidArgument, format!("the process to execute: {why}"));
    let any = request.spec.as_ref().ok_or_else(|| wrong("it is not described".to_owned()))?;
    let mut spec: Value = serde_json::from_slice(&any.value).map_err(|e| wrong(e.to_string()))?;
    let fields = spec.as_object_mut().ok_or_else(|| wrong(format!("no object ({})", any.type_url)))?;
    fields.insert("terminal".to_owned(), request.terminal.into());
    serde_json::to_vec(&spec).map_err(|e| wrong(e.to_string()))
}

fn launch(
    runtime: &Runtime,
    container: &ContainerId,
    spec: Vec<u8>,
    addresses: &Addresses,
    whose: &Whose,
) -> Result<(Held, Streams)> {
    let (stdio, streams) = addresses.open(whose)?;
    let options = ExecOptions {
        trace: None,
        process: ProcessSource::Text(spec),
        pid_file: None,
        pidfd_socket: None,
        console_socket: None,
        detach: true,
        preserve_fds: 0,
        ignore_paused: false,
        cgroup: Vec::new(),
    };
    let made = runtime.exec_held(container, &options, &stdio);
    with_streams(made, stdio, streams)
}
