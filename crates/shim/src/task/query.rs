//! State, Pids, Stats, Connect: what is asked often, and answered at once.

use super::{Phase, ProcessId, task};
use crate::messages::options::ProcessDetails;
use crate::messages::task::{
    ConnectResponse, PidsResponse, ProcessInfo, StateRequest, StateResponse, StatsResponse, Status,
};
use crate::messages::{Any, Timestamp};
use crate::metrics;
use crate::server::{Answer, Server, done};
use crate::ttrpc::{Code, Failure};

impl Server {
    pub(crate) fn state(&mut self, request: &StateRequest) -> Answer {
        let id = ProcessId::new(&request.id, &request.exec_id);
        let bundle = task(&mut self.tasks, &id.container)?.bundle.to_string_lossy().into_owned();
        let paused = task(&mut self.tasks, &id.container)?.paused;
        let process = super::process(&mut self.tasks, &id)?;
        let status = match process.phase {
            Phase::Making => Status::Unknown,
            Phase::Created | Phase::Running | Phase::Starting if paused => Status::Paused,
            Phase::Added(_) | Phase::Created | Phase::Starting => Status::Created,
            Phase::Running => Status::Running,
            Phase::Ended(_) => Status::Stopped,
        };
        let exit = process.exit();
        let addresses = process.addresses.clone();
        done(&StateResponse {
            id: id.container,
            bundle,
            pid: process.pid as u32,
            status: status as i32,
            stdin: addresses.stdin,
            stdout: addresses.stdout,
            stderr: addresses.stderr,
            terminal: addresses.terminal,
            exit_status: exit.map_or(0, |exit| exit.status),
            exited_at: exit.map(|exit| Timestamp::from(exit.at)),
            exec_id: id.exec,
        })
        .map(Some)
    }

    /// The processes. containerd takes a shim that fails here, or knows of none, for one that was left behind.
    pub(crate) fn pids(&mut self, id: &str) -> Answer {
        let task = task(&mut self.tasks, id)?;
        let mut pids = task.cgroup.as_ref().and_then(|cgroup| cgroup.procs().ok()).unwrap_or_default();
        if pids.is_empty() && task.init.pidfd.is_some() {
            pids.push(task.init.pid);
        }
        let info = |pid: i32| {
            let added = task.execs.iter().find(|(_, exec)| exec.pidfd.is_some() && exec.pid == pid);
            let details = added.map(|(exec_id, _)| ProcessDetails { exec_id: exec_id.clone() });
            let info = details.map(|details| Any::of("containerd.runc.v1.ProcessDetails", &details));
            ProcessInfo { pid: pid as u32, info }
        };
        done(&PidsResponse { processes: pids.into_iter().map(info).collect() }).map(Some)
    }

    pub(crate) fn stats(&mut self, id: &str) -> Answer {
        let task = task(&mut self.tasks, id)?;
        let none = || Failure::new(Code::NotFound, format!("container {id:?} has no cgroup of its own"));
        let cgroup = task.cgroup.as_ref().ok_or_else(none)?;
        let stats = cgroup.stats().map_err(|e| Failure::new(Code::Unknown, e.to_string()))?;
        let version_1 = cgroup.location().has_v1_controllers();
        done(&StatsResponse { stats: Some(metrics::of(&stats, version_1)) }).map(Some)
    }

    /// Who is there. It never fails: containerd asks to see whether the shim is alive, and for the process's id.
    pub(crate) fn connect(&mut self, id: &str) -> Answer {
        let task_pid = self.tasks.get(id).map_or(0, |task| task.init.pid as u32);
        let version = env!("CARGO_PKG_VERSION").to_owned();
        done(&ConnectResponse { shim_pid: std::process::id(), task_pid, version }).map(Some)
    }
}
