//! Which method is which function.

use orlop_protobuf::Message;

use super::{Answer, Call, Server};
use crate::messages::sandbox::{
    CreateSandboxRequest, SandboxRequest, SandboxStatusRequest, StopSandboxRequest,
};
use crate::messages::task::{
    CheckpointTaskRequest, CloseIORequest, ConnectRequest, CreateTaskRequest, DeleteRequest,
    ExecProcessRequest, KillRequest, PauseRequest, PidsRequest, ResizePtyRequest, ResumeRequest,
    StartRequest, StateRequest, StatsRequest, UpdateTaskRequest, WaitRequest,
};
use crate::sandbox::platform;
use crate::ttrpc::{Code, Failure, Request, Result};

/// The services, which are the same: a daemon speaks the older one to what it took over from an older one.
const SERVICES: [&str; 2] = ["containerd.task.v2.Task", "containerd.task.v3.Task"];

/// Pods.
const SANDBOX: &str = "containerd.runtime.sandbox.v1.Sandbox";

impl Server {
    pub(super) fn dispatch(&mut self, call: Call, request: &Request) -> Answer {
        if self.is_quitting() && ["Create", "CreateSandbox"].contains(&request.method.as_str()) {
            return Err(Failure::new(Code::Unavailable, "this shim is about to end"));
        }
        if request.service == SANDBOX {
            return self.dispatch_sandbox(call, request);
        }
        if !SERVICES.contains(&request.service.as_str()) {
            return Err(Failure::new(
                Code::Unimplemented,
                format!("there is no service {:?}", request.service),
            ));
        }
        let payload = &request.payload;
        match request.method.as_str() {
            "Create" => self.create(call, read::<CreateTaskRequest>(payload)?),
            "Start" => self.start(call, &read::<StartRequest>(payload)?),
            "Delete" => self.delete(call, &read::<DeleteRequest>(payload)?),
            "Exec" => self.exec(read::<ExecProcessRequest>(payload)?),
            "State" => self.state(&read::<StateRequest>(payload)?),
            "Pids" => self.pids(&read::<PidsRequest>(payload)?.id),
            "Pause" => self.pause(call, read::<PauseRequest>(payload)?.id, true),
            "Resume" => self.pause(call, read::<ResumeRequest>(payload)?.id, false),
            "Checkpoint" => self.checkpoint(call, read::<CheckpointTaskRequest>(payload)?),
            "Kill" => self.kill(&read::<KillRequest>(payload)?),
            "ResizePty" => self.resize(&read::<ResizePtyRequest>(payload)?),
            "CloseIO" => self.close_io(&read::<CloseIORequest>(payload)?),
            "Update" => self.update(call, read::<UpdateTaskRequest>(payload)?),
            "Wait" => self.wait(call, &read::<WaitRequest>(payload)?),
            "Stats" => self.stats(&read::<StatsRequest>(payload)?.id),
            "Connect" => self.connect(&read::<ConnectRequest>(payload)?.id),
            "Shutdown" => self.shutdown(),
            method => Err(no_method(method)),
        }
    }

    fn dispatch_sandbox(&mut self, call: Call, request: &Request) -> Answer {
        let payload = &request.payload;
        let id = || read::<SandboxRequest>(payload).map(|request| request.sandbox_id);
        match request.method.as_str() {
            "CreateSandbox" => self.create_sandbox(&read::<CreateSandboxRequest>(payload)?),
            "StartSandbox" => self.start_sandbox(call, &id()?),
            "Platform" => platform(),
            "StopSandbox" => self.stop_sandbox(call, &read::<StopSandboxRequest>(payload)?),
            "WaitSandbox" => self.wait_sandbox(call, &id()?),
            "SandboxStatus" => self.sandbox_status(&read::<SandboxStatusRequest>(payload)?),
            "PingSandbox" => self.ping_sandbox(&id()?),
            "ShutdownSandbox" => self.shutdown_sandbox(call, &id()?),
            "SandboxMetrics" => self.sandbox_metrics(&id()?),
            method => Err(no_method(method)),
        }
    }
}

fn no_method(method: &str) -> Failure {
    Failure::new(Code::Unimplemented, format!("there is no method {method:?}"))
}

fn read<M: Message>(payload: &[u8]) -> Result<M> {
    M::decode(payload).map_err(|e| Failure::new(Code::InvalidArgument, format!("the argument is {e}")))
}
