//! The messages of containerd's interfaces, as its `.proto` files number them.
//!
//! | file | package |
//! |---|---|
//! | `messages/task.rs` | `containerd.task.v2` and `.v3`, which are the same |
//! | `messages/events.rs` | `containerd.events`, and how they are sent |
//! | `messages/sandbox.rs` | `containerd.runtime.sandbox.v1`, and Kubernetes' `runtime.v1` |
//! | `messages/options.rs` | options, bootstrap, introspection |
//! | `messages/metrics.rs` | `io.containerd.cgroups.v1` and `.v2` |

pub(crate) mod events;
pub(crate) mod metrics;
pub(crate) mod options;
pub(crate) mod sandbox;
pub(crate) mod task;

use std::time::{SystemTime, UNIX_EPOCH};

use orlop_protobuf::{Message, messages};

messages! {
    /// A message, and which one.
    Any { 1 type_url: String, 2 value: Vec<u8> }
    /// A time in UTC.
    Timestamp { 1 seconds: i64, 2 nanos: i32 }
    /// The result of what has none.
    Empty {}
    /// A file system to mount.
    Mount { 1 kind: String, 2 source: String, 3 target: String, 4 options: Vec<String> }
}

impl Any {
    /// A message with its full name.
    pub(crate) fn of(name: &str, message: &impl Message) -> Self {
        Self { type_url: name.to_owned(), value: message.encode() }
    }

    /// The full name of the message, without the part before it that some put there (`type.googleapis.com/`).
    pub(crate) fn name(&self) -> &str {
        self.type_url.rsplit('/').next().unwrap_or_default()
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        // A clock before 1970 is one that was never set.
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { seconds: since.as_secs() as i64, nanos: since.subsec_nanos() as i32 }
    }
}
