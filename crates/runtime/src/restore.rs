//! `restore`: makes a container of what `checkpoint` saved.

use std::os::fd::OwnedFd;
use std::path::Path;

use orlop_cgroups::Layout;
use orlop_compile::{Compiled, Mode};
use orlop_spec::{NamespaceKind, Status};
use orlop_sys::process::pidfd_open;
use orlop_sys::spawn::Child;

use crate::cgroup::Maker;
use crate::console::{self, Console};
use crate::create::Made;
use crate::criu::{self, Criu, Directories, Kind, Message, Notify, Setup, Swrk, opt};
use crate::draft::Draft;
use crate::error::{Doing, Error, Result};
use crate::hooks::{self, Kind as HookKind};
use crate::id::ContainerId;
use crate::liveness::Process;
use crate::options::{CreateOptions, RestoreOptions, RunOptions};
use crate::order::Order;
use crate::runtime::Runtime;
use crate::state::{ContainerState, StateFile};
use crate::{log, owner};

/// As runc and crun name it: engines keep it.
const LOG: &str = "restore.log";

impl Runtime {
    /// Makes a container of a bundle and of what [`Runtime::checkpoint`] saved; in the foreground, waits for it and deletes
    /// it. The result is as of [`Runtime::run`].
    ///
    /// # Errors
    ///
    /// As [`Runtime::create`], and [`Error::Criu`]; nothing is left behind.
    pub fn restore(
        &self,
        id: &ContainerId,
        create: &CreateOptions,
        run: &RunOptions,
        options: &RestoreOptions,
    ) -> Result<i32> {
        check(create)?;
        let order = self.order(id, create, Mode::Run)?;
        self.run_with(&order, run, || self.remake(&order, options), |_| Ok(()))
    }

    pub(crate) fn remake(&self, order: &Order<'_>, options: &RestoreOptions) -> Result<Made> {
        criu::check_overlay("restore", &order.bundle.config.spec.annotations)?;
        let criu = Criu::find()?;
        let layout = self.layout()?;
        let host = self.facts(&order.bundle.config.spec, None)?;
        let console = order.options.console_socket.as_deref();
        let console = console.map(console::connect_console_socket).transpose()?;
        let compiled = order.compile(&host, Path::new(""))?;
        let directories = Directories::open(&options.criu, false, LOG)?;
        let (mut opts, inherit) = restore_options(order, options, &compiled, (&criu, &directories))?;

        let maker = compiled.launch.cgroup.as_ref().map(Maker::choose).transpose()?;
        let state = self.first_state(order, &compiled, maker.as_ref(), layout)?;
        let draft = Draft::new(self.store.claim(order.id, |dir| dir.write_first_state(&state))?);
        log::findings(&compiled.warnings);
        draft.dir().write_first_config(order.bundle.config.text.as_bytes())?;
        let mark = owner::mark(&state, draft.dir());
        if let Some(Maker::Us(plan)) = &maker {
            draft.make_cgroup(plan, layout, self.is_rootless(), &mark)?;
            draft.confine(plan)?;
        }
        make_places(order, &compiled, &state.rootfs)?;
        let mut remade =
            Remade { order, console_socket: console.as_ref(), state, console: None, child: None };
        let mut mounts = criu::manage(&mut opts, options.criu.cgroups, layout, draft.dir().path())?;
        // CRIU wants the root to be a mount.
        let rootfs = &remade.state.rootfs;
        mounts.push((Some(rootfs.clone()), rootfs.clone()));
        let swrk = criu.start(Setup { streams: order.held.is_none(), inherit: &inherit, mounts: &mounts })?;
        enter(&swrk, maker.as_ref(), &draft, layout, &mark)?;
        criu::roots(&mut opts, swrk.pid())?;
        remade.state.cgroups = draft.cgroup_paths();
        let on_notify = &mut |notify: &Notify, fd| remade.notice(notify, fd, &draft);
        swrk.perform(Kind::Restore, &opts, on_notify).map_err(|e| directories.explain(e))?;
        let made = remade.made()?;
        draft.keep();
        Ok(made)
    }
}

/// Refuses what a restored container cannot have.
pub(crate) fn check(create: &CreateOptions) -> Result<()> {
    criu::check_root("restore")?;
    if create.no_pivot {
        let what = "restore --no-pivot: CRIU has no other way than pivot_root(2), which";
        return Err(Error::unsupported(what));
    }
    Ok(())
}

