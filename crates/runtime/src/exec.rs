//! `exec`: another process in a running container.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use orlop_cgroups::Cgroup;
use orlop_compile::ExecOptions as CompileOptions;
use orlop_spec::{Capabilities, Document, Process, ProcessDocument, Status};
use orlop_sys::spawn::Child;

use crate::bundle::refused;
use crate::console::{self, Console};
use crate::error::{Action, Doing, Error, Problem, Result};
use crate::held::{Held, Stdio};
use crate::id::ContainerId;
use crate::launch::{self, Event, Request, Session, Words};
use crate::options::{ExecArgs, ExecOptions, ProcessSource};
use crate::runtime::{Container, Runtime};
use crate::wait::Foreground;
use crate::{facts, files, join, log};

/// What becomes of the process: whom it is shown to.
struct To<'a> {
    options: &'a ExecOptions,
    /// Who is sent its terminal.
    console_socket: Option<&'a OwnedFd>,
    /// The caller holds it, and has given it these.
    held: Option<&'a Stdio>,
}

impl Runtime {
    /// Executes another process in a container. The result is its exit status, 128 + n if signal n ended it, 0 if
    /// detached.
    ///
    /// # Errors
    ///
    /// [`Error::WrongState`]: the container does not run, or is paused. [`Error::Exec`]: no such program.
    pub fn exec(&self, id: &ContainerId, options: &ExecOptions) -> Result<i32> {
        let container = self.executable(id, options)?;
        files::check_preserved(options.preserve_fds)?;
        let config = container.config()?;
        let process = process(&options.process, &config)?;
        let console_socket = options.console_socket.as_deref();
        console::check(process.terminal, options.detach, console_socket.is_some())?;
        let console_socket = console_socket.map(console::connect_console_socket).transpose()?;
        let foreground = if options.detach { None } else { Some(Foreground::new(false)?) };
        let to = To { options, console_socket: console_socket.as_ref(), held: None };
        let (child, console) = self.added(&container, &config, &process, &to)?;
        let Some(foreground) = foreground else { return Ok(0) };
        foreground.wait(child.pid, &child.pidfd.into(), console.and_then(Console::proxy))
    }

    /// Executes another process, which the caller holds. As in [`Runtime::exec`]; of the options, those about consoles and
    /// detaching mean nothing.
    ///
    /// # Errors
    ///
    /// As [`Runtime::exec`].
    pub fn exec_held(&self, id: &ContainerId, options: &ExecOptions, stdio: &Stdio) -> Result<Held> {
        let container = self.executable(id, options)?;
        let config = container.config()?;
        let process = process(&options.process, &config)?;
        let to = To { options, console_socket: None, held: Some(stdio) };
        let (child, console) = self.added(&container, &config, &process, &to)?;
        Ok(Held::new(child, console))
    }

    /// The container, if its state allows `exec`.
    fn executable(&self, id: &ContainerId, options: &ExecOptions) -> Result<Container> {
        let container = self.load(id)?;
        let status = container.status()?;
        match status {
            Status::Running | Status::Created => Ok(container),
            Status::Paused if options.ignore_paused => Ok(container),
            _ => Err(Error::WrongState { id: id.to_string(), action: Action::Exec, status }),
        }
    }

    fn added(
        &self,
        container: &Container,
        config: &Document,
        process: &Process,
        to: &To<'_>,
    ) -> Result<(Child, Option<Console>)> {
        let options = to.options;
        let host = facts::gather(&config.spec, self.layout()?)?;
        let how = CompileOptions {
            id: &container.saved.id,
            no_new_keyring: true,
            filter: None,
            preserve_fds: options.preserve_fds,
        };
        let compiled = orlop_compile::compile_exec(&config.spec, process, &host, &how)
            .map_err(|found| options.process.blame(&found))?;
        log::findings(&compiled.warnings);
        let init = container.saved.process.map(|process| process.open()).transpose()?.flatten();
        let Some(init) = init else {
            let (id, status) = (container.saved.id.clone(), Status::Stopped);
            return Err(Error::WrongState { id, action: Action::Exec, status });
        };
        let kinds = join::namespaces(&config.spec);
        let cgroup = container.cgroup()?;
        let words = Words::new(&compiled, &process.args);
        let request = |dir| Request {
            compiled: &compiled,
            cgroup: cgroup.as_ref(),
            cgroup_dir: dir,
            start: None,
            join: Some((&init, kinds)),
            pass: Vec::new(),
            stdio: to.held,
            privileged: host.privileged,
            words,
        };
        let session = match launch::launch(request(None)) {
            // The container has cgroups of its own below: then no process may be beside them (cgroup-v2.rst, "No
            // Internal Process Constraint"), and a new one goes where the container's first process is.
            Err(e) if e.errno() == Some(libc::EBUSY) && cgroup.is_some() => {
                launch::launch(request(Some(container.cgroup_of_init(cgroup.as_ref())?)))
            }
            launched => launched,
        }?;
        converse(session, to)
    }
}

