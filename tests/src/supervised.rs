//! Containers in the care of a supervisor: `run --detach --supervise`, and what is kept of them.
use std::time::Instant;

use rustix::fs::inotify;
use serde_json::Value;

use crate::command::patience;
use crate::events::readable;
use crate::{Container, Output, ProcessHandle};

impl Container {
    /// `run --detach --supervise FLAGS…`, which must succeed.
    #[track_caller]
    pub fn supervise(&self, flags: &[&str]) -> Output {
        self.with_bundle("run", &[&["--detach", "--supervise"], flags].concat()).ok()
    }

    /// What `state` says of the supervisor.
    #[track_caller]
    pub fn supervisor(&self) -> Value {
        self.state()["supervisor"].clone()
    }

    /// The supervisor's process, which must be there.
    #[track_caller]
    pub fn supervisor_process(&self) -> ProcessHandle {
        let pid = self.supervisor()["pid"].as_i64().expect("a number") as i32;
        ProcessHandle::open(pid).unwrap_or_else(|| panic!("there is no supervisor with the id {pid}"))
    }

    /// What `wait` prints, which must succeed: the exit status.
    #[track_caller]
    pub fn exit_status(&self) -> i32 {
        let out = self.command::<&str>("wait", &[]).ok();
        out.stdout.trim().parse().unwrap_or_else(|_| panic!("wait prints a number: {out}"))
    }

    /// `logs FLAGS…`, which must succeed.
    #[track_caller]
    pub fn logs(&self, flags: &[&str]) -> Output {
        self.command("logs", flags).ok()
    }

    /// Waits until `done` says so of what `state` says of the supervisor, which is asked again whenever that has written
    /// something down.
    #[track_caller]
    pub fn when_supervisor(&self, done: impl Fn(&Value) -> bool) -> Value {
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let watch = inotify::init(flags).expect("inotify is there");
        let dir = self.state_root().join(&self.id);
        inotify::add_watch(&watch, &dir, inotify::WatchFlags::MOVED_TO).expect("the container is there");
        let deadline = Instant::now() + patience();
        loop {
            let state = self.supervisor();
            if done(&state) {
                return state;
            }
            let changed = readable(&watch, deadline.saturating_duration_since(Instant::now()));
            assert!(changed, "the supervisor stays at: {state}");
            let mut space = [0; 4096];
            while rustix::io::read(&watch, &mut space[..]).is_ok_and(|n| n > 0) {}
        }
    }
}
