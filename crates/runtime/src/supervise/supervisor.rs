//! Being a supervisor: one process, one thread, one container.

use std::fs::File;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{dup2_stderr, dup2_stdout};
use orlop_spec::Status;
use orlop_sys::Fd;
use orlop_sys::process::{pidfd_send_signal, setsid};
use orlop_sys::wait::{How, wait};

use super::begin;
use super::life::{Life, Phase};
use super::logfile::LogFile;
use super::output::State;
use super::policy::Pause;
use super::run::{Run, Streams};
use super::settings::Settings;
use super::stop::{self, STOP_TIMEOUT};
use crate::clock::now;
use crate::error::{Doing, Error, Result};
use crate::held::Held;
use crate::id::ContainerId;
use crate::liveness::Process;
use crate::reactor::{Interest, Reactor};
use crate::runtime::Runtime;
use crate::store::StateDir;

/// How much is read at once, in bytes.
const PIECE: usize = 16 * 1024;
/// How much is read of a stream that somebody else still holds when the container has ended, in pieces.
const LAST_WORDS: usize = 4;

/// What the supervisor waits for. The numbers are those of runs: what belongs to an earlier one means nothing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    Signals,
    /// Something to read.
    Output(usize),
    /// The process has ended.
    End,
    /// The time to end by itself is over.
    Kill(u32),
    /// The pause is over.
    Again(u32),
    /// It is time to check the health: of which run.
    Check(u32),
    /// The check has written something.
    CheckOutput,
    /// The check has ended.
    CheckEnd,
    /// The check has taken too long: of which run, and which one.
    CheckTimeout(u32, u32),
}

/// A supervisor at work.
pub(super) struct Supervisor {
    pub(super) runtime: Runtime,
    pub(super) id: ContainerId,
    dir: StateDir,
    pub(super) settings: Settings,
    pub(super) life: Life,
    pub(super) reactor: Reactor<Source>,
    signals: SignalFd,
    log: Option<LogFile>,
    /// What it has failed to write was told of.
    log_failed: bool,
    pub(super) run: Option<Run>,
    /// How many runs there were.
    pub(super) runs: u32,
    pause: Pause,
    pub(super) stopping: bool,
    pub(super) scratch: Vec<u8>,
}

impl Runtime {
    /// Supervises a container that [`Runtime::run_supervised`] or [`Runtime::start_any`] has prepared: in this process, which
    /// they have started for it. Returns when the container has ended for good.
    ///
    /// # Errors
    ///
    /// Why the container could not be run the first time. What comes later is recorded.
    pub fn supervise(mut self, id: &ContainerId) -> Result<()> {
        let dir = self.store.find(id)?;
        let settings = Settings::read(&dir).map_err(|e| match e {
            Error::NotExist { .. } => {
                Error::usage(format!("container {id} was not made for a supervisor; `orlop run` starts one"))
            }
            e => e,
        })?;
        if begin::of(&dir)?.is_some() {
            return Err(Error::usage(format!("container {id} has a supervisor already")));
        }
        self.settings.cgroup_manager = settings.cgroup_manager;
        self.settings.rootless = settings.rootless;
        let mut supervisor = Supervisor::new(self, id, dir, settings)?;
        supervisor.first_run()?;
        say_ready()?;
        while supervisor.life.phase != Phase::Ended {
            for source in supervisor.reactor.wait().doing(|| "wait for the container".to_owned())? {
                supervisor.happened(source);
            }
        }
        if supervisor.settings.supervision.remove { supervisor.remove() } else { Ok(()) }
    }
}

/// Tells who has started us, and lets go of what they have given us. What is logged to standard error has no reader from
/// now on.
fn say_ready() -> Result<()> {
    let doing = || "say that the container runs".to_owned();
    // Whoever asked may have gone; the container runs all the same.
    nix::unistd::write(std::io::stdout(), b"1").ok();
    let null = File::options().write(true).open("/dev/null").doing(doing)?;
    dup2_stdout(&null).doing(doing)?;
    dup2_stderr(&null).doing(doing)
}

