//! `create` and `run`: from a bundle to a container.
//!
//! All or nothing: whatever fails, what was made before is taken back in the opposite order ([`Draft`]).

use std::cell::{Cell, OnceCell};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

use orlop_cgroups::Layout;
use orlop_compile::{Compiled, Host, Mode, OVERLAY};
use orlop_spec::{NamespaceKind, Status};
use orlop_sys::Fd;
use orlop_sys::spawn::Child;

use crate::bundle::Bundle;
use crate::cgroup::{self, Maker};
use crate::console::{self, Console};
use crate::draft::Draft;
use crate::error::{Error, Result};
use crate::host_mounts::HostMounts;
use crate::id::ContainerId;
use crate::launch::{self, Home, NewNetwork, Request, Session, Words, make_beside};
use crate::liveness::Process;
use crate::notify::{self, Relay};
use crate::options::{CreateOptions, RunOptions};
use crate::order::{Order, compile};
use crate::rdt::RdtGroup;
use crate::runtime::Runtime;
use crate::state::{StateFile, now};
use crate::store::{StateDir, Written};
use crate::trace::Trace;
use crate::wait::Foreground;
use crate::{ahead, criu, facts, files, log, owner, userns};

/// A container that was just made.
pub(crate) struct Made {
    pub(crate) child: Child,
    /// Its terminal, if nobody else was sent it.
    pub(crate) console: Option<Console>,
    /// What is saved of it.
    pub(crate) state: StateFile,
    /// Where, as long as nobody else has saved anything.
    pub(crate) saved: Option<(StateDir, Written)>,
    /// How it will tell that it is ready, if the caller wants to know.
    pub(crate) relay: Option<Relay>,
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
        self.run_with(order, run, || self.make(order), |made| order.started(made))
    }

    /// Makes a container that runs; in the foreground, waits for it and deletes it.
    pub(crate) fn run_with(
        &self,
        order: &Order<'_>,
        run: &RunOptions,
        make: impl FnOnce() -> Result<Made>,
        started: impl FnOnce(&Made) -> Result<()>,
    ) -> Result<i32> {
        console::check(order.has_terminal(), run.detach, order.options.console_socket.is_some())?;
        if run.detach {
            let made = make().map_err(|e| order.locate(e))?;
            let started = started(&made).map_err(|e| {
                // The first failure is what the caller hears.
                self.delete(order.id, true).ok();
                order.locate(e)
            });
            started?;
            let (pid, pidfd) = (made.child.pid, made.child.pidfd.into());
            made.relay.map_or(Ok(()), |relay| relay.run(&pidfd, pid))?;
            return Ok(0);
        }
        // Before the launch, so that no signal is lost in between.
        let foreground = Rc::new(Foreground::new(!run.no_subreaper)?);
        if !order.is_announced() {
            order.foreground.get_or_init(|| Rc::clone(&foreground));
        }
        let mut made = make().map_err(|e| order.locate(e))?;
        let proxy = made.console.take().and_then(Console::proxy);
        let started = started(&made).map_err(|e| order.locate(e));
        let (pid, pidfd) = (made.child.pid, OwnedFd::from(made.child.pidfd));
        let relayed = made.relay.map_or(Ok(()), |relay| relay.run_aside(&pidfd));
        let status = started.and(relayed).and_then(|()| foreground.wait(pid, &pidfd, proxy));
        if run.keep && status.is_ok() {
            return status;
        }
        let poststop = &order.bundle.config.spec.hooks.poststop;
        let deleted = self.delete_ended(order.id, (made.state, made.saved), poststop);
        status.and_then(|status| deleted.map(|()| status))
    }

    pub(crate) fn order<'a>(
        &self,
        id: &'a ContainerId,
        options: &'a CreateOptions,
        mode: Mode,
    ) -> Result<Order<'a>> {
        let trace = options.trace.as_deref().map(|file| Trace::begin(file, "load the bundle"));
        let scratch = self.store.root().join(id.as_str());
        let (text, mut network) = ahead::take(options).map_or((None, None), |a| (Some(a.text), a.network));
        let ahead = |text: &[u8]| network = NewNetwork::begin_if(text);
        let mut bundle = Bundle::load(options, text, ahead, |spec, path| {
            let host = self.facts(spec, None).ok()?;
            compile(spec, path, &host, (id, options, mode), self.settings.cgroup_manager, &scratch).err()
        })?;
        if let Some(overlay) = &options.overlay {
            bundle.config.spec.annotations.insert(OVERLAY.to_owned(), overlay.clone());
        }
        let notifies = notify::of_caller().is_some();
        if notifies {
            notify::add_to(&mut bundle.config.spec, &scratch);
        }
        Ok(Order {
            id,
            bundle,
            options,
            mode,
            cgroups: self.settings.cgroup_manager,
            notifies,
            trace,
            held: None,
            supervised: None,
            foreground: OnceCell::default(),
            network: Cell::new(network),
        })
    }

    /// Everything up to the container's process: waiting to be started, or running.
    pub(crate) fn make(&self, order: &Order<'_>) -> Result<Made> {
        files::check_preserved(order.options.preserve_fds)?;
        if order.options.init && files::listen_fds() > 0 {
            return Err(Error::usage(
                "--init: LISTEN_FDS are for the first process, which would not be the program",
            ));
        }
        order.phase("ask the host");
        let network = NewNetwork::begin(&order.bundle.config.spec, order.network.take());
        let mut host = self.facts(&order.bundle.config.spec, None)?;
        if order.options.no_pivot {
            host.kernel_views = facts::kernel_views()?;
        }
        let privileged = host.privileged;
        let made = self.make_on(host, order, network);
        if order.has_new(&NamespaceKind::User) {
            made.map_err(|e| userns::blame(e, privileged))
        } else {
            made
        }
    }

    /// Takes the id, and saves what is known so far; a supervised container has it already.
    fn draft(&self, order: &Order<'_>, state: &StateFile) -> Result<Draft> {
        if order.supervised.is_none() {
            return self.store.claim(order.id, |dir| dir.write_first_state(state)).map(Draft::new);
        }
        let draft = self.store.find(order.id).map(Draft::again)?;
        draft.dir().write_state(state)?;
        Ok(draft)
    }

    fn make_on(&self, mut host: Host, order: &Order<'_>, network: Option<NewNetwork>) -> Result<Made> {
        let scratch = self.store.root().join(order.id.as_str());
        order.phase("compile");
        let mut compiled = order.compile(&host, &scratch)?;
        let made = self.make_of(&mut host, order, network, &mut compiled, &scratch);
        if let Some(trace) = &order.trace {
            let written = trace.write(Some(&compiled), made.as_ref().err());
            // A failure to make it is what the caller hears first.
            return made.and_then(|made| written.map(|()| made));
        }
        made
    }

    fn make_of(
        &self,
        host: &mut Host,
        order: &Order<'_>,
        network: Option<NewNetwork>,
        compiled: &mut Compiled,
        scratch: &Path,
    ) -> Result<Made> {
        let layout = self.layout()?;
        let (console, pidfd_socket) = order.connect_sockets()?;
        order.phase("claim the id");
        let plan = compiled.launch.cgroup.clone();
        let maker = plan.as_ref().map(Maker::choose).transpose()?;
        let mut state = self.first_state(order, compiled, maker.as_ref(), layout)?;
        let draft = self.draft(order, &state)?;
        log::findings(&compiled.warnings);
        if let Some(mounts) = &state.host_mounts {
            draft.mounts_on_host(mounts);
        }
        order.phase("make the cgroup");
        let mark = owner::mark(&state, draft.dir());
        let around = match &maker {
            Some(Maker::Systemd(scope)) => Some(|pid| draft.start_scope(scope, layout, pid, &mark)),
            Some(Maker::Us(plan)) => {
                draft.make_cgroup(plan, layout, self.is_rootless(), &mark)?;
                if !cgroup::as_expected(host, draft.cgroup()) {
                    *compiled = order.compile(host, scratch)?;
                    order.warn_of_strays(draft.cgroup());
                }
                None
            }
            None => None,
        };
        if let Some((group, plan)) = state.rdt.as_ref().zip(compiled.launch.rdt.as_ref()) {
            draft.make_rdt(group, plan)?;
        }
        let relay = order.prepare_notify(&draft)?;
        let start = (order.mode == Mode::Create).then(|| draft.dir().listen_start()).transpose()?;
        order.phase("start the process");
        let words = Words::new(compiled, order.args());
        let mut session = launch::launch(Request {
            compiled,
            trace: order.trace.as_ref(),
            home: around.as_ref().map_or(Home::Cgroup(draft.cgroup(), None), |around| Home::Around(around)),
            rdt: draft.rdt(),
            start,
            join: None,
            network: network.and_then(NewNetwork::take),
            pass: Vec::new(),
            stdio: order.held,
            privileged: host.privileged,
            words,
        })?;
        let written =
            meanwhile(order, (compiled, &words), maker.as_ref(), (&draft, &mut session), &mut state)?;
        pidfd_socket.map_or(Ok(()), |socket| socket.send(session.pidfd()))?;
        order.phase("wait for init");
        order.let_run(&session, compiled)?;
        let console = order.converse(&mut session, (compiled, host), &mut state, &draft, console.as_ref())?;
        let child = session.release()?;
        let saved = draft.dir().duplicate().map(|dir| (dir, written));
        draft.keep();
        Ok(Made { child, console, state, saved, relay })
    }

    pub(crate) fn first_state(
        &self,
        order: &Order<'_>,
        compiled: &Compiled,
        maker: Option<&Maker<'_>>,
        layout: &Layout,
    ) -> Result<StateFile> {
        let spec = &order.bundle.config.spec;
        let cgroups = maker.map(|maker| maker.paths(layout)).transpose()?.unwrap_or_default();
        Ok(StateFile {
            format: StateFile::FORMAT,
            oci_version: spec.oci_version.clone(),
            id: order.id.to_string(),
            process: None,
            status: Status::Creating,
            bundle: order.bundle.path.clone(),
            rootfs: order.bundle.rootfs(),
            created: order.supervised.map_or_else(now, str::to_owned),
            supervised: order.supervised.is_some(),
            owner: nix::unistd::getuid().as_raw(),
            annotations: spec.annotations.clone(),
            rdt: compiled.launch.rdt.as_ref().map(RdtGroup::locate),
            cgroups,
            rootless: self.is_rootless(),
            terminal: order.has_terminal(),
            descriptors: if order.has_terminal() { Vec::new() } else { criu::streams::of(order.held) },
            own_clocks: false,
            host_mounts: compiled
                .launch
                .mounts_on_host
                .then(|| HostMounts::before(&order.bundle.rootfs()))
                .transpose()?,
        })
    }
}