/// Talks to init until the process runs.
fn converse(mut session: Session<'_>, to: &To<'_>) -> Result<(Child, Option<Console>)> {
    let mut console = None;
    loop {
        match session.next()? {
            Event::Console(master) => match to.console_socket {
                Some(socket) => console::send_master(socket, &master)?,
                None => console = Some(Console::new(master, to.held.is_some())?),
            },
            Event::Begin | Event::Hooks | Event::Ready => session.proceed()?,
            Event::Running => {
                if let Some(path) = &to.options.pid_file {
                    files::write_pid(path, session.pid())?;
                }
                return Ok((session.release()?, console));
            }
        }
    }
}

impl Container {
    /// The directory of the cgroup that the container's first process is in now.
    fn cgroup_of_init(&self, cgroup: Option<&Cgroup>) -> Result<OwnedFd> {
        let pid = self.saved.process.map_or(0, |process| process.pid);
        let file = format!("/proc/{pid}/cgroup");
        let text = std::fs::read_to_string(&file).doing(|| format!("read {file}"))?;
        let inner = text.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
        let mount = cgroup.map_or(Path::new("/sys/fs/cgroup"), |cgroup| &cgroup.location().v2.mount);
        let path: PathBuf = mount.join(inner);
        let dir = std::fs::File::open(&path).doing(|| format!("open {}", path.display()))?;
        Ok(dir.into())
    }
}

/// The process to execute.
fn process(source: &ProcessSource, config: &Document) -> Result<Process> {
    match source {
        ProcessSource::File(path) => {
            parse(std::fs::read(path).doing(|| format!("read {}", path.display()))?, path)
        }
        ProcessSource::Text(text) => parse(text.clone(), Path::new("process")),
        ProcessSource::Args(args) => Ok(args.applied_to(config.spec.process.clone().unwrap_or_default())),
    }
}

fn parse(text: Vec<u8>, path: &Path) -> Result<Process> {
    ProcessDocument::parse(text).map(|document| document.spec).map_err(|errors| {
        let problem = |e: &orlop_spec::ParseError| Problem {
            pointer: e.pointer.clone(),
            position: e.location.map(|l| (l.line, l.column)),
            what: e.message.clone(),
            ..Problem::default()
        };
        Error::Config { path: path.to_owned(), problems: errors.errors.iter().map(problem).collect() }
    })
}

impl ExecArgs {
    /// The container's own process, changed.
    fn applied_to(&self, mut process: Process) -> Process {
        process.args.clone_from(&self.args);
        process.terminal = self.tty;
        process.cwd = self.cwd.clone().unwrap_or(process.cwd);
        process.env.extend(self.env.iter().cloned());
        if let Some((uid, gid)) = self.user {
            process.user.uid = uid;
            process.user.gid = gid.unwrap_or(process.user.gid);
        }
        process.user.additional_gids.extend(&self.additional_gids);
        process.no_new_privileges = self.no_new_privs.unwrap_or(process.no_new_privileges);
        if !self.caps.is_empty() {
            let sets = process.capabilities.get_or_insert_with(Capabilities::default);
            // Never inheritable: that would give them to every file with inheritable capabilities (CVE-2022-29162).
            for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
                set.extend(self.caps.iter().cloned());
            }
        }
        process
    }
}

impl ProcessSource {
    /// What the compiler found, with places in the file if there is one.
    fn blame(&self, found: &orlop_compile::Diagnostics) -> Error {
        match self {
            Self::File(path) => {
                let mut error = refused(path, "", found);
                if let Error::Config { problems, .. } = &mut error {
                    for problem in problems {
                        // The file is what is `/process` in a config.
                        if let Some(inside) = problem.pointer.strip_prefix("/process") {
                            problem.pointer = inside.to_owned();
                        }
                    }
                }
                error
            }
            Self::Args(_) | Self::Text(_) => refused(Path::new("exec"), "", found),
        }
    }
}
