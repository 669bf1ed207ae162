//! `create` and `run`: from a bundle to a container.
//!
//! All or nothing: whatever fails, what was made before is taken back in the opposite order ([`Draft`]).

use std::os::fd::OwnedFd;
use std::path::Path;

use orlop_cgroups::Layout;
use orlop_compile::{Compiled, Diagnostics, Host, Mode, Options, Overlay};
use orlop_spec::{Spec, Status};
use orlop_sys::spawn::Child;

use crate::bundle::Bundle;
use crate::console::{self, Console};
use crate::draft::Draft;
use crate::error::{Error, Result};
use crate::held::Stdio;
use crate::hooks::{self, Kind};
use crate::id::ContainerId;
use crate::launch::{self, Event, Request, Session, Words};
use crate::liveness::Process;
use crate::options::{CreateOptions, RunOptions};
use crate::runtime::Runtime;
use crate::state::{CgroupPaths, ContainerState, StateFile, now};
use crate::wait::Foreground;
use crate::{cgroup, facts, files, join, log};

/// A bundle to make a container of, with all that the command line says about it.
pub(crate) struct Order<'a> {
    pub(crate) id: &'a ContainerId,
    pub(crate) bundle: Bundle,
    pub(crate) options: &'a CreateOptions,
    pub(crate) mode: Mode,
    /// A throw-away overlay over this directory instead of the config's root.
    pub(crate) overlay: Option<&'a Path>,
    /// The caller holds it: its streams, and its terminal.
    pub(crate) held: Option<&'a Stdio>,
}

/// A container that was just made.
pub(crate) struct Made {
    pub(crate) child: Child,
    /// Its terminal, if nobody else was sent it.
    pub(crate) console: Option<Console>,
    /// What is saved of it.
    state: StateFile,
}

impl Runtime {
    /// Makes a container that waits for [`Runtime::start`].
    ///
    /// # Errors
    ///
    /// Everything that can be wrong with a bundle, a host or a hook; nothing is left behind.
    pub fn create(&self, id: &ContainerId, options: &CreateOptions) -> Result<()> {
        let order = self.order(id, options, Mode::Create)?;
        console::check(order.has_terminal(), true, options.console_socket.is_some())?;
        self.make(&order).map(drop).map_err(|e| order.locate(e))
    }

    /// Makes a container and starts it; in the foreground, waits for it and deletes it. The result is its exit status,
    /// 128 + n if signal n ended it, 0 if detached.
    ///
    /// # Errors
    ///
    /// As [`Runtime::create`].
    pub fn run(&self, id: &ContainerId, options: &CreateOptions, run: &RunOptions) -> Result<i32> {
        let order = self.order(id, options, Mode::Run)?;
        self.run_order(&order, run)
    }

    pub(crate) fn run_order(&self, order: &Order<'_>, run: &RunOptions) -> Result<i32> {
        console::check(order.has_terminal(), run.detach, order.options.console_socket.is_some())?;
        if run.detach {
            let made = self.make(order).map_err(|e| order.locate(e))?;
            return order.started(&made).map(|()| 0);
        }
        // Before the launch, so that no signal is lost in between.
        let foreground = Foreground::new(!run.no_subreaper)?;
        let mut made = self.make(order).map_err(|e| order.locate(e))?;
        let proxy = made.console.take().and_then(Console::proxy);
        let status = order
            .started(&made)
            .and_then(|()| foreground.wait(made.child.pid, &made.child.pidfd.into(), proxy));
        if run.keep && status.is_ok() {
            return status;
        }
        let deleted = self.delete(order.id, true);
        status.and_then(|status| deleted.map(|()| status))
    }

