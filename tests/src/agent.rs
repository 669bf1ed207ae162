//! A seccomp agent, which decides about the system calls that a filter leaves to it (`data/seccomp-agent.py`).
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::events::when_file;
use crate::{Invocation, Running};

/// An agent that lets mkdir(2) fail with "No medium found", and everything else happen, until it is dropped.
#[derive(Debug)]
pub struct Agent {
    socket: PathBuf,
    log: PathBuf,
    /// Ended when this value is dropped.
    _running: Running,
}

impl Agent {
    /// Starts it, with its files in a directory.
    pub fn start(directory: &Path) -> Self {
        let (socket, log) = (directory.join("agent.sock"), directory.join("agent.log"));
        // Ours, so that it listens before the agent runs.
        let listener = UnixListener::bind(&socket).expect("a new socket");
        fs::write(&log, "").expect("a new file");
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/data/seccomp-agent.py");
        let python = Invocation::new("python3", directory).arg(program).arg(&log);
        let running = python.stdin(OwnedFd::from(listener)).spawn();
        Self { socket, log, _running: running }
    }

    /// The value for `listenerPath`.
    pub fn socket(&self) -> &str {
        self.socket.to_str().expect("a temporary path is text")
    }

    /// What it was sent with each notification descriptor, in their order, once there are this many.
    #[track_caller]
    pub fn told(&self, count: usize) -> Vec<Value> {
        let text = when_file(&self.log, |text| text.matches('\n').count() >= count);
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

impl Drop for Agent {
    /// Nobody finds the socket any more, however long its last descriptor lives.
    fn drop(&mut self) {
        fs::remove_file(&self.socket).ok();
    }
}
