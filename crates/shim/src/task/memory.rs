//! Processes that were killed for want of memory: told when it happens, and in any case before the container's end.

use std::fs::File;
use std::io::{Read as _, Seek as _};

use orlop_cgroups::Cgroup;

use super::levels::Levels;
use super::{Task, task};
use crate::messages::events::TaskOOM;
use crate::reactor::{Interest, Token};
use crate::server::{Server, Source};

/// How often it has happened, as far as containerd knows, and the file that says when it happens.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    told: u64,
    /// Where limits can be hit.
    levels: Levels,
    /// `memory.events`, in version 2. It must be held open: a change is reported once for each open file.
    file: Option<(File, Token)>,
}

impl Server {
    /// Watches from now on. In version 1, which has no such file, the count is looked at when the container ends.
    pub(super) fn watch_memory(&mut self, id: &str) {
        let Ok(task) = task(&mut self.tasks, id) else { return };
        let Some(cgroup) = &task.cgroup else { return };
        task.memory.levels = Levels::of(cgroup);
        let path = cgroup.location().v2.path().join("memory.events");
        let Ok(mut file) = File::open(path) else { return };
        // What was not read once is not reported.
        if file.read_to_string(&mut String::new()).is_err() {
            return;
        }
        if let Ok(token) = self.reactor.add(&file, Interest::Changed, Source::Memory(id.to_owned())) {
            task.memory.file = Some((file, token));
        }
    }

    /// The file has changed.
    pub(crate) fn memory_changed(&mut self, id: &str) {
        let Ok(task) = task(&mut self.tasks, id) else { return };
        if let Some((file, _)) = &mut task.memory.file {
            // Read, or it would be reported again at once.
            let read = file.rewind().and_then(|()| file.read_to_string(&mut String::new()));
            if read.is_err() {
                // The cgroup is gone.
                return self.forget_memory(id);
            }
        }
        self.tell_of_memory(id);
    }

    /// Tells of kills that containerd has not been told of.
    pub(super) fn tell_of_memory(&mut self, id: &str) {
        let Ok(task) = task(&mut self.tasks, id) else { return };
        let kills = task.cgroup.as_ref().map_or(0, kills);
        if kills > task.memory.told {
            task.memory.told = kills;
            tracing::warn!(
                "a process of container {id} was killed for want of memory: {}",
                task.memory.levels.hit()
            );
            self.publish(&TaskOOM { container_id: id.to_owned() });
        }
    }

    /// Watches no more.
    pub(super) fn forget_memory(&mut self, id: &str) {
        let file = task(&mut self.tasks, id).ok().and_then(|task: &mut Task| task.memory.file.take());
        if let Some((file, token)) = file {
            self.reactor.remove(&file, token);
        }
    }
}

fn kills(cgroup: &Cgroup) -> u64 {
    let memory = cgroup.stats().ok().and_then(|stats| stats.memory);
    memory.map_or(0, |memory| memory.events.oom_kill)
}
