//! Starting a supervisor: `run` of a new container, `start` of one that has ended.

use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use orlop_compile::Mode;
use orlop_spec::Status;

use super::life::Life;
use super::settings::{Settings, Supervision};
use super::stop;
use crate::clock::now;
use crate::error::{Action, Doing, Error, Result};
use crate::id::ContainerId;
use crate::options::CreateOptions;
use crate::runtime::Runtime;
use crate::store::StateDir;
use crate::{files, notify, signals};

/// What systemd tells a service is not for a supervisor, which outlives its caller.
const NOT_OURS: [&str; 4] = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET"];

/// The annotation of images that names the signal for `stop`.
pub(super) const STOP_SIGNAL: &str = "org.opencontainers.image.stopSignal";

impl Runtime {
    /// Makes a container that a supervisor runs, and returns once it runs. The result is 0, or the exit status of a
    /// supervisor that could not run it and has said why.
    ///
    /// `globals`: the options before the command that this process was called with.
    ///
    /// # Errors
    ///
    /// As [`Runtime::create`], and options that make no sense with a supervisor.
    pub fn run_supervised(
        &self,
        id: &ContainerId,
        options: &CreateOptions,
        supervision: &Supervision,
        globals: &[OsString],
    ) -> Result<i32> {
        refuse(options)?;
        let order = self.order(id, options, Mode::Run)?;
        if let Some(name) = order.bundle.config.spec.annotations.get(STOP_SIGNAL)
            && signals::signal(name).is_none()
        {
            return Err(Error::usage(format!("annotation {STOP_SIGNAL}: unknown signal {name:?}")));
        }
        let absolute =
            |path: &std::path::Path| std::path::absolute(path).doing(|| format!("find {}", path.display()));
        let settings = Settings {
            config: absolute(&order.bundle.file)?,
            pid_file: options.pid_file.as_deref().map(absolute).transpose()?,
            bundle: order.bundle.path,
            no_pivot: options.no_pivot,
            no_new_keyring: options.no_new_keyring,
            init: options.init,
            overlay: options.overlay.clone(),
            cgroup_manager: self.settings.cgroup_manager,
            rootless: self.settings.rootless,
            created: now(),
            supervision: supervision.clone(),
        };
        let dir = self.store.claim(id, |dir| settings.write_first(dir))?;
        let begun = begin(id, globals);
        if !matches!(begun, Ok(0)) {
            dir.remove()?;
        }
        begun
    }

    /// Whether a container has a supervisor, or had one that is to be had again.
    ///
    /// # Errors
    ///
    /// [`Error::NotExist`].
    pub fn is_supervised(&self, id: &ContainerId) -> Result<bool> {
        Ok(self.load(id)?.saved.supervised)
    }

    /// Runs a supervised container again that has ended; otherwise as [`Runtime::start`]. The result is that of
    /// [`Runtime::run_supervised`].
    ///
    /// # Errors
    ///
    /// As [`Runtime::start`].
    pub fn start_any(&self, id: &ContainerId, globals: &[OsString]) -> Result<i32> {
        match self.start(id) {
            Err(Error::WrongState { status: Status::Stopped, .. }) if self.load(id)?.saved.supervised => {}
            started => return started.map(|()| 0),
        }
        let container = self.load(id)?;
        // Of two that start it at once, the second one finds it running.
        let _lock = container.dir.lock()?;
        let life = Life::read(&container.dir)?;
        if life.is_some_and(|life| life.supervisor.is_alive().unwrap_or(false)) {
            let status = Status::Running;
            return Err(Error::WrongState { id: id.to_string(), action: Action::Start, status });
        }
        stop::forget(&container.dir)?;
        begin(id, globals)
    }
}

/// What a supervisor cannot do, as it goes on where its caller ends.
fn refuse(options: &CreateOptions) -> Result<()> {
    let no = |what: &str| Err(Error::usage(format!("{what} cannot be had with a supervisor")));
    if options.console_socket.is_some() {
        return no("--console-socket: the container's terminal");
    }
    if options.pidfd_socket.is_some() {
        return no("--pidfd-socket: the container's process");
    }
    if options.preserve_fds > 0 || files::listen_fds() > 0 {
        return no("--preserve-fds, LISTEN_FDS: descriptors of the caller");
    }
    if notify::of_caller().is_some() {
        tracing::warn!("NOTIFY_SOCKET is not for a supervised container, and is left out");
    }
    Ok(())
}

/// Starts the supervisor as a program of its own: then it has neither memory nor descriptors of whoever called us, and can
/// be seen for what it is. 0, or the exit status that it has given up with.
fn begin(id: &ContainerId, globals: &[OsString]) -> Result<i32> {
    orlop_sys::file::close_on_exec_from(3).doing(|| "keep descriptors from the supervisor".to_owned())?;
    let doing = || "start the supervisor".to_owned();
    let mut command = Command::new("/proc/self/exe");
    command.arg0(orlop_sys::entry::arguments().next().unwrap_or_else(|| "orlop".into()));
    command.args(globals).arg("supervise").arg("--").arg(id.as_str());
    for name in NOT_OURS {
        command.env_remove(name);
    }
    // What it says there is that the container runs; why it does not, it says on our standard error.
    let mut supervisor = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().doing(doing)?;
    let mut word = [0];
    let said = supervisor.stdout.take().map_or(Ok(0), |mut said| said.read(&mut word)).doing(doing)?;
    if said > 0 {
        return Ok(0);
    }
    let ended = supervisor.wait().doing(doing)?;
    match ended.code() {
        Some(status) if status != 0 => Ok(status),
        _ => Err(Error::Died { what: "the supervisor".to_owned(), how: ended.to_string() }),
    }
}

/// Whether a supervisor is at work in this state directory: a pidfd of it.
pub(super) fn of(dir: &StateDir) -> Result<Option<std::os::fd::OwnedFd>> {
    Life::read(dir)?.map_or(Ok(None), |life| life.supervisor.open())
}
