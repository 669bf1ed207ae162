//! The Sandbox service: a pod, without containerd's pause container.
//!
//! A pod is the namespaces that its containers share. containerd finds them by the number that StartSandbox returns, as
//! `/proc/NUMBER/ns/…`.
//!
//! | file | what |
//! |---|---|
//! | `sandbox/wanted.rs` | which namespaces those are |
//! | `sandbox/thread.rs` | a thread of this process is in them; mostly that is enough |
//! | `sandbox/first.rs` | a process is in them, where somebody has to be the first of a PID namespace |
//! | `sandbox/stop.rs` | its end |
//! | `sandbox/files.rs` | files that the containers of a Kubernetes pod share |

pub(crate) mod files;
mod first;
mod stop;
mod thread;
mod wanted;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use orlop_cgroups::{Cgroup, CgroupPath, Layout};
use orlop_runtime::liveness::has_ended;
use orlop_runtime::{ContainerId, Held, Runtime};

use crate::messages::sandbox::{
    CreateSandboxRequest, Metric, Platform, PlatformResponse, SandboxMetricsResponse, SandboxStatusRequest,
    SandboxStatusResponse, StartSandboxResponse, StopSandboxRequest, WaitSandboxResponse,
};
use crate::messages::{Any, Timestamp};
use crate::metrics;
use crate::reactor::{Interest, Token};
use crate::server::{Answer, Call, Server, Source, done, empty};
use crate::settings::TaskOptions;
use crate::stdio::{Whose, failed};
use crate::task::{AGAIN, Exit, collect};
use crate::ttrpc::{Code, Failure, Result};
pub(crate) use files::Files;
use thread::Namespaces;
use wanted::Wanted;

/// The pod of this shim.
#[derive(Debug)]
pub(crate) struct Sandbox {
    id: ContainerId,
    bundle: PathBuf,
    options: TaskOptions,
    wanted: Wanted,
    files: Option<Files>,
    phase: Phase,
    created: SystemTime,
    waiting: Vec<Call>,
    /// There may be the container that its process is, which has to be deleted.
    remains: bool,
    /// It is to end, and these want to know when it has.
    stopping: Option<Vec<Call>>,
}

#[derive(Debug)]
enum Phase {
    Created,
    /// A job makes or ends it.
    Busy,
    Thread(Namespaces),
    Process {
        pid: i32,
        pidfd: OwnedFd,
        token: Option<Token>,
    },
    Ended(Exit),
}

/// What a job has made.
enum Made {
    Thread(Namespaces),
    Process(Held),
}

impl Sandbox {
    /// Whether anybody may still ask for it: its bundle is there, without which containerd knows nothing of it.
    pub(crate) fn is_of_use(&self) -> bool {
        self.bundle.exists()
    }

    /// Those who wait for its end.
    pub(crate) const fn waiting(&mut self) -> &mut Vec<Call> {
        &mut self.waiting
    }

    /// What its containers get.
    pub(crate) fn files(&self) -> Option<Files> {
        self.files.clone()
    }

    fn pid(&self) -> u32 {
        match &self.phase {
            Phase::Thread(namespaces) => namespaces.thread as u32,
            Phase::Process { pid, .. } => *pid as u32,
            _ => 0,
        }
    }

    fn wrong_phase(&self, doing: &str) -> Failure {
        let is = match &self.phase {
            Phase::Created => "was not started",
            Phase::Busy => "is being started or stopped",
            Phase::Thread(_) | Phase::Process { .. } => "was started",
            Phase::Ended(_) => "has ended",
        };
        Failure::new(
            Code::FailedPrecondition,
            format!("cannot {doing} sandbox {:?}: it {is}", self.id.as_str()),
        )
    }
}

/// In words, for a report.
impl std::fmt::Display for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let how = match &self.phase {
            Phase::Created => "created",
            Phase::Busy => "a job changes it",
            Phase::Thread(_) => "held by a thread",
            Phase::Process { .. } => "held by a process",
            Phase::Ended(_) => "ended",
        };
        let waiting = self.waiting.len();
        write!(f, "sandbox {}: {how}, number {}, {waiting} wait for its end", self.id.as_str(), self.pid())
    }
}

impl Server {
    fn pod(&mut self, id: &str) -> Result<&mut Sandbox> {
        let none = || Failure::new(Code::NotFound, format!("sandbox {id:?} does not exist"));
        self.sandbox.as_mut().filter(|sandbox| sandbox.id.as_str() == id).ok_or_else(none)
    }

