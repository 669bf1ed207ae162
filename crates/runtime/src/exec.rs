//! `exec`: another process in a running container.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use orlop_cgroups::Cgroup;
use orlop_compile::ExecOptions as CompileOptions;
use orlop_spec::{Capabilities, Document, Process, ProcessDocument, Status};
use orlop_sys::spawn::Child;

use crate::bundle::refused;
use crate::console::{self, Proxy};
use crate::error::{Action, Doing, Error, Problem, Result};
use crate::id::ContainerId;
use crate::launch::{self, Event, Home, Request, Session, Words};
use crate::options::{ExecArgs, ExecOptions, ProcessSource};
use crate::runtime::{Container, Runtime};
use crate::wait::Foreground;
use crate::{facts, files, join, log};

impl Runtime {
    /// Executes another process in a container. The result is its exit status, 128 + n if signal n ended it, 0 if
    /// detached.
    ///
    /// # Errors
    ///
    /// [`Error::WrongState`]: the container does not run, or is paused. [`Error::Exec`]: no such program.
    pub fn exec(&self, id: &ContainerId, options: &ExecOptions) -> Result<i32> {
        let container = self.load(id)?;
        let status = container.status()?;
        let fits = match status {
            Status::Running | Status::Created => true,
            Status::Paused => options.ignore_paused,
            _ => false,
        };
        if !fits {
            return Err(Error::WrongState { id: id.to_string(), action: Action::Exec, status });
        }
        files::check_preserved(options.preserve_fds)?;
        let config = container.config()?;
        let process = process(&options.process, &config)?;
        let console_socket = options.console_socket.as_deref();
        console::check(process.terminal, options.detach, console_socket.is_some())?;
        let console_socket = console_socket.map(console::connect_console_socket).transpose()?;
        let foreground = if options.detach { None } else { Some(Foreground::new(false)?) };
        let (child, console) = self.added(&container, &config, &process, options, console_socket.as_ref())?;
        let Some(foreground) = foreground else { return Ok(0) };
        foreground.wait(child.pid, &child.pidfd.into(), console)
    }

    fn added(
        &self,
        container: &Container,
        config: &Document,
        process: &Process,
        options: &ExecOptions,
        console_socket: Option<&OwnedFd>,
    ) -> Result<(Child, Option<Proxy>)> {
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
        let request = |home| Request {
            compiled: &compiled,
            home,
            start: None,
            join: Some((&init, kinds)),
            pass: Vec::new(),
            privileged: host.privileged,
            words,
        };
        let home = Home::Cgroup(cgroup.as_ref(), container.saved.cgroups.unit.as_ref());
        let session = match launch::launch(request(home)) {
            // The container has cgroups of its own below: then no process may be beside them (cgroup-v2.rst, "No
            // Internal Process Constraint"), and a new one goes where the container's first process is.
            Err(e) if e.errno() == Some(libc::EBUSY) && cgroup.is_some() => {
                launch::launch(request(Home::Below(container.cgroup_of_init(cgroup.as_ref())?)))
            }
            launched => launched,
        }?;
        converse(session, options, console_socket)
    }
}

/// Talks to init until the process runs.
fn converse(
    mut session: Session<'_>,
    options: &ExecOptions,
    console_socket: Option<&OwnedFd>,
) -> Result<(Child, Option<Proxy>)> {
    let mut console = None;
    loop {
        match session.next()? {
            Event::Console(master) => match console_socket {
                Some(socket) => console::send_master(socket, &master)?,
                // At once, so that the program finds a terminal of the right size.
                None => console = Some(Proxy::new(master)?),
            },
            Event::Begin | Event::Hooks | Event::Ready => session.proceed()?,
            Event::Running => {
                if let Some(path) = &options.pid_file {
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
            let text = std::fs::read(path).doing(|| format!("read {}", path.display()))?;
            ProcessDocument::parse(text).map(|document| document.spec).map_err(|errors| {
                let problem = |e: &orlop_spec::ParseError| Problem {
                    pointer: e.pointer.clone(),
                    position: e.location.map(|l| (l.line, l.column)),
                    what: e.message.clone(),
                    ..Problem::default()
                };
                Error::Config { path: path.clone(), problems: errors.errors.iter().map(problem).collect() }
            })
        }
        ProcessSource::Args(args) => Ok(args.applied_to(config.spec.process.clone().unwrap_or_default())),
    }
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
            Self::Args(_) => refused(Path::new("exec"), "", found),
        }
    }
}