fn restore_options(
    order: &Order<'_>,
    options: &RestoreOptions,
    compiled: &Compiled,
    (criu, directories): (&Criu, &Directories),
) -> Result<(Message, Vec<OwnedFd>)> {
    let mut opts = criu::common(criu, &options.criu, directories, &order.bundle.config.spec)?;
    opts.flag(opt::EVASIVE_DEVICES, true)
        // The container's first process becomes our child, not CRIU's.
        .flag(opt::RST_SIBLING, true)
        .text(opt::ROOT, bytes(&order.bundle.rootfs()))
        .flag(opt::TCP_CLOSE, options.tcp_close);
    if let Some(profile) = &options.lsm_profile {
        opts.text(opt::LSM_PROFILE, profile);
    }
    if let Some(context) = &options.lsm_mount_context {
        opts.text(opt::LSM_MOUNT_CONTEXT, context);
    }
    let mut inherit = criu::streams::supply(&mut opts, &options.criu.image_path, order.held)?;
    inherit.extend(criu::namespaces::supply_external(&mut opts, &compiled.launch.joins)?);
    criu::mounts::supply_external(&mut opts, &criu::mounts::of(compiled));
    Ok((opts, inherit))
}

/// What mounts need in the root file system. CRIU needs one more: a place where it puts the old root while it switches.
fn make_places(order: &Order<'_>, compiled: &Compiled, rootfs: &Path) -> Result<()> {
    criu::mounts::make_places(rootfs, &criu::mounts::of(compiled))?;
    let read_only = order.bundle.config.spec.root.as_ref().is_some_and(|root| root.readonly);
    if read_only { criu::mounts::make_directory(rootfs, Path::new("tmp")) } else { Ok(()) }
}

/// CRIU goes into the container's cgroup, and what it makes is born there.
fn enter(swrk: &Swrk, maker: Option<&Maker<'_>>, draft: &Draft, layout: &Layout, mark: &str) -> Result<()> {
    match (maker, draft.cgroup()) {
        (Some(Maker::Systemd(scope)), _) => draft.start_scope(scope, layout, swrk.pid(), mark),
        (_, Some(cgroup)) => Ok(cgroup.attach(swrk.pid())?),
        (_, None) => Ok(()),
    }
}

fn bytes(path: &Path) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
}

/// A container that CRIU is making.
struct Remade<'a> {
    order: &'a Order<'a>,
    console_socket: Option<&'a OwnedFd>,
    state: StateFile,
    console: Option<Console>,
    child: Option<Child>,
}

impl Remade<'_> {
    /// CRIU is at a point where something is ours to do.
    fn notice(&mut self, notify: &Notify, fd: Option<OwnedFd>, draft: &Draft) -> Result<()> {
        match (notify.script.as_str(), fd) {
            ("setup-namespaces", _) => self.set_up(notify.pid),
            ("orphan-pts-master", Some(master)) => {
                if let Some(socket) = self.console_socket {
                    return console::send_master(socket, &master);
                }
                self.console = Some(Console::new(master, self.order.held.is_some())?);
                Ok(())
            }
            ("post-restore", _) => self.record(notify.pid, draft),
            _ => Ok(()),
        }
    }

    /// The namespaces are there, and no process of the container's runs yet.
    fn set_up(&self, pid: i32) -> Result<()> {
        let spec = &self.order.bundle.config.spec;
        let namespaces = spec.linux.as_ref().map_or(&[][..], |linux| &linux.namespaces);
        if namespaces.iter().any(|one| one.kind == NamespaceKind::Network && one.path.is_empty()) {
            criu::namespaces::bring_loopback_up(pid)?;
        }
        let process = Some(Process::of(pid)?);
        let told =
            ContainerState::new(StateFile { process, ..self.state.clone() }, Status::Creating).to_oci();
        let on_host = &mut hooks::on_host(Some(&self.order.bundle.path));
        hooks::run(&spec.hooks.prestart, HookKind::Prestart, &told, on_host)?;
        hooks::run(&spec.hooks.create_runtime, HookKind::CreateRuntime, &told, on_host)
    }

    /// All processes are there, and wait: what is written down now is true before they run.
    fn record(&mut self, pid: i32, draft: &Draft) -> Result<()> {
        let pidfd = pidfd_open(pid).doing(|| format!("open process {pid}"))?;
        self.child = Some(Child { pid, pidfd, cpu: None });
        self.state.process = Some(Process::of(pid)?);
        self.state.status = Status::Created;
        self.state.own_clocks = criu::namespaces::has_own_clocks(pid);
        draft.dir().write_made(&self.state)?;
        self.order.write_pid_file(&self.state)
    }

    fn made(self) -> Result<Made> {
        let none =
            || Error::Died { what: "the container".to_owned(), how: "CRIU made no process".to_owned() };
        Ok(Made {
            child: self.child.ok_or_else(none)?,
            console: self.console,
            state: self.state,
            saved: None,
            relay: None,
        })
    }
}
