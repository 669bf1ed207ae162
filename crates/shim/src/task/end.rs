//! How processes end, and who is told.
//!
//! containerd hears of a container's end last: after its start, after the ends of its other processes, and after it was
//! told of processes that were killed for want of memory.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use orlop_sys::Fd;
use orlop_sys::process::pidfd_send_signal;
use orlop_sys::wait::{How, wait};

use super::{Exit, Phase, ProcessId, process, task, wrong_phase};
use crate::messages::Timestamp;
use crate::messages::events::TaskExit;
use crate::messages::task::{KillRequest, WaitRequest, WaitResponse};
use crate::sandbox::Sandbox;
use crate::server::{Answer, Call, Server, Source, done, empty};
use crate::stdio::failed;
use crate::ttrpc::{Code, Failure};

/// How long the end of a container is kept back for other processes, which have been killed: only the kernel can be slow.
const OTHERS: Duration = Duration::from_secs(5);

/// How often it is tried to wait for a process that has ended. The kernel knows no reason to refuse that.
const TRIES: usize = 100;

/// Waits for a process. As long as nobody has, its PID namespace cannot end.
pub(super) fn reap(pidfd: Fd) -> orlop_sys::Result<How> {
    let refused = |how: &orlop_sys::Result<How>| how.as_ref().is_err_and(|e| !e.is(libc::ECHILD));
    let how = (1..TRIES).map(|_| wait(pidfd)).find(|how| !refused(how));
    how.unwrap_or_else(|| wait(pidfd))
}

/// Waits for a process that has ended; its status.
pub(crate) fn collect(pidfd: &OwnedFd, pid: i32) -> i32 {
    let how = reap(Fd::of(pidfd));
    let unknown = |e| {
        tracing::error!("process {pid}: how it ended is not known: {e}");
        255
    };
    how.map_or_else(unknown, How::status)
}

impl Server {
    /// The pidfd of a process says that it has ended.
    pub(crate) fn process_ended(&mut self, id: &ProcessId) {
        let Ok(process) = process(&mut self.tasks, id) else { return };
        let Some((pidfd, token)) = process.pidfd.take() else { return };
        let status = collect(&pidfd, process.pid);
        if let Some(token) = token {
            self.reactor.remove(&pidfd, token);
        }
        process.ended = Some(Exit::now(status));
        if id.is_first() {
            self.end_others(&id.container);
        }
        self.conclude(id);
    }

    /// Without a PID namespace of its own, nothing else ends a container's other processes.
    fn end_others(&mut self, container: &str) {
        let Ok(task) = task(&mut self.tasks, container) else { return };
        let own_pids = task.own_pids;
        if let Some(cgroup) = task.cgroup.as_ref().filter(|_| !own_pids)
            && let Err(e) = cgroup.kill()
        {
            tracing::warn!("kill what is left of {container}: {e}");
        }
        let late = Source::Late(ProcessId::new(container, ""));
        if task.execs.values().any(|exec| exec.pidfd.is_some() || matches!(exec.phase, Phase::Starting)) {
            self.reactor.at(Instant::now() + OTHERS, late);
        }
    }

    /// Tells of the end of a process, if it has ended and nothing has to be told before.
    pub(crate) fn conclude(&mut self, id: &ProcessId) {
        let Ok(task) = task(&mut self.tasks, &id.container) else { return };
        let others =
            task.execs.values().any(|exec| exec.pidfd.is_some() || matches!(exec.phase, Phase::Starting));
        let Some(process) = task.process(&id.exec) else { return };
        if process.ended.is_none() || matches!(process.phase, Phase::Making | Phase::Starting) {
            return;
        }
        if !(id.is_first() && others) {
            self.tell_end(id);
        }
    }

    /// Tells of the end of a process, whatever else is to be told.
    pub(crate) fn tell_end(&mut self, id: &ProcessId) {
        if id.is_first() {
            self.tell_of_memory(&id.container);
        }
        let Ok(process) = process(&mut self.tasks, id) else { return };
        let Some(exit) = process.ended.take() else { return };
        process.phase = Phase::Ended(exit);
        let pid = process.pid as u32;
        // Nothing more goes in.
        process.holder = None;
        if let Some(input) = process.input.take() {
            self.drop_flow(input);
        }
        self.publish(&TaskExit {
            container_id: id.container.clone(),
            id: id.name().to_owned(),
            pid,
            exit_status: exit.status,
            exited_at: Some(Timestamp::from(exit.at)),
        });
        self.tell_waiting(id);
        if id.is_first() {
            self.container_ended();
        } else {
            self.conclude(&ProcessId::new(&id.container, ""));
        }
    }