    pub(crate) fn order<'a>(
        &self,
        id: &'a ContainerId,
        options: &'a CreateOptions,
        mode: Mode,
    ) -> Result<Order<'a>> {
        let layout = self.layout()?;
        let bundle = Bundle::load(options, |spec, path| {
            let host = facts::gather(spec, layout).ok()?;
            compile(spec, path, &host, (id, options, mode), None).err()
        })?;
        Ok(Order { id, bundle, options, mode, overlay: None, held: None })
    }

    /// Everything up to the container's process: waiting to be started, or running.
    pub(crate) fn make(&self, order: &Order<'_>) -> Result<Made> {
        files::check_preserved(order.options.preserve_fds)?;
        let layout = self.layout()?;
        let host = facts::gather(&order.bundle.config.spec, layout)?;
        let console = order.options.console_socket.as_deref();
        let console = console.map(console::connect_console_socket).transpose()?;
        let compiled = order.compile(&host, &self.store.root().join(order.id.as_str()))?;
        let mut draft = Draft::new(self.store.claim(order.id)?);
        log::findings(&compiled.warnings);
        let mut state = self.first_state(order, &compiled, layout)?;
        draft.dir().write_config(order.bundle.config.text.as_bytes())?;
        draft.dir().write_state(&state)?;
        if let Some(plan) = &compiled.launch.cgroup {
            draft.cgroup = cgroup::create(plan, layout)?;
        }
        let start = (order.mode == Mode::Create).then(|| draft.dir().listen_start()).transpose()?;
        let mut session = launch::launch(Request {
            compiled: &compiled,
            cgroup: draft.cgroup.as_ref(),
            cgroup_dir: None,
            start,
            join: None,
            pass: Vec::new(),
            stdio: order.held,
            privileged: host.privileged,
            words: Words::new(&compiled, order.args()),
        })?;
        state.process = Some(Process::of(session.pid())?);
        if order.mode == Mode::Run {
            state.status = Status::Created;
        }
        draft.dir().write_state(&state)?;
        if order.owes_record() && !compiled.launch.sync_hooks {
            // Init asks for this word much later; by then it has been there for long.
            session.proceed()?;
        }
        let console = order.converse(&mut session, &mut state, &draft, console.as_ref())?;
        let child = session.release()?;
        draft.keep();
        Ok(Made { child, console, state })
    }

    fn first_state(&self, order: &Order<'_>, compiled: &Compiled, layout: &Layout) -> Result<StateFile> {
        let spec = &order.bundle.config.spec;
        let plan = compiled.launch.cgroup.as_ref();
        let location = plan.map(|plan| cgroup::locate(plan, layout)).transpose()?.flatten();
        Ok(StateFile {
            format: StateFile::FORMAT,
            oci_version: spec.oci_version.clone(),
            id: order.id.to_string(),
            process: None,
            status: Status::Creating,
            bundle: order.bundle.path.clone(),
            rootfs: order.bundle.rootfs(),
            created: now(),
            owner: nix::unistd::getuid().as_raw(),
            annotations: spec.annotations.clone(),
            cgroups: location.as_ref().map(CgroupPaths::of).unwrap_or_default(),
            rootless: self.is_rootless(),
            terminal: order.has_terminal(),
        })
    }
}

fn compile(
    spec: &Spec,
    bundle: &Path,
    host: &Host,
    (id, options, mode): (&ContainerId, &CreateOptions, Mode),
    root_override: Option<Overlay<'_>>,
) -> std::result::Result<Compiled, Diagnostics> {
    let options = Options {
        id: id.as_str(),
        bundle,
        mode,
        no_pivot: options.no_pivot,
        no_new_keyring: options.no_new_keyring,
        preserve_fds: options.preserve_fds,
        listen_fds: files::listen_fds(),
        systemd_cgroup: false,
        root_override,
        filter: None,
    };
    orlop_compile::compile(spec, host, &options)
}

