//! What is asked for: a bundle to make a container of, and what that means for the process that is being made.

use std::cell::{Cell, OnceCell};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

use orlop_cgroups::Cgroup;
use orlop_compile::{Compiled, Diagnostics, HookTime, Host, Mode, OVERLAY, Options};
use orlop_spec::{NamespaceKind, Spec, Status};

use crate::bundle::Bundle;
use crate::console::{self, Console};
use crate::create::{Made, delegate};
use crate::draft::Draft;
use crate::error::{Error, Result};
use crate::held::Stdio;
use crate::hooks::{self, Kind};
use crate::id::ContainerId;
use crate::join::Inside;
use crate::launch::{self, Event, NewNetwork, Session};
use crate::notify::Relay;
use crate::options::{CgroupManager, CreateOptions};
use crate::pidfd_socket::PidfdSocket;
use crate::state::{ContainerState, StateFile};
use crate::trace::Trace;
use crate::wait::Foreground;
use crate::{agent, files, join};

/// Names a socket that wants a pidfd of the container's process: crun's annotation.
const PIDFD_RECEIVER: &str = "run.oci.pidfd_receiver";

/// A bundle to make a container of, with all that the command line says about it.
pub(crate) struct Order<'a> {
    pub(crate) id: &'a ContainerId,
    pub(crate) bundle: Bundle,
    pub(crate) options: &'a CreateOptions,
    pub(crate) mode: Mode,
    pub(crate) cgroups: CgroupManager,
    /// It is given a way to tell when it is ready, if the caller wants to know.
    pub(crate) notifies: bool,
    /// When each step of making it begins and ends, if somebody wants to know.
    pub(crate) trace: Option<Trace>,
    /// The caller holds it: its streams, and its terminal.
    pub(crate) held: Option<&'a Stdio>,
    /// It is a supervised container's, which has its state directory since then.
    pub(crate) supervised: Option<&'a str>,
    /// Who waits for the container's end, if nobody wants to know that it runs.
    pub(crate) foreground: OnceCell<Rc<Foreground>>,
    /// The network namespace that is being made already.
    pub(crate) network: Cell<Option<NewNetwork>>,
}