    pub(crate) fn create_sandbox(&mut self, request: &CreateSandboxRequest) -> Answer {
        if let Some(sandbox) = &self.sandbox {
            let why = format!("this shim has a sandbox already, {:?}", sandbox.id.as_str());
            return Err(Failure::new(Code::AlreadyExists, why));
        }
        let bundle = PathBuf::from(&request.bundle_path);
        self.sandbox = Some(Sandbox {
            id: ContainerId::new(&request.sandbox_id)?,
            wanted: Wanted::read(request)?,
            // What `start` was told.
            options: TaskOptions::saved(&bundle),
            bundle,
            files: None,
            phase: Phase::Created,
            created: SystemTime::now(),
            waiting: Vec::new(),
            remains: false,
            stopping: None,
        });
        empty()
    }

    pub(crate) fn start_sandbox(&mut self, call: Call, id: &str) -> Answer {
        let namespace = self.namespace.clone();
        let sandbox = self.pod(id)?;
        if !matches!(sandbox.phase, Phase::Created) {
            return Err(sandbox.wrong_phase("start"));
        }
        let (own, bundle, options, wanted) =
            (sandbox.id.clone(), sandbox.bundle.clone(), sandbox.options.clone(), sandbox.wanted.clone());
        let runtime = Runtime::new(options.settings(&namespace))?;
        sandbox.phase = Phase::Busy;
        sandbox.remains = wanted.needs_process();
        let make = move || {
            let files = Files::make(&bundle, &wanted)?;
            let made = if wanted.needs_process() {
                let whose = Whose { container: own.as_str().to_owned(), namespace, owner: options.io_owner };
                first::start(&runtime, &own, (&bundle, &options, &wanted), &whose).map(Made::Process)
            } else {
                Namespaces::new(wanted).map(Made::Thread)
            };
            made.inspect_err(|_| files::remove(&bundle)).map(|made| (made, files))
        };
        self.jobs.start(make, move |server: &mut Self, made| server.sandbox_started(call, made));
        Ok(None)
    }

    fn sandbox_started(&mut self, call: Call, made: Result<(Made, Option<Files>)>) {
        let Some(sandbox) = &mut self.sandbox else { return };
        let (made, files) = match made {
            Ok(made) => made,
            Err(failure) => {
                sandbox.phase = Phase::Created;
                return self.answer(call, Err(failure));
            }
        };
        sandbox.files = files;
        sandbox.phase = match made {
            Made::Thread(namespaces) => Phase::Thread(namespaces),
            Made::Process(Held { pid, pidfd, .. }) => Phase::Process { pid, pidfd, token: None },
        };
        let created_at = Some(Timestamp::from(sandbox.created));
        let response = StartSandboxResponse { pid: sandbox.pid(), created_at, spec: None };
        self.answer(call, done(&response));
        self.watch_sandbox();
    }

    /// Follows the process of the pod from now on; if the kernel has no room for that, it is tried again soon.
    pub(crate) fn watch_sandbox(&mut self) {
        let Some(Phase::Process { pid, pidfd, token }) =
            self.sandbox.as_mut().map(|sandbox| &mut sandbox.phase)
        else {
            return;
        };
        if token.is_some() || has_ended(pidfd).unwrap_or(false) {
            return self.sandbox_ended();
        }
        match self.reactor.add(&*pidfd, Interest::Readable, Source::Sandbox) {
            Ok(added) => *token = Some(added),
            Err(e) => {
                tracing::error!("process {pid} of the sandbox: cannot wait for its end: {e}");
                self.reactor.at(Instant::now() + AGAIN, Source::Sandbox);
            }
        }
    }

    /// The process of the pod has ended, by itself or not.
    fn sandbox_ended(&mut self) {
        let Some(sandbox) = &mut self.sandbox else { return };
        let status = match std::mem::replace(&mut sandbox.phase, Phase::Busy) {
            Phase::Process { pid, pidfd, token } => {
                if let Some(token) = token {
                    self.reactor.remove(&pidfd, token);
                }
                collect(&pidfd, pid)
            }
            // Its namespaces are gone with it, unless containers are in them.
            Phase::Thread(_) | Phase::Created | Phase::Busy => 0,
            Phase::Ended(exit) => {
                sandbox.phase = Phase::Ended(exit);
                return self.leave();
            }
        };
        if sandbox.files.take().is_some() {
            files::remove(&sandbox.bundle);
        }
        let exit = Exit { status: status as u32, at: SystemTime::now() };
        sandbox.phase = Phase::Ended(exit);
        for call in std::mem::take(&mut sandbox.waiting) {
            self.answer(call, done(&ended(exit)));
        }
        self.leave();
    }

