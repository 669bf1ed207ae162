//! The server: one thread that waits for everything and owns everything.
//!
//! | file | what |
//! |---|---|
//! | `server/connections.rs` | accepting, reading requests, writing answers |
//! | `server/service.rs` | which method is which function |
//! | `server/signals.rs` | what signals mean: an end, or a report of what is waited for |
//!
//! Nothing in this thread waits for anything but [`Reactor::wait`]. What may take long is a job ([`crate::jobs`]), and what
//! comes of it is dealt with here.

mod connections;
mod service;
mod signals;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use orlop_protobuf::Message;

use crate::jobs::Jobs;
use crate::messages::events::Event;
use crate::publisher::{Next, Publisher};
use crate::reactor::{Interest, Reactor, Token};
use crate::sandbox::Sandbox;
use crate::task::{Flow, ProcessId, Task, Tasks};
use crate::ttrpc;
use connections::Peer;
pub(crate) use signals::Signals;

/// A call that is to be answered: by which connection it came, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    peer: u64,
    stream: u32,
}

/// What a method comes to: the answer, or `None` if that follows.
pub(crate) type Answer = ttrpc::Result<Option<Vec<u8>>>;

/// An answer.
#[expect(clippy::unnecessary_wraps, reason = "it is what methods end with")]
pub(crate) fn done(response: &impl Message) -> ttrpc::Result<Vec<u8>> {
    Ok(response.encode())
}

/// The answer of what has no result.
#[expect(clippy::unnecessary_wraps, reason = "it is what methods end with")]
pub(crate) fn empty() -> Answer {
    Ok(Some(Vec::new()))
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Somebody connects.
    Listener,
    /// A connection has something to read or room to write.
    Peer(u64),
    /// A signal has come.
    Signals,
    /// A job is done.
    Jobs,
    /// containerd answers an event.
    Publisher,
    /// It is time to send events again.
    Publish,
    /// A process has ended.
    Process(ProcessId),
    /// It could not be watched, and may be now.
    Watch(ProcessId),
    /// A side of a copy is ready.
    Flow(u64),
    /// A cgroup's memory events have changed.
    Memory(String),
    /// The output of a process has been waited for.
    Drained(ProcessId),
    /// The end of a process is not kept back any longer.
    Late(ProcessId),
    /// The process of the pod has ended.
    Sandbox,
    /// The containers of the pod have had their time.
    Grace,
    /// The caller does not wait any longer.
    Overdue(Call),
    /// A call does not wait for its turn any longer.
    Turn(Call),
    /// Nobody may have use for us.
    Deserted,
    /// Nothing may have been held for long.
    Unused,
    /// The last events are not waited for any longer.
    Quit,
}

/// How long the last events are waited for when everything else is done.
const LAST_EVENTS: Duration = Duration::from_secs(2);

/// How long others may take then to close their connections: to containerd's side of ttrpc, an answer that the end of the
/// connection follows at once can be lost.
const GOODBYE: Duration = Duration::from_millis(300);

/// How long a server stays that holds nothing and that nobody is connected to. Its containerd has died before it knew enough
/// of it to find it again.
const DESERTED: Duration = Duration::from_secs(10);

/// How long a server stays that holds nothing though somebody is connected: a containerd that was killed before it made a
/// container, or after it deleted the last one, and that is back. 1.6 does not end such a shim, and does nothing with it.
const UNUSED: Duration = Duration::from_secs(20);

/// How much is read at once, in bytes.
const SCRATCH: usize = 32 << 10;

/// The shim.
pub(crate) struct Server {
    pub(crate) namespace: String,
    pub(crate) tasks: Tasks,
    pub(crate) sandbox: Option<Sandbox>,
    /// With the end of the pod, the shim ends too.
    pub(crate) leaving: bool,
    pub(crate) jobs: Jobs<Self>,
    pub(crate) reactor: Reactor<Source>,
    pub(crate) flows: BTreeMap<u64, Flow>,
    pub(crate) last_flow: u64,
    /// Where bytes are on their way through.
    pub(crate) scratch: Vec<u8>,
    signals: Signals,
    publisher: Publisher,
    publisher_token: Option<Token>,
    /// There is a moment at which the answer to an event is given up.
    deadline_set: bool,
    listener: UnixListener,
    /// The listener's file, which goes away with us.
    socket: PathBuf,
    peers: BTreeMap<u64, Peer>,
    last_peer: u64,
    quitting: Quitting,
    /// Since when nothing is held, if that is so.
    empty: Instant,
}

/// Whether the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quitting {
    No,
    /// When the last answers and events have left.
    Soon,
    /// When the others have closed their connections.
    Hanging,
    Now,
}

impl Server {
    /// Serves calls that come in at `listener`, whose file `socket` is.
    pub(crate) fn new(
        listener: UnixListener,
        signals: Signals,
        socket: PathBuf,
        namespace: String,
        events: Option<PathBuf>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let mut reactor = Reactor::new()?;
        let jobs = Jobs::new()?;
        reactor.add(&listener, Interest::Readable, Source::Listener)?;
        reactor.add(&jobs, Interest::Readable, Source::Jobs)?;
        reactor.add(&signals, Interest::Readable, Source::Signals)?;
        let mut server = Self {
            signals,
            publisher: Publisher::new(events, namespace.clone()),
            publisher_token: None,
            deadline_set: false,
            namespace,
            tasks: Tasks::new(),
            sandbox: None,
            leaving: false,
            jobs,
            reactor,
            flows: BTreeMap::new(),
            last_flow: 0,
            scratch: vec![0; SCRATCH],
            listener,
            socket,
            peers: BTreeMap::new(),
            last_peer: 0,
            quitting: Quitting::No,
            empty: Instant::now(),
        };
        server.look_again();
        server.emptied();
        Ok(server)
    }