/// What is done while init makes mounts: it runs nothing of the container's before it hears from us.
fn meanwhile(
    order: &Order<'_>,
    (compiled, words): (&Compiled, &Words<'_>),
    maker: Option<&Maker<'_>>,
    (draft, session): (&Draft, &mut Session<'_>),
    state: &mut StateFile,
) -> Result<Written> {
    if compiled.launch.beside.told {
        order.phase("make file systems for init");
        make_beside(compiled, session, words)?;
    }
    if let Some(Maker::Us(plan)) = maker {
        order.phase("attach the device program");
        draft.confine(plan)?;
    }
    order.phase("write the state");
    keep_filter(order, compiled, draft)?;
    let written = record(order, draft, session, state)?;
    session.rejoin();
    Ok(written)
}

/// Saves the filter of the container's system calls for processes that are added later: it is not compiled again for them, and
/// they have the same. With an agent it is, as that is found on the way.
fn keep_filter(order: &Order<'_>, compiled: &Compiled, draft: &Draft) -> Result<()> {
    let launch = &compiled.launch;
    match launch.filter.as_ref().filter(|_| launch.seccomp_agent.is_none()) {
        Some(filter) => draft.dir().write_filter(filter),
        // It may have had one when it ran before.
        None if order.supervised.is_some() => draft.dir().remove_filter(),
        None => Ok(()),
    }
}

/// Saves the config, and the state with the process that was started.
fn record(order: &Order<'_>, draft: &Draft, session: &Session<'_>, state: &mut StateFile) -> Result<Written> {
    draft.dir().write_first_config(order.bundle.config.text.as_bytes())?;
    state.process = Some(Process::behind(session.pidfd(), session.pid(), Fd::of(draft.dir()))?);
    state.cgroups = draft.cgroup_paths();
    if order.mode == Mode::Run {
        state.status = Status::Created;
    }
    draft.dir().write_made(state)
}

/// Moves the container's process into the cgroup below the container's own that an annotation asks for.
pub(crate) fn delegate(compiled: &Compiled, pid: i32, draft: &Draft) -> Result<()> {
    let Some((path, pointer)) = &compiled.launch.delegate else { return Ok(()) };
    let cgroup = draft.cgroup().ok_or_else(|| {
        Error::usage(format!("{pointer}: there is no cgroup of the container's own to delegate a part of"))
    })?;
    let owner = compiled.launch.cgroup.as_ref().and_then(|plan| plan.owner);
    Ok(cgroup.delegate_below(path, pid, owner)?)
}