impl Order<'_> {
    /// The host's side begins something else.
    pub(crate) fn phase(&self, name: &'static str) {
        if let Some(trace) = &self.trace {
            trace.phase(name);
        }
    }

    /// The sockets that want the terminal and a pidfd, if there are any.
    pub(crate) fn connect_sockets(&self) -> Result<(Option<OwnedFd>, Option<PidfdSocket>)> {
        let console = self.options.console_socket.as_deref().map(console::connect_console_socket);
        let pidfd = self.options.pidfd_socket.as_deref().map(PidfdSocket::connect);
        Ok((console.transpose()?, pidfd.transpose()?))
    }

    pub(crate) fn has_terminal(&self) -> bool {
        self.bundle.config.spec.process.as_ref().is_some_and(|process| process.terminal)
    }

    /// A container without a cgroup is known by its PID namespace; without one of these either, nobody can tell which
    /// processes are its own. The words are runc's.
    pub(crate) fn warn_of_strays(&self, cgroup: Option<&Cgroup>) {
        if cgroup.is_none() && !self.has_new(&NamespaceKind::Pid) {
            tracing::warn!(
                "the container has no cgroup and no PID namespace of its own, so `kill` and `delete` reach its first \
                 process only. Such configuration is strongly discouraged"
            );
        }
    }

    pub(crate) fn has_new(&self, kind: &NamespaceKind) -> bool {
        let linux = self.bundle.config.spec.linux.as_ref();
        linux.is_some_and(|linux| linux.namespaces.iter().any(|n| n.kind == *kind && n.path.is_empty()))
    }

    /// An error, with lines and columns of the config.
    pub(crate) fn locate(&self, error: Error) -> Error {
        error.located_in(&self.bundle.config.text)
    }

    /// Whether init asks for nothing but a word before exec: that the state is written down (`Step::AwaitWord`).
    pub(crate) fn owes_record(&self) -> bool {
        self.mode == Mode::Run && self.bundle.config.spec.hooks.start_container.is_empty()
    }

    pub(crate) fn args(&self) -> &[String] {
        self.bundle.config.spec.process.as_ref().map_or(&[], |process| &process.args)
    }

    /// `scratch`: a directory of ours, where an overlay can be attached in the container's mount namespace.
    pub(crate) fn compile(&self, host: &Host, scratch: &Path) -> Result<Compiled> {
        let bundle = &self.bundle;
        let order = (self.id, self.options, self.mode);
        compile(&bundle.config.spec, &bundle.path, host, order, self.cgroups, scratch)
            .map_err(|found| bundle.refused(&found))
    }

    /// Tells init that the state is written down, if it asks for nothing else.
    pub(crate) fn let_run(&self, session: &Session<'_>, compiled: &Compiled) -> Result<()> {
        if !self.owes_record() || compiled.launch.waits_for_host() || self.has_terminal() {
            return Ok(());
        }
        // Init asks for this word much later; by then it has been there for long.
        session.proceed()?;
        match self.foreground.get() {
            _ if compiled.launch.seccomp_agent.is_some() => Ok(()),
            Some(foreground) => session.end_unless(foreground.signals()),
            None => session.fall_silent(),
        }
    }

    /// Whether somebody is to be told that the container runs, right then.
    pub(crate) fn is_announced(&self) -> bool {
        let spec = &self.bundle.config.spec;
        self.options.pid_file.is_some()
            || self.notifies
            || self.trace.is_some()
            || !spec.hooks.poststart.is_empty()
            || spec.annotations.contains_key(PIDFD_RECEIVER)
            || tracing::enabled!(tracing::Level::DEBUG)
    }

    /// Talks to init until the container waits or runs; its terminal, if nobody else is sent it.
    pub(crate) fn converse(
        &self,
        session: &mut Session<'_>,
        (compiled, host): (&Compiled, &Host),
        state: &mut StateFile,
        draft: &Draft,
        console_socket: Option<&OwnedFd>,
    ) -> Result<Option<Console>> {
        let mut console = None;
        loop {
            match session.next()? {
                Event::Hooks => {
                    delegate(compiled, session.pid(), draft)?;
                    self.hooks_before_pivot(host, state, draft)?;
                    session.proceed()?;
                    if self.owes_record() && !self.has_terminal() {
                        session.proceed()?;
                    }
                }
                Event::MapIds(number, tree) => {
                    launch::map_ids(&compiled.launch, number, &tree)?;
                    session.proceed()?;
                    let last = usize::from(number) + 1 == compiled.launch.maps_by_host.len();
                    if last && self.owes_record() && !compiled.launch.sync_hooks && !self.has_terminal() {
                        session.proceed()?;
                    }
                }
                Event::Console(master) => {
                    match console_socket {
                        Some(socket) => console::send_master(socket, &master)?,
                        None => console = Some(Console::new(master, self.held.is_some())?),
                    }
                    session.proceed()?;
                    if self.owes_record() {
                        session.proceed()?;
                    }
                }
                Event::SeccompListener(number) => {
                    if let Some(agent) = &compiled.launch.seccomp_agent {
                        let told = ContainerState::new(state.clone(), state.status.clone()).to_oci();
                        agent::hand_over(agent, number, session.pidfd(), session.pid(), told)?;
                    }
                    session.proceed()?;
                }
                Event::Ready if self.mode == Mode::Create => {
                    // Before others can know of it: `start` waits for init, and is not to wait for us too.
                    session.proceed()?;
                    state.status = Status::Created;
                    draft.dir().write_state(state)?;
                    self.announce(state, session)?;
                    return Ok(console);
                }
                Event::Begin => session.proceed()?,
                Event::Root => {}
                Event::Ready => {
                    self.start_hooks(host, state, draft)?;
                    session.proceed()?;
                }
                Event::Running => {
                    tracing::debug!("init: closing the pipe to signal completion");
                    self.announce(state, session)?;
                    return Ok(console);
                }
            }
        }
    }

    /// Tells those who asked which process is the container's: by its number in a file, and by a pidfd to a socket, which
    /// is crun's annotation.
    pub(crate) fn announce(&self, state: &StateFile, session: &Session<'_>) -> Result<()> {
        if let Some(path) = state.annotations.get(PIDFD_RECEIVER) {
            PidfdSocket::connect(Path::new(path))?.send(session.pidfd())?;
        }
        self.write_pid_file(state)
    }

    /// Writes the number of the container's process where the caller asked for it.
    pub(crate) fn write_pid_file(&self, state: &StateFile) -> Result<()> {
        match (&self.options.pid_file, state.process) {
            (Some(path), Some(process)) => files::write_pid(path, process.pid),
            _ => Ok(()),
        }
    }

    /// Makes what a container needs that is to tell when it is ready; one that runs at once is listened to at once.
    pub(crate) fn prepare_notify(&self, draft: &Draft) -> Result<Option<Relay>> {
        if !self.notifies {
            return Ok(None);
        }
        draft.dir().make_notify()?;
        if self.mode == Mode::Run { Relay::listen(draft.dir()) } else { Ok(None) }
    }

    /// Hooks that are promised a container whose mounts are made and whose root is not yet switched.
    pub(crate) fn hooks_before_pivot(&self, host: &Host, state: &StateFile, draft: &Draft) -> Result<()> {
        let (spec, bundle) = (&self.bundle.config.spec, &self.bundle.path);
        let told = ContainerState::new(state.clone(), Status::Creating).to_oci();
        let on_host = &mut hooks::on_host(Some(bundle));
        hooks::run(&spec.hooks.prestart, Kind::Prestart, &told, on_host)?;
        hooks::run(&spec.hooks.create_runtime, Kind::CreateRuntime, &told, on_host)?;
        let inside = Inside { spec, state, cgroup: draft.cgroup(), host };
        let overlay = spec.annotations.contains_key(OVERLAY);
        let root = if overlay { draft.dir().path() } else { &state.rootfs };
        let spawn = &mut join::hook_spawner(inside, HookTime::Creating(root));
        hooks::run(&spec.hooks.create_container, Kind::CreateContainer, &told, spawn)
    }

    /// Hooks that run in the container right before its program.
    pub(crate) fn start_hooks(&self, host: &Host, state: &StateFile, draft: &Draft) -> Result<()> {
        let spec = &self.bundle.config.spec;
        let told = ContainerState::new(state.clone(), Status::Created).to_oci();
        let inside = Inside { spec, state, cgroup: draft.cgroup(), host };
        let spawn = &mut join::hook_spawner(inside, HookTime::Starting);
        hooks::run(&spec.hooks.start_container, Kind::StartContainer, &told, spawn)
    }

    /// The container runs; those who wait for that are told.
    pub(crate) fn started(&self, made: &Made) -> Result<()> {
        let told = ContainerState::new(made.state.clone(), Status::Running).to_oci();
        let on_host = &mut hooks::on_host(Some(&self.bundle.path));
        hooks::run(&self.bundle.config.spec.hooks.poststart, Kind::Poststart, &told, on_host)
    }
}

pub(crate) fn compile(
    spec: &Spec,
    bundle: &Path,
    host: &Host,
    (id, options, mode): (&ContainerId, &CreateOptions, Mode),
    cgroups: CgroupManager,
    scratch: &Path,
) -> std::result::Result<Compiled, Diagnostics> {
    let options = Options {
        id: id.as_str(),
        bundle,
        mode,
        no_pivot: options.no_pivot,
        stay: options.init,
        no_new_keyring: options.no_new_keyring,
        preserve_fds: options.preserve_fds,
        listen_fds: files::listen_fds(),
        systemd_cgroup: cgroups == CgroupManager::Systemd,
        no_cgroup: cgroups == CgroupManager::Disabled,
        scratch,
    };
    orlop_compile::compile(spec, host, &options)
}