    /// Runs until [`Server::quit`].
    pub(crate) fn run(mut self) -> io::Result<()> {
        loop {
            for source in self.reactor.wait()? {
                self.happened(&source);
            }
            let idle = self.publisher.is_empty() && self.jobs.is_idle() && !self.has_output();
            match self.quitting {
                Quitting::Soon if idle && self.peers.is_empty() => return Ok(()),
                Quitting::Soon if idle => {
                    self.quitting = Quitting::Hanging;
                    self.reactor.at(Instant::now() + GOODBYE, Source::Quit);
                }
                Quitting::Hanging if self.peers.is_empty() => return Ok(()),
                Quitting::Now => return Ok(()),
                Quitting::No | Quitting::Soon | Quitting::Hanging => {}
            }
        }
    }

    fn happened(&mut self, source: &Source) {
        match source {
            Source::Listener => self.accept(),
            Source::Peer(peer) => self.serve(*peer),
            Source::Signals => self.signalled(),
            Source::Jobs => {
                for then in self.jobs.finished() {
                    then(self);
                }
            }
            Source::Publisher => self.events_answered(),
            Source::Publish => self.events_again(),
            Source::Process(id) => self.process_ended(id),
            Source::Watch(id) => self.watch_process(id),
            Source::Flow(number) => self.flow(*number),
            Source::Memory(id) => self.memory_changed(id),
            Source::Drained(id) => self.drained(id),
            Source::Late(id) => self.tell_end(id),
            Source::Sandbox => self.watch_sandbox(),
            Source::Grace => self.grace_over(),
            Source::Overdue(call) => self.overdue(*call),
            Source::Turn(call) => self.no_turn(*call),
            Source::Unused => self.maybe_unused(),
            Source::Deserted => self.maybe_deserted(),
            Source::Quit => self.quitting = Quitting::Now,
        }
    }

    /// Ends soon. Nobody can connect any more.
    pub(crate) fn quit(&mut self) {
        if self.quitting != Quitting::No {
            return;
        }
        self.quitting = Quitting::Soon;
        if let Err(e) = std::fs::remove_file(&self.socket) {
            tracing::debug!("remove {}: {e}", self.socket.display());
        }
        self.reactor.at(Instant::now() + LAST_EVENTS, Source::Quit);
    }

    /// Whether it ends soon.
    pub(crate) fn is_quitting(&self) -> bool {
        self.quitting != Quitting::No
    }

    /// Looks later whether anybody has use for us.
    pub(crate) fn look_again(&mut self) {
        self.reactor.at(Instant::now() + DESERTED, Source::Deserted);
    }

    /// Ends if it is true that nobody has use for us; what there is of containers then is taken away before.
    pub(crate) fn maybe_deserted(&mut self) {
        if !self.peers.is_empty() {
            return;
        }
        let pod = self.sandbox.as_ref().is_some_and(Sandbox::is_of_use);
        if pod || !self.jobs.is_idle() || self.tasks.values().any(Task::is_of_use) {
            // containerd may still take away what it does not know.
            return self.look_again();
        }
        if !self.tasks.is_empty() {
            tracing::info!("nobody is connected and knows the containers: they are taken away");
            for container in self.tasks.keys().cloned().collect::<Vec<_>>() {
                self.take_away(&container);
            }
            return;
        }
        tracing::info!("nobody is connected and there is nothing to hold: the shim ends");
        self.quit();
    }

    /// There may be no container any more: then the next one has to come soon.
    pub(crate) fn emptied(&mut self) {
        if self.tasks.is_empty() {
            self.empty = Instant::now();
            self.reactor.at(self.empty + UNUSED, Source::Unused);
        }
    }

    /// Ends if nothing has been held since that was planned.
    fn maybe_unused(&mut self) {
        if self.sandbox.is_some() || !self.tasks.is_empty() || self.empty.elapsed() < UNUSED {
            return;
        }
        if !self.jobs.is_idle() {
            return self.emptied();
        }
        tracing::info!("whoever is connected has no use for the shim: it ends");
        self.quit();
    }

    /// Tells containerd of something.
    pub(crate) fn publish<E: Event>(&mut self, event: &E) {
        self.publisher.add(event);
        self.send_events();
    }

    fn send_events(&mut self) {
        let next = self.publisher.send();
        self.next_event(next);
    }

    fn next_event(&mut self, next: Next) {
        if next != Next::Wait
            && let Some(gone) = self.publisher_token.take()
        {
            self.reactor.forget(gone);
        }
        match next {
            Next::Wait => {}
            Next::Retry(after) => self.reactor.at(Instant::now() + after, Source::Publish),
            Next::Connected => {
                let connection = self.publisher.connection();
                let add =
                    |connection| self.reactor.add(connection, Interest::Readable, Source::Publisher).ok();
                // What cannot be waited for is looked at when its time is over.
                self.publisher_token = connection.and_then(add);
            }
        }
        if let Some(deadline) = self.publisher.deadline().filter(|_| !self.deadline_set) {
            self.deadline_set = true;
            self.reactor.at(deadline, Source::Publish);
        }
    }

    /// It is time to try again, or to give an answer up.
    fn events_again(&mut self) {
        self.deadline_set = false;
        if self.publisher.deadline().is_some_and(|deadline| deadline <= Instant::now()) {
            let next = self.publisher.failed(&io::ErrorKind::TimedOut.into());
            return self.next_event(next);
        }
        self.send_events();
    }

    fn events_answered(&mut self) {
        match self.publisher.serve(&mut self.scratch) {
            Ok(true) => self.send_events(),
            Ok(false) => {}
            Err(next) => self.next_event(next),
        }
    }
}
