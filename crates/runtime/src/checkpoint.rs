//! `checkpoint`: saves a container's processes to files, from which `restore` makes them again.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use orlop_compile::{Compiled, Mode};
use orlop_spec::Status;

use crate::bundle;
use crate::criu::{self, Criu, Directories, Kind, Message, Notify, Setup, opt};
use crate::error::{Action, Doing, Error, Result};
use crate::id::ContainerId;
use crate::options::{CheckpointOptions, CreateOptions};
use crate::order::compile;
use crate::runtime::{Container, Runtime};

/// As runc and crun name it: engines keep it.
const LOG: &str = "dump.log";

impl Runtime {
    /// Saves a running or paused container. Unless it is to go on, it is deleted then, as with runc: its id is free for
    /// `restore`. A supervised one is stopped instead, as by [`Runtime::stop`].
    ///
    /// # Errors
    ///
    /// [`Error::WrongState`]: it does not run. [`Error::Criu`]: CRIU is not there, or failed; then the container goes on.
    pub fn checkpoint(&self, id: &ContainerId, options: &CheckpointOptions) -> Result<()> {
        criu::check_root("checkpoint")?;
        let container = self.load(id)?;
        criu::check_overlay("checkpoint", &container.saved.annotations)?;
        if options.leave_running || options.pre_dump {
            self.dump(id, &container, options)
        } else if container.saved.supervised {
            self.dump_supervised(id, &container, options)
        } else {
            self.dump(id, &container, options)?;
            self.delete(id, true)
        }
    }

    /// If CRIU ended it, the supervisor would run it again. So it is frozen until the supervisor ends it.
    fn dump_supervised(
        &self,
        id: &ContainerId,
        container: &Container,
        options: &CheckpointOptions,
    ) -> Result<()> {
        let freeze = container.status()? == Status::Running;
        if freeze {
            self.pause(id)?;
        }
        let frozen = CheckpointOptions { leave_running: true, ..options.clone() };
        let dumped = self.dump(id, container, &frozen);
        if dumped.is_err()
            && freeze
            && let Err(e) = self.resume(id)
        {
            tracing::warn!("{e}");
        }
        dumped.and_then(|()| self.stop(id, Some(Duration::ZERO)))
    }

    fn dump(&self, id: &ContainerId, container: &Container, options: &CheckpointOptions) -> Result<()> {
        let status = container.status()?;
        let (Status::Running | Status::Paused, Some(process)) = (&status, container.saved.process) else {
            return Err(Error::WrongState { id: id.to_string(), action: Action::Checkpoint, status });
        };
        let criu = Criu::find()?;
        let directories = Directories::open(&options.criu, true, LOG)?;
        let mut opts = self.dump_options(container, options, (&criu, &directories, process.pid))?;
        if !options.pre_dump {
            let descriptors = &container.saved.descriptors;
            criu::streams::save(&mut opts, &options.criu.image_path, descriptors, process.pid)?;
        }
        let mounts = criu::manage(&mut opts, options.criu.cgroups, self.layout()?, container.dir.path())?;
        let kind = if options.pre_dump { Kind::PreDump } else { Kind::Dump };
        let on_notify = &mut |notify: &Notify, _| match (notify.script.as_str(), options.status_fd) {
            ("status-ready", Some(number)) => say_ready(number),
            _ => Ok(()),
        };
        let swrk = criu.start(Setup { mounts: &mounts, ..Setup::default() })?;
        let pid = swrk.pid();
        criu::record::remembered(&container.dir, pid, || swrk.perform(kind, &opts, on_notify))
            .map_err(|e| directories.explain(e))
    }

    fn dump_options(
        &self,
        container: &Container,
        options: &CheckpointOptions,
        (criu, directories, pid): (&Criu, &Directories, i32),
    ) -> Result<Message> {
        let config = container.config()?;
        let mut opts = criu::common(criu, &options.criu, directories, &config.spec)?;
        opts.number(opt::PID, pid as u32)
            .text(opt::ROOT, bytes(&container.saved.rootfs))
            .flag(opt::LEAVE_RUNNING, options.leave_running)
            .flag(opt::TCP_SKIP_IN_FLIGHT, options.tcp_skip_in_flight)
            .flag(opt::LINK_REMAP, options.link_remap);
        if let Some((address, port)) = &options.page_server {
            opts.message(opt::PAGE_SERVER, &criu::numbered(address, u32::from(*port)));
        }
        if let Some(parent) = &options.parent_path {
            criu::check_parent(&options.criu.image_path, parent)?;
            opts.text(opt::PARENT_IMG, bytes(parent));
        }
        if options.pre_dump || options.parent_path.is_some() {
            criu.needs_memory_tracking()?;
            opts.flag(opt::TRACK_MEM, true);
        }
        if let Some(number) = options.status_fd {
            check_status_fd(number)?;
        }
        if let Some(location) = container.saved.cgroups.location() {
            opts.text(opt::FREEZE_CGROUP, bytes(&location.v2.path()));
        }
        let compiled = self.recompile(container, &config.spec)?;
        criu::mounts::refuse(&compiled)?;
        criu::namespaces::name_external(&mut opts, &compiled.launch.joins)?;
        // A pre-dump is of memory only.
        if !options.pre_dump {
            criu::mounts::name_external(&mut opts, &criu::mounts::of(&compiled), pid)?;
        }
        Ok(opts)
    }

    /// The program that made the container, which says what of it lies outside.
    fn recompile(&self, container: &Container, spec: &orlop_spec::Spec) -> Result<Compiled> {
        let host = self.facts(spec, None)?;
        let id = ContainerId::new(&container.saved.id)?;
        let how = (&id, &CreateOptions::default(), Mode::Run);
        compile(spec, &container.saved.bundle, &host, how, self.settings.cgroup_manager, Path::new("/"))
            .map_err(|found| bundle::refused(&container.dir.config_path(), "", &found))
    }
}

fn bytes(path: &Path) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
}

fn check_status_fd(number: i32) -> Result<()> {
    open_status_fd(number).map(drop)
}

/// The descriptor is the caller's; what it leads to is opened once more.
fn open_status_fd(number: i32) -> Result<std::fs::File> {
    let path = format!("/proc/self/fd/{number}");
    std::fs::OpenOptions::new()
        .write(true)
        .open(path)
        .doing(|| format!("--status-fd {number}: open it for writing"))
}

/// Tells the caller that pages can be asked for, as CRIU's `--status-fd` does.
fn say_ready(number: i32) -> Result<()> {
    open_status_fd(number)?.write_all(&[0]).doing(|| format!("--status-fd {number}: write to it"))
}
