//! Create: from a bundle to a container; and its start.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use orlop_runtime::{ContainerId, CreateOptions, Held, Runtime};
use orlop_spec::{Document, NamespaceKind};

use super::{Phase, Process, ProcessId, Task, first_with_streams, memory, process, task, wrong_phase};
use crate::messages::Mount;
use crate::messages::events::{TaskCreate, TaskIO, TaskStart};
use crate::messages::task::{CreateTaskRequest, CreateTaskResponse, StartRequest, StartResponse};
use crate::rootfs;
use crate::sandbox::{Files, Sandbox};
use crate::server::{Answer, Call, Server, Source, done};
use crate::settings::TaskOptions;
use crate::stdio::{Addresses, Streams, Whose};
use crate::ttrpc::{Code, Failure, Result};

/// After how long it is tried again to watch a process that the kernel had no room to watch.
pub(crate) const AGAIN: Duration = Duration::from_millis(100);

/// What a job needs to make a container.
struct Making {
    id: ContainerId,
    runtime: Arc<Runtime>,
    bundle: PathBuf,
    mounts: Vec<Mount>,
    options: TaskOptions,
    addresses: Addresses,
    whose: Whose,
    /// Its processes come from a checkpoint, when it is started.
    restored: bool,
    /// What the containers of the pod share.
    files: Option<Files>,
}

impl Server {
    pub(crate) fn create(&mut self, call: Call, request: CreateTaskRequest) -> Answer {
        if self.tasks.contains_key(&request.id) {
            let why = format!("container {:?} already exists", request.id);
            return Err(Failure::new(Code::AlreadyExists, why));
        }
        let options = TaskOptions::read(request.options.as_ref())?;
        let runtime = Arc::new(Runtime::new(options.settings(&self.namespace))?);
        let (stdin, stdout) = (request.stdin.clone(), request.stdout.clone());
        let addresses =
            Addresses { stdin, stdout, stderr: request.stderr.clone(), terminal: request.terminal };
        let making = Making {
            id: ContainerId::new(&request.id)?,
            runtime: Arc::clone(&runtime),
            bundle: PathBuf::from(&request.bundle),
            mounts: request.rootfs.clone(),
            options: options.clone(),
            addresses: addresses.clone(),
            whose: self.whose(&request.id, &options),
            restored: !request.checkpoint.is_empty(),
            files: self.sandbox.as_ref().and_then(Sandbox::files),
        };
        let task = Task {
            id: making.id.clone(),
            bundle: making.bundle.clone(),
            runtime,
            options,
            init: Process::new(addresses, Phase::Making),
            execs: std::collections::BTreeMap::new(),
            checkpoint: making.restored.then(|| PathBuf::from(&request.checkpoint)),
            own_pids: false,
            paused: false,
            busy: true,
            later: Vec::new(),
            cgroup: None,
            memory: memory::Watch::default(),
        };
        // From here on the id is taken.
        self.tasks.insert(request.id.clone(), task);
        self.jobs.start(
            move || making.make(),
            move |server: &mut Self, made| server.created(call, &request, made),
        );
        Ok(None)
    }

    fn created(&mut self, call: Call, request: &CreateTaskRequest, made: Result<Option<(Held, Streams)>>) {
        let id = ProcessId::new(&request.id, "");
        let made = match made {
            Ok(made) => made,
            Err(failure) => {
                self.answer(call, Err(failure.clone()));
                let Some(task) = self.tasks.remove(&request.id) else { return };
                for waiter in task.init.waiting {
                    self.answer(waiter, Err(failure.clone()));
                }
                self.now(task.later);
                return self.emptied();
            }
        };
        let Some(task) = self.tasks.get_mut(&request.id) else { return };
        task.init.phase = Phase::Created;
        // What is to be restored has no process before it is started.
        let pid = made.map_or(0, |(held, streams)| self.hold_first(&id, held, streams));
        self.publish(&TaskCreate {
            container_id: request.id.clone(),
            bundle: request.bundle.clone(),
            rootfs: request.rootfs.clone(),
            io: Some(TaskIO {
                stdin: request.stdin.clone(),
                stdout: request.stdout.clone(),
                stderr: request.stderr.clone(),
                terminal: request.terminal,
            }),
            checkpoint: request.checkpoint.clone(),
            pid,
        });
        self.answer(call, done(&CreateTaskResponse { pid }));
        self.watch_process(&id);
        self.turn_over(&id);
    }