    pub(crate) fn wait_sandbox(&mut self, call: Call, id: &str) -> Answer {
        let sandbox = self.pod(id)?;
        if let Phase::Ended(exit) = sandbox.phase {
            return done(&ended(exit)).map(Some);
        }
        sandbox.waiting.push(call);
        Ok(None)
    }

    pub(crate) fn sandbox_status(&mut self, request: &SandboxStatusRequest) -> Answer {
        let sandbox = self.pod(&request.sandbox_id)?;
        let (state, exited_at) = match sandbox.phase {
            Phase::Thread(_) | Phase::Process { .. } => ("SANDBOX_READY", None),
            Phase::Ended(exit) => ("SANDBOX_NOTREADY", Some(Timestamp::from(exit.at))),
            Phase::Created | Phase::Busy => ("SANDBOX_NOTREADY", None),
        };
        let about = BTreeMap::from([("about".to_owned(), sandbox.to_string())]);
        done(&SandboxStatusResponse {
            sandbox_id: request.sandbox_id.clone(),
            pid: sandbox.pid(),
            state: state.to_owned(),
            info: if request.verbose { about } else { BTreeMap::new() },
            created_at: Some(Timestamp::from(sandbox.created)),
            exited_at,
            extra: None,
        })
        .map(Some)
    }

    pub(crate) fn ping_sandbox(&mut self, id: &str) -> Answer {
        self.pod(id).and_then(|_| empty())
    }

    /// Ends the shim with its pod, which may not have containers any more.
    pub(crate) fn shutdown_sandbox(&mut self, call: Call, id: &str) -> Answer {
        if self.sandbox.is_none() && self.tasks.is_empty() {
            // The pod was refused, and we were started for nothing.
            self.quit();
            return empty();
        }
        self.pod(id)?;
        if let Some(container) = self.tasks.keys().next() {
            let why =
                format!("sandbox {id:?} has a container yet, {container:?}, which has to be deleted before");
            return Err(Failure::new(Code::FailedPrecondition, why));
        }
        self.leaving = true;
        let stopped =
            self.stop_sandbox(call, &StopSandboxRequest { sandbox_id: id.to_owned(), timeout_secs: 0 });
        self.leaving = stopped.is_ok();
        self.leave();
        stopped
    }

    /// Ends the shim if that was asked for and the pod has ended.
    fn leave(&mut self) {
        let has_ended = |sandbox: &Sandbox| matches!(sandbox.phase, Phase::Ended(_)) && !sandbox.remains;
        let ended = self.sandbox.as_ref().is_some_and(has_ended);
        if self.leaving && ended {
            self.sandbox = None;
            self.quit();
        }
    }

    /// What all containers of the pod have used: the pod's cgroup knows, if it has one.
    pub(crate) fn sandbox_metrics(&mut self, id: &str) -> Answer {
        let sandbox = self.pod(id)?;
        let stats = sandbox.usage()?;
        let metrics = Metric {
            timestamp: Some(Timestamp::from(SystemTime::now())),
            id: id.to_owned(),
            data: Some(stats),
        };
        done(&SandboxMetricsResponse { metrics: Some(metrics) }).map(Some)
    }
}

impl Sandbox {
    fn usage(&self) -> Result<Any> {
        let none = || {
            Failure::new(Code::NotFound, format!("sandbox {:?} has no cgroup of its own", self.id.as_str()))
        };
        let parent =
            Some(self.wanted.cgroup_parent.as_str()).filter(|path| path.starts_with('/')).ok_or_else(none)?;
        let layout = Layout::detect().map_err(failed("find the cgroups"))?;
        let path = CgroupPath::new(Some(parent), self.id.as_str()).map_err(|_| none())?;
        let location = path.locate(&layout).map_err(failed("find the cgroup of the sandbox"))?;
        let cgroup = Cgroup::open(&location).map_err(|_| none())?;
        let stats = cgroup.stats().map_err(failed("read the usage of the sandbox"))?;
        Ok(metrics::of(&stats, cgroup.location().has_v1_controllers()))
    }
}

/// For what containers are made here.
pub(crate) fn platform() -> Answer {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        same => same,
    };
    let platform = Platform { os: "linux".into(), architecture: architecture.into(), ..Platform::default() };
    done(&PlatformResponse { platform: Some(platform) }).map(Some)
}

fn ended(exit: Exit) -> WaitSandboxResponse {
    WaitSandboxResponse { exit_status: exit.status, exited_at: Some(Timestamp::from(exit.at)) }
}

/// For tests/fuzz: what a request says of a pod.
#[cfg(feature = "fuzz")]
pub(crate) fn fuzz(request: &CreateSandboxRequest) {
    if let Ok(wanted) = Wanted::read(request) {
        wanted.usual_sysctls().for_each(drop);
    }
}
