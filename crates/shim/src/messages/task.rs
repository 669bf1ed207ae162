//! The Task service.

use std::collections::BTreeMap;

use super::{Any, Mount, Timestamp};
use orlop_protobuf::messages;

/// Where a process is in its life (`containerd.v1.types.Status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Unknown = 0,
    Created = 1,
    Running = 2,
    Stopped = 3,
    Paused = 4,
}

messages! {
    /// Make a container.
    CreateTaskRequest {
        1 id: String, 2 bundle: String, 3 rootfs: Vec<Mount>, 4 terminal: bool, 5 stdin: String, 6 stdout: String,
        7 stderr: String, 8 checkpoint: String, 9 parent_checkpoint: String, 10 options: Option<Any>,
    }
    /// Its first process.
    CreateTaskResponse { 1 pid: u32 }
    /// Take a container away, or an added process.
    DeleteRequest { 1 id: String, 2 exec_id: String }
    /// How it ended.
    DeleteResponse { 1 pid: u32, 2 exit_status: u32, 3 exited_at: Option<Timestamp> }
    /// Add a process, which is not started yet.
    ExecProcessRequest {
        1 id: String, 2 exec_id: String, 3 terminal: bool, 4 stdin: String, 5 stdout: String, 6 stderr: String,
        7 spec: Option<Any>,
    }
    /// Tell the size of a terminal.
    ResizePtyRequest { 1 id: String, 2 exec_id: String, 3 width: u32, 4 height: u32 }
    /// Ask for everything.
    StateRequest { 1 id: String, 2 exec_id: String }
    /// Everything.
    StateResponse {
        1 id: String, 2 bundle: String, 3 pid: u32, 4 status: i32, 5 stdin: String, 6 stdout: String, 7 stderr: String,
        8 terminal: bool, 9 exit_status: u32, 10 exited_at: Option<Timestamp>, 11 exec_id: String,
    }
    /// Send a signal.
    KillRequest { 1 id: String, 2 exec_id: String, 3 signal: u32, 4 all: bool }
    /// Close standard input.
    CloseIORequest { 1 id: String, 2 exec_id: String, 3 stdin: bool }
    /// Ask for the processes.
    PidsRequest { 1 id: String }
    /// The processes.
    PidsResponse { 1 processes: Vec<ProcessInfo> }
    /// One of them.
    ProcessInfo { 1 pid: u32, 2 info: Option<Any> }
    /// Write a container to disk.
    CheckpointTaskRequest { 1 id: String, 2 path: String, 3 options: Option<Any> }
    /// Change the limits.
    UpdateTaskRequest { 1 id: String, 2 resources: Option<Any>, 3 annotations: BTreeMap<String, String> }
    /// Start a container, or an added process.
    StartRequest { 1 id: String, 2 exec_id: String }
    /// Its process.
    StartResponse { 1 pid: u32 }
    /// Wait for the end.
    WaitRequest { 1 id: String, 2 exec_id: String }
    /// The end.
    WaitResponse { 1 exit_status: u32, 2 exited_at: Option<Timestamp> }
    /// Ask for what was used.
    StatsRequest { 1 id: String }
    /// What was used.
    StatsResponse { 1 stats: Option<Any> }
    /// Ask who is there.
    ConnectRequest { 1 id: String }
    /// We are.
    ConnectResponse { 1 shim_pid: u32, 2 task_pid: u32, 3 version: String }
    /// End, if nothing is left to do.
    ShutdownRequest { 1 id: String, 2 now: bool }
    /// Freeze.
    PauseRequest { 1 id: String }
    /// Thaw.
    ResumeRequest { 1 id: String }
}
