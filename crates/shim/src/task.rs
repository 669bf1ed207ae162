//! Containers and their processes, as containerd knows them.
//!
//! | file | what |
//! |---|---|
//! | `task/create.rs` | Create, and Start of a container |
//! | `task/exec.rs` | Exec, and Start of an added process |
//! | `task/streams.rs` | copying, CloseIO, ResizePty, and the last output |
//! | `task/end.rs` | how processes end: exits, Wait, Kill |
//! | `task/delete.rs` | Delete |
//! | `task/control.rs` | Pause, Resume, Update, Shutdown |
//! | `task/checkpoint.rs` | Checkpoint, and Start of a container that comes from one |
//! | `task/query.rs` | State, Pids, Stats, Connect |
//! | `task/report.rs` | all of it in words |
//! | `task/turn.rs` | calls that wait for one another |
//! | `task/memory.rs`, `task/levels.rs` | processes that were killed for want of memory; whose limit it was |

mod checkpoint;
mod control;
mod create;
mod delete;
mod end;
mod exec;
mod levels;
mod memory;
mod query;
mod report;
mod streams;
mod turn;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use orlop_cgroups::Cgroup;
use orlop_runtime::{ContainerId, Held, Runtime, Stdio, end_children_of_thread};
use orlop_sys::Fd;
use orlop_sys::process::pidfd_send_signal;
use orlop_sys::terminal::set_size;

use crate::reactor::Token;
use crate::server::Call;
use crate::settings::TaskOptions;
use crate::stdio::{Addresses, Logger, Streams};
use crate::ttrpc::{Code, Failure, Request, Result};
pub(crate) use create::AGAIN;
pub(crate) use end::collect;
pub(crate) use streams::Flow;

/// Names a process: a container, and which of its added processes; empty for its first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProcessId {
    pub(crate) container: String,
    pub(crate) exec: String,
}

impl ProcessId {
    pub(crate) fn new(container: &str, exec: &str) -> Self {
        Self { container: container.to_owned(), exec: exec.to_owned() }
    }

    fn is_first(&self) -> bool {
        self.exec.is_empty()
    }

    /// What events call it: the first process has the container's name.
    fn name(&self) -> &str {
        if self.is_first() { &self.container } else { &self.exec }
    }
}

/// Where a process is in its life.
///
/// ```text
///   first:  Making ──▶ Created ──▶ Starting ──▶ Running ──▶ Ended
///   added:              Added  ──▶ Starting ──▶ Running ──▶ Ended
/// ```
#[derive(Debug)]
pub(crate) enum Phase {
    /// A job is making it.
    Making,
    /// It is described, as JSON.
    Added(Vec<u8>),
    /// It waits to be started.
    Created,
    /// A job is starting it.
    Starting,
    Running,
    Ended(Exit),
}

/// How and when a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    /// 128 + n for signal n.
    pub(crate) status: u32,
    pub(crate) at: SystemTime,
}

impl Exit {
    fn now(status: i32) -> Self {
        Self { status: status as u32, at: SystemTime::now() }
    }
}

/// A process of a container.
#[derive(Debug)]
pub(crate) struct Process {
    addresses: Addresses,
    phase: Phase,
    pid: i32,
    /// While it is not waited for.
    pidfd: Option<(OwnedFd, Option<Token>)>,
    /// It has ended, but containerd is not to hear of it before something else.
    ended: Option<Exit>,
    terminal: Option<OwnedFd>,
    /// The other writer of its input's FIFO.
    holder: Option<OwnedFd>,
    logger: Option<Logger>,
    /// Its copies, as the server numbers them.
    input: Option<u64>,
    outputs: Vec<u64>,
    waiting: Vec<Call>,
    deleting: Option<delete::Deleting>,
    early: Early,
}

/// What came before there was a process to do it to.
#[derive(Debug, Default)]
struct Early {
    /// Its input is closed.
    closed: bool,
    /// Rows and columns of its terminal.
    size: Option<(u16, u16)>,
    signals: Vec<i32>,
}

impl Process {
    fn new(addresses: Addresses, phase: Phase) -> Self {
        Self {
            addresses,
            phase,
            pid: 0,
            pidfd: None,
            ended: None,
            terminal: None,
            holder: None,
            logger: None,
            input: None,
            outputs: Vec::new(),
            waiting: Vec::new(),
            deleting: None,
            early: Early::default(),
        }
    }

    const fn exit(&self) -> Option<Exit> {
        if let Phase::Ended(exit) = self.phase { Some(exit) } else { None }
    }