impl Order<'_> {
    pub(crate) fn has_terminal(&self) -> bool {
        self.bundle.config.spec.process.as_ref().is_some_and(|process| process.terminal)
    }

    /// An error, with lines and columns of the config.
    pub(crate) fn locate(&self, error: Error) -> Error {
        error.located_in(&self.bundle.config.text)
    }

    /// Whether init asks for nothing but a word before exec: that the state is written down (`Step::AwaitWord`).
    fn owes_record(&self) -> bool {
        self.mode == Mode::Run && self.bundle.config.spec.hooks.start_container.is_empty()
    }

    fn args(&self) -> &[String] {
        self.bundle.config.spec.process.as_ref().map_or(&[], |process| &process.args)
    }

    /// `scratch`: a directory of ours, where an overlay can be attached in the container's mount namespace.
    fn compile(&self, host: &Host, scratch: &Path) -> Result<Compiled> {
        let overlay = self.overlay.map(|lower| Overlay { lower, at: scratch, options: &[] });
        let bundle = &self.bundle;
        compile(&bundle.config.spec, &bundle.path, host, (self.id, self.options, self.mode), overlay)
            .map_err(|found| bundle.refused(&found))
    }

    /// Talks to init until the container waits or runs; its terminal, if nobody else is sent it.
    fn converse(
        &self,
        session: &mut Session<'_>,
        state: &mut StateFile,
        draft: &Draft,
        console_socket: Option<&OwnedFd>,
    ) -> Result<Option<Console>> {
        let mut console = None;
        loop {
            match session.next()? {
                Event::Hooks => {
                    self.hooks_before_pivot(state, draft)?;
                    session.proceed()?;
                    if self.owes_record() {
                        session.proceed()?;
                    }
                }
                Event::Console(master) => match console_socket {
                    Some(socket) => console::send_master(socket, &master)?,
                    None => console = Some(Console::new(master, self.held.is_some())?),
                },
                Event::Ready if self.mode == Mode::Create => {
                    state.status = Status::Created;
                    draft.dir().write_state(state)?;
                    self.write_pid_file(state)?;
                    session.proceed()?;
                    return Ok(console);
                }
                Event::Begin => session.proceed()?,
                Event::Ready => {
                    self.start_hooks(state, draft)?;
                    session.proceed()?;
                }
                Event::Running => {
                    self.write_pid_file(state)?;
                    return Ok(console);
                }
            }
        }
    }

    fn write_pid_file(&self, state: &StateFile) -> Result<()> {
        match (&self.options.pid_file, state.process) {
            (Some(path), Some(process)) => files::write_pid(path, process.pid),
            _ => Ok(()),
        }
    }

    /// Hooks that are promised a container whose mounts are made and whose root is not yet switched.
    fn hooks_before_pivot(&self, state: &StateFile, draft: &Draft) -> Result<()> {
        let (spec, bundle) = (&self.bundle.config.spec, &self.bundle.path);
        let told = ContainerState::new(state.clone(), Status::Creating).to_oci();
        let on_host = &mut hooks::on_host(Some(bundle));
        hooks::run(&spec.hooks.prestart, Kind::Prestart, &told, on_host)?;
        hooks::run(&spec.hooks.create_runtime, Kind::CreateRuntime, &told, on_host)?;
        let inside = &mut join::hook_spawner(spec, state.process, draft.cgroup.as_ref());
        hooks::run(&spec.hooks.create_container, Kind::CreateContainer, &told, inside)
    }

    /// Hooks that run in the container right before its program.
    fn start_hooks(&self, state: &StateFile, draft: &Draft) -> Result<()> {
        let spec = &self.bundle.config.spec;
        let told = ContainerState::new(state.clone(), Status::Created).to_oci();
        let inside = &mut join::hook_spawner(spec, state.process, draft.cgroup.as_ref());
        hooks::run(&spec.hooks.start_container, Kind::StartContainer, &told, inside)
    }

    /// The container runs; those who wait for that are told.
    fn started(&self, made: &Made) -> Result<()> {
        let told = ContainerState::new(made.state.clone(), Status::Running).to_oci();
        let on_host = &mut hooks::on_host(Some(&self.bundle.path));
        hooks::run(&self.bundle.config.spec.hooks.poststart, Kind::Poststart, &told, on_host)
    }
}
