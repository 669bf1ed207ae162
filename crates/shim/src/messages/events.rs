//! What containerd is told without asking.

use super::{Any, Mount, Timestamp};
use orlop_protobuf::{Message, messages};

messages! {
    /// A container was made.
    TaskCreate {
        1 container_id: String, 2 bundle: String, 3 rootfs: Vec<Mount>, 4 io: Option<TaskIO>, 5 checkpoint: String, 6 pid: u32,
    }
    /// Where its streams go.
    TaskIO { 1 stdin: String, 2 stdout: String, 3 stderr: String, 4 terminal: bool }
    /// It runs.
    TaskStart { 1 container_id: String, 2 pid: u32 }
    /// It is gone.
    TaskDelete { 1 container_id: String, 2 pid: u32, 3 exit_status: u32, 4 exited_at: Option<Timestamp>, 5 id: String }
    /// A process has ended; the container's first if both ids are the same.
    TaskExit { 1 container_id: String, 2 id: String, 3 pid: u32, 4 exit_status: u32, 5 exited_at: Option<Timestamp> }
    /// A process was killed for want of memory.
    TaskOOM { 1 container_id: String }
    /// A process was added.
    TaskExecAdded { 1 container_id: String, 2 exec_id: String }
    /// It runs.
    TaskExecStarted { 1 container_id: String, 2 exec_id: String, 3 pid: u32 }
    /// Nothing in it runs.
    TaskPaused { 1 container_id: String }
    /// It goes on.
    TaskResumed { 1 container_id: String }
    /// It was written to disk.
    TaskCheckpointed { 1 container_id: String, 2 checkpoint: String }
    /// An event on its way.
    Envelope { 1 timestamp: Option<Timestamp>, 2 namespace: String, 3 topic: String, 4 event: Option<Any> }
    /// The call that carries it.
    ForwardRequest { 1 envelope: Option<Envelope> }
}

/// A message that is an event.
pub(crate) trait Event: Message {
    /// Where it is published.
    const TOPIC: &str;
    /// The full name of the message.
    const NAME: &str;
}

macro_rules! events {
    ($($name:ident $topic:literal)*) => {$(
        impl Event for $name {
            const TOPIC: &str = concat!("/tasks/", $topic);
            const NAME: &str = concat!("containerd.events.", stringify!($name));
        }
    )*};
}

events! {
    TaskCreate "create"
    TaskStart "start"
    TaskOOM "oom"
    TaskExit "exit"
    TaskDelete "delete"
    TaskExecAdded "exec-added"
    TaskExecStarted "exec-started"
    TaskPaused "paused"
    TaskResumed "resumed"
    TaskCheckpointed "checkpointed"
}