    /// A container has its first process; the number of that.
    pub(super) fn hold_first(&mut self, id: &ProcessId, held: Held, streams: Streams) -> u32 {
        let pid = held.pid as u32;
        let Some(task) = self.tasks.get_mut(&id.container) else { return pid };
        let streams = task.init.hold(held, streams);
        task.own_pids = has_own_pids(&task.bundle);
        task.cgroup = task.runtime.cgroup(&task.id).unwrap_or_default();
        self.watch_memory(&id.container);
        self.copy(id, streams);
        pid
    }

    pub(crate) fn start(&mut self, call: Call, request: &StartRequest) -> Answer {
        let id = ProcessId::new(&request.id, &request.exec_id);
        if !id.is_first() {
            return self.start_added(call, id);
        }
        let task = task(&mut self.tasks, &request.id)?;
        match task.init.phase {
            Phase::Created => {}
            Phase::Ended(_) => return Err(wrong_phase("start", &id, "has ended")),
            _ => return Err(wrong_phase("start", &id, "was started before")),
        }
        task.begin()?;
        task.init.phase = Phase::Starting;
        if task.checkpoint.is_some() {
            return self.restore(call, id);
        }
        let (runtime, container) = (Arc::clone(&task.runtime), task.id.clone());
        let start = move || runtime.start(&container).map_err(Failure::from);
        self.jobs.start(start, move |server: &mut Self, started| server.started(call, &id, started));
        Ok(None)
    }

    fn started(&mut self, call: Call, id: &ProcessId, started: Result<()>) {
        let Ok(task) = task(&mut self.tasks, &id.container) else { return };
        task.init.phase = Phase::Running;
        let pid = task.init.pid as u32;
        if started.is_ok() {
            self.publish(&TaskStart { container_id: id.container.clone(), pid });
        }
        self.answer(call, started.and_then(|()| done(&StartResponse { pid })));
        // It may have ended meanwhile.
        self.conclude(id);
        self.turn_over(id);
    }

    /// Whose streams are opened.
    pub(super) fn whose(&self, container: &str, options: &TaskOptions) -> Whose {
        let (container, namespace) = (container.to_owned(), self.namespace.clone());
        Whose { container, namespace, owner: options.io_owner }
    }

    /// Follows the process with its pidfd from now on.
    pub(crate) fn watch_process(&mut self, id: &ProcessId) {
        let Ok(process) = process(&mut self.tasks, id) else { return };
        let Some((pidfd, token @ None)) = &mut process.pidfd else { return };
        match self.reactor.add(&*pidfd, crate::reactor::Interest::Readable, Source::Process(id.clone())) {
            Ok(added) => *token = Some(added),
            // Its end must not be missed, and a limit or a shortage may be over soon.
            Err(e) => {
                tracing::error!("process {}: cannot wait for its end: {e}", process.pid);
                self.reactor.at(Instant::now() + AGAIN, Source::Watch(id.clone()));
            }
        }
    }
}

impl Making {
    fn make(self) -> Result<Option<(Held, Streams)>> {
        self.options.save(&self.bundle)?;
        self.files.as_ref().map_or(Ok(()), |files| files.add_to(&self.bundle))?;
        let rootfs = self.bundle.join("rootfs");
        rootfs::mount_all(&self.mounts, &rootfs)?;
        let made =
            if self.restored { self.addresses.check().map(|()| None) } else { self.launch().map(Some) };
        if made.is_err()
            && !self.mounts.is_empty()
            && let Err(e) = rootfs::unmount_all(&rootfs)
        {
            tracing::warn!("unmount {}: {e}", rootfs.display());
        }
        made
    }

    fn launch(&self) -> Result<(Held, Streams)> {
        let (stdio, streams) = self.addresses.open(&self.whose)?;
        let options = CreateOptions {
            bundle: self.bundle.clone(),
            pid_file: Some(self.bundle.join("init.pid")),
            no_pivot: self.options.no_pivot,
            no_new_keyring: self.options.no_new_keyring,
            ..CreateOptions::default()
        };
        let made = self.runtime.create_held(&self.id, &options, &stdio);
        first_with_streams((&self.runtime, &self.id), made, stdio, streams)
    }
}

/// Whether the config asks for a new PID namespace. One that cannot be read counts as one that does not: then everything is
/// killed when the first process ends, which is right in both cases.
fn has_own_pids(bundle: &Path) -> bool {
    let text = std::fs::read(bundle.join("config.json")).unwrap_or_default();
    let Ok(config) = Document::parse(text) else { return false };
    let namespaces = config.spec.linux.map(|linux| linux.namespaces).unwrap_or_default();
    namespaces.iter().any(|n| n.kind == NamespaceKind::Pid && n.path.is_empty())
}