impl Supervisor {
    fn new(runtime: Runtime, id: &ContainerId, dir: StateDir, settings: Settings) -> Result<Self> {
        // Whoever started us may lead our group: then we had a session of our own before.
        setsid().ok();
        let mut set = SigSet::empty();
        for signal in [
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGHUP,
            Signal::SIGQUIT,
            Signal::SIGUSR1,
            Signal::SIGUSR2,
        ] {
            set.add(signal);
        }
        let doing = || "collect signals".to_owned();
        set.thread_block().doing(doing)?;
        let signals =
            SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).doing(doing)?;
        std::env::set_current_dir("/").doing(|| "leave the working directory".to_owned())?;
        let mut reactor = Reactor::new().doing(|| "make an epoll instance".to_owned())?;
        reactor.add(&signals, Interest::Readable, Source::Signals).doing(doing)?;
        let logging = settings.supervision.logging.as_ref();
        let log = logging.map(|logging| LogFile::open(&dir, id.as_str(), logging)).transpose()?;
        Ok(Self {
            life: Life::new(Process::of(std::process::id() as i32)?),
            runtime,
            id: id.clone(),
            dir,
            settings,
            reactor,
            signals,
            log,
            log_failed: false,
            run: None,
            runs: 0,
            pause: Pause::default(),
            stopping: false,
            scratch: vec![0; PIECE],
        })
    }

    fn first_run(&mut self) -> Result<()> {
        let before = Life::read(&self.dir)?;
        let first = before.is_none();
        self.life.write(&self.dir)?;
        let ran = if first { Ok(()) } else { self.take_down() }.and_then(|()| self.begin(first));
        ran.inspect_err(|e| {
            self.failed(e);
        })
    }

    /// Runs the container.
    fn begin(&mut self, first: bool) -> Result<()> {
        let streams = Streams::new(self.log.is_some())?;
        let options = self.settings.options(&self.dir, first);
        let held = self.runtime.run_held(&self.id, &options, &streams.stdio, &self.settings.created)?;
        self.runs += 1;
        if let Err(e) = self.hold(held, streams) {
            return Err(self.runtime.load(&self.id)?.ended_by(e));
        }
        self.life.phase = Phase::Running;
        self.life.started = Some(now());
        (self.life.finished, self.life.exit_code, self.life.error) = (None, None, None);
        self.plan_first_check();
        self.record();
        Ok(())
    }

    /// Waits for the container from now on.
    fn hold(&mut self, mut held: Held, streams: Streams) -> Result<()> {
        let doing = || "wait for the container".to_owned();
        let mut outputs = Vec::new();
        for (index, output) in streams.of(&mut held)?.into_iter().enumerate() {
            let token = self.reactor.add(&output.from, Interest::Readable, Source::Output(index));
            outputs.push(Some((output, token.doing(doing)?)));
        }
        let token = self.reactor.add(&held.pidfd, Interest::Readable, Source::End).doing(doing)?;
        let (pidfd, began) = (held.pidfd, Instant::now());
        self.run = Some(Run { pidfd, token: Some(token), outputs, began, check: None, checks: 0 });
        Ok(())
    }

    fn happened(&mut self, source: Source) {
        match source {
            Source::Signals => self.signalled(),
            Source::Output(index) => self.read(index),
            Source::End => self.ended(),
            Source::Kill(run) if run == self.runs => self.kill(),
            Source::Again(run) if run == self.runs && self.run.is_none() && !self.stopping => self.again(),
            Source::Check(run) if run == self.runs => self.check(),
            Source::CheckOutput => self.check_said(),
            Source::CheckEnd => self.check_ended(),
            Source::CheckTimeout(run, number) if run == self.runs => self.check_too_late(number),
            Source::Kill(_) | Source::Again(_) | Source::Check(_) | Source::CheckTimeout(..) => {}
        }
    }

    fn signalled(&mut self) {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            match signal.ssi_signo as i32 {
                // Who ends the supervisor wants no container without one.
                libc::SIGTERM | libc::SIGINT | libc::SIGQUIT => self.stop(Some(STOP_TIMEOUT)),
                stop::LOOK => match stop::requested(&self.dir) {
                    Ok(Some(timeout)) => self.stop(timeout),
                    Ok(None) => {}
                    Err(e) => tracing::warn!("{e}"),
                },
                _ => {}
            }
        }
    }

    /// Asks the container to end; it is not run again. Asked twice, the sooner time counts.
    fn stop(&mut self, timeout: Option<Duration>) {
        self.stopping = true;
        let Some(run) = &self.run else { return self.end() };
        let signal = self.runtime.load(&self.id).map_or(libc::SIGTERM, |container| container.stop_signal());
        pidfd_send_signal(Fd::of(&run.pidfd), signal).ok(); // it may just have ended
        if let Some(timeout) = timeout {
            self.reactor.at(Instant::now() + timeout, Source::Kill(self.runs));
        }
    }

    fn kill(&mut self) {
        if let Some(run) = &self.run {
            pidfd_send_signal(Fd::of(&run.pidfd), libc::SIGKILL).ok(); // as above
        }
    }

    fn read(&mut self, index: usize) {
        let Some(run) = &mut self.run else { return };
        let Some(Some((output, token))) = run.outputs.get_mut(index) else { return };
        let mut sink =
            Sink { log: &mut self.log, dir: &self.dir, id: &self.id, failed: &mut self.log_failed };
        if output.read(&mut self.scratch, &mut |stream, bytes| sink.write(stream, bytes)) == State::Ended {
            self.reactor.remove(&output.from, *token);
            run.outputs[index] = None;
        }
    }

    /// The container's process has ended.
    fn ended(&mut self) {
        let Some(mut run) = self.run.take() else { return };
        self.forget_check(&mut run);
        let how = wait(Fd::of(&run.pidfd));
        if let Some(token) = run.token.take() {
            self.reactor.remove(&run.pidfd, token);
        }
        // What the container's process has started ends with it, whether or not its namespace has ended them.
        if let Err(e) = self.runtime.load(&self.id).and_then(|container| container.end_processes()) {
            tracing::warn!("end what is left of the container: {e}");
        }
        let mut sink =
            Sink { log: &mut self.log, dir: &self.dir, id: &self.id, failed: &mut self.log_failed };
        for (mut output, token) in run.outputs.into_iter().flatten() {
            let mut tell = |stream: &'static str, bytes: &[u8]| sink.write(stream, bytes);
            for _ in 0..LAST_WORDS {
                if output.read(&mut self.scratch, &mut tell) != State::More {
                    break;
                }
            }
            output.end(&mut tell);
            self.reactor.remove(&output.from, token);
        }
        self.life.finished = Some(now());
        let status = match how.map(How::status) {
            Ok(status) => status,
            Err(e) => {
                return self.failed(&Error::usage(format!("how the container ended is not known: {e}")));
            }
        };
        self.life.exit_code = Some(status);
        if self.stopping || !self.settings.supervision.restart.again(status, self.life.restarts) {
            return self.end();
        }
        self.life.phase = Phase::Restarting;
        self.record();
        let pause = self.pause.after(run.began.elapsed());
        self.reactor.at(Instant::now() + pause, Source::Again(self.runs));
    }

    fn again(&mut self) {
        self.life.restarts += 1;
        self.life.phase = Phase::Starting;
        self.record();
        if let Err(e) = self.take_down().and_then(|()| self.begin(false)) {
            tracing::warn!("container {}: {e}", self.id);
            self.failed(&e);
        }
    }

    /// Removes what was made for the run before.
    fn take_down(&self) -> Result<()> {
        let container = match self.runtime.load(&self.id) {
            // There was none: it could not be made.
            Err(Error::NotExist { .. }) => return Ok(()),
            loaded => loaded?,
        };
        container.take_down()?;
        container.run_poststop(&container.poststop_hooks())
    }

    /// The container cannot be run.
    fn failed(&mut self, error: &Error) {
        self.life.error = Some(error.to_string());
        // What is left of the attempt must not look like a container in the making.
        if let Ok(mut saved) = self.dir.read_state()
            && saved.status == Status::Creating
        {
            (saved.status, saved.process) = (Status::Stopped, None);
            if let Err(e) = self.dir.write_state(&saved) {
                tracing::warn!("{e}");
            }
        }
        self.end();
    }

    /// Deletes the container, which has ended for good: as [`Runtime::delete`], but for the supervisor.
    fn remove(&self) -> Result<()> {
        let container = match self.runtime.load(&self.id) {
            // Somebody else was faster.
            Err(Error::NotExist { .. }) => return Ok(()),
            loaded => loaded?,
        };
        container.take_down()?;
        // The config goes with the state directory, and is needed once more.
        let hooks = container.poststop_hooks();
        self.dir.remove()?;
        container.run_poststop(&hooks)
    }

    /// Nothing more is to be done.
    fn end(&mut self) {
        self.life.phase = Phase::Ended;
        self.record();
    }

    pub(super) fn record(&self) {
        if let Err(e) = self.life.write(&self.dir) {
            tracing::warn!("{e}");
        }
    }
}

/// Where output goes.
struct Sink<'a> {
    log: &'a mut Option<LogFile>,
    dir: &'a StateDir,
    id: &'a ContainerId,
    failed: &'a mut bool,
}

impl Sink<'_> {
    /// What cannot be written is lost, and the container goes on.
    fn write(&mut self, stream: &str, bytes: &[u8]) {
        let Some(log) = self.log else { return };
        match log.write(self.dir, self.id.as_str(), stream, bytes) {
            Ok(()) => *self.failed = false,
            Err(e) if !*self.failed => {
                *self.failed = true;
                tracing::warn!("{e}");
            }
            Err(_) => {}
        }
    }
}