    /// Answers those who wait for the end of a process.
    pub(super) fn tell_waiting(&mut self, id: &ProcessId) {
        let Ok(process) = process(&mut self.tasks, id) else { return };
        let Some(exit) = process.exit() else { return };
        for call in std::mem::take(&mut process.waiting) {
            self.answer(call, done(&ended(exit)));
        }
    }

    /// Forgets those who wait for an end or their turn and need not any more; whether there were any.
    pub(crate) fn forget_waiting(&mut self, which: impl Fn(&Call) -> bool) -> bool {
        let tasks = self.tasks.values_mut();
        let processes = tasks.flat_map(|task| task.execs.values_mut().chain([&mut task.init]));
        let mut lists: Vec<_> = processes.map(|process| &mut process.waiting).collect();
        lists.extend(self.sandbox.as_mut().map(Sandbox::waiting));
        let count = |lists: &[&mut Vec<Call>]| lists.iter().map(|list| list.len()).sum::<usize>();
        let before = count(&lists);
        for list in &mut lists {
            list.retain(|call| !which(call));
        }
        let mut forgotten = count(&lists) < before;
        for task in self.tasks.values_mut() {
            let before = task.later.len();
            task.later.retain(|(call, _)| !which(call));
            forgotten |= task.later.len() < before;
        }
        forgotten
    }

    pub(crate) fn wait(&mut self, call: Call, request: &WaitRequest) -> Answer {
        let process = process(&mut self.tasks, &ProcessId::new(&request.id, &request.exec_id))?;
        if let Some(exit) = process.exit() {
            return done(&ended(exit)).map(Some);
        }
        process.waiting.push(call);
        Ok(None)
    }

    /// Asks every container to end; whether any runs. As with others who end containers, it is SIGTERM that asks.
    pub(crate) fn ask_to_end(&self) -> bool {
        let mut running = self.tasks.values().filter_map(|task| task.init.pidfd.as_ref()).peekable();
        let any = running.peek().is_some();
        for (pidfd, _) in running {
            // One that has just ended need not be asked.
            pidfd_send_signal(Fd::of(pidfd), libc::SIGTERM).ok();
        }
        any
    }

    /// Whether a container runs.
    pub(crate) fn has_running(&self) -> bool {
        self.tasks.values().any(|task| task.init.pidfd.is_some())
    }

    /// Kills every process of every container: their pod ends.
    pub(crate) fn kill_all(&self) {
        for task in self.tasks.values().filter(|task| task.init.pidfd.is_some()) {
            if let Err(e) = task.runtime.kill(&task.id, libc::SIGKILL, true) {
                tracing::warn!("kill container {}: {e}", task.id.as_str());
            }
        }
    }

    pub(crate) fn kill(&mut self, request: &KillRequest) -> Answer {
        let id = ProcessId::new(&request.id, &request.exec_id);
        let gone = || Failure::new(Code::NotFound, format!("process {:?} already finished", id.name()));
        let signal = request.signal as i32;
        if !(0..=64).contains(&signal) {
            return Err(Failure::new(
                Code::InvalidArgument,
                format!("there is no signal {}", request.signal),
            ));
        }
        let task = task(&mut self.tasks, &id.container)?;
        if request.all && id.is_first() && !task.is_being_made() {
            if task.init.exit().is_some() && task.cgroup.is_none() {
                return Err(gone());
            }
            task.runtime.kill(&task.id, signal, true)?;
            return empty();
        }
        if id.is_first() && signal == libc::SIGKILL && task.busy && task.init.pidfd.is_some() {
            // Perhaps it is being saved: then CRIU has to go as well, or neither would. That it has ended is told below.
            task.runtime.kill(&task.id, signal, false).ok();
        }
        let process = process(&mut self.tasks, &id)?;
        let Some((pidfd, _)) = &process.pidfd else {
            return match process.phase {
                Phase::Added(_) => Err(wrong_phase("send a signal to", &id, "does not run")),
                Phase::Making | Phase::Starting => {
                    process.early.signals.push(signal);
                    empty()
                }
                _ => Err(gone()),
            };
        };
        match pidfd_send_signal(Fd::of(pidfd), signal) {
            Err(e) if e.is(libc::ESRCH) => Err(gone()),
            sent => sent
                .map_err(failed(format!("send signal {signal} to process {}", process.pid)))
                .and_then(|()| empty()),
        }
    }
}

fn ended(exit: Exit) -> WaitResponse {
    WaitResponse { exit_status: exit.status, exited_at: Some(Timestamp::from(exit.at)) }
}