    /// It exists, and is ours. What was asked of it before is done.
    fn hold(&mut self, held: Held, mut streams: Streams) -> Streams {
        self.pid = held.pid;
        self.terminal = held.terminal;
        self.holder = streams.holder.take().filter(|_| !self.early.closed);
        if let (Some(terminal), Some((rows, columns))) = (&self.terminal, self.early.size)
            && let Err(e) = set_size(Fd::of(terminal), rows, columns)
        {
            tracing::warn!("resize the terminal of process {}: {e}", self.pid);
        }
        for signal in std::mem::take(&mut self.early.signals) {
            if let Err(e) = pidfd_send_signal(Fd::of(&held.pidfd), signal) {
                tracing::warn!("send signal {signal} to process {}: {e}", self.pid);
            }
        }
        self.logger = streams.logger.take();
        self.pidfd = Some((held.pidfd, None));
        streams
    }
}

/// A container.
#[derive(Debug)]
pub(crate) struct Task {
    id: ContainerId,
    bundle: PathBuf,
    runtime: Arc<Runtime>,
    options: TaskOptions,
    init: Process,
    execs: BTreeMap<String, Process>,
    /// The images that it is to be restored from, until it has been.
    checkpoint: Option<PathBuf>,
    /// The end of its first process ends the others too: it has a PID namespace of its own.
    own_pids: bool,
    paused: bool,
    /// A job changes it as a whole.
    busy: bool,
    /// What was asked meanwhile.
    later: Vec<(Call, Request)>,
    cgroup: Option<Cgroup>,
    memory: memory::Watch,
}

impl Task {
    fn process(&mut self, exec: &str) -> Option<&mut Process> {
        if exec.is_empty() { Some(&mut self.init) } else { self.execs.get_mut(exec) }
    }

    const fn is_being_made(&self) -> bool {
        matches!(self.init.phase, Phase::Making)
    }

    /// Whether there is a use for it: its program runs, or its bundle is there, without which containerd knows nothing of it.
    /// One that was not started before that happened never will be.
    pub(crate) fn is_of_use(&self) -> bool {
        matches!(self.init.phase, Phase::Making | Phase::Starting | Phase::Running) || self.bundle.exists()
    }
}

/// The containers.
pub(crate) type Tasks = BTreeMap<String, Task>;

/// The container with this id.
pub(crate) fn task<'a>(tasks: &'a mut Tasks, id: &str) -> Result<&'a mut Task> {
    tasks.get_mut(id).ok_or_else(|| Failure::new(Code::NotFound, format!("container {id:?} does not exist")))
}

/// The process with this id.
pub(crate) fn process<'a>(tasks: &'a mut Tasks, id: &ProcessId) -> Result<&'a mut Process> {
    let none = || Failure::new(Code::NotFound, format!("process {:?} does not exist", id.exec));
    task(tasks, &id.container)?.process(&id.exec).ok_or_else(none)
}

/// Ends a process that nobody would ever hear of.
fn end(held: &Held) {
    let killed = pidfd_send_signal(Fd::of(&held.pidfd), libc::SIGKILL);
    if let Err(e) = killed.and_then(|()| end::reap(Fd::of(&held.pidfd))) {
        tracing::warn!("end process {}: {e}", held.pid);
    }
}

/// What has come of making a process that has these streams: it is connected to its terminal, if it has one, or there is
/// nothing left.
fn with_streams(
    made: orlop_runtime::Result<Held>,
    stdio: Stdio,
    mut streams: Streams,
) -> Result<(Held, Streams)> {
    let held = match made {
        Ok(held) => held,
        Err(e) => {
            // A logging program is a child too, and has time to end.
            let alone = streams.logger.is_none();
            streams.give_up(stdio);
            if alone {
                end_children_of_thread();
            }
            return Err(e.into());
        }
    };
    held.terminal.as_ref().map_or(Ok(()), |master| streams.connect(master)).inspect_err(|_| end(&held))?;
    Ok((held, streams))
}

/// The same for the first process of a container, without which there is no container either.
fn first_with_streams(
    (runtime, id): (&Runtime, &ContainerId),
    made: orlop_runtime::Result<Held>,
    stdio: Stdio,
    streams: Streams,
) -> Result<(Held, Streams)> {
    let exists = made.is_ok();
    with_streams(made, stdio, streams).inspect_err(|_| {
        if exists && let Err(e) = runtime.delete(id, true) {
            tracing::warn!("{e}");
        }
    })
}

fn wrong_phase(doing: &str, id: &ProcessId, phase: &str) -> Failure {
    Failure::new(Code::FailedPrecondition, format!("cannot {doing} {:?}: it {phase}", id.name()))
}
