//! `exec`: another process in a running container.

use std::os::fd::OwnedFd;
use std::path::Path;

use orlop_cgroups::{Below, Cgroup, Location};
use orlop_compile::{Compiled, DELEGATE_CGROUP, ExecOptions as CompileOptions, Filter, Host};
use orlop_spec::{Capabilities, Document, Process, ProcessDocument, Spec, Status};
use orlop_sys::spawn::Child;

use crate::bundle::{refused, unreadable};
use crate::console::{self, Console};
use crate::error::{Action, Doing, Error, Result};
use crate::held::{Held, Stdio};
use crate::id::ContainerId;
use crate::launch::{self, Event, Home, Request, Session, Words};
use crate::options::{ExecArgs, ExecOptions, ProcessSource};
use crate::pidfd_socket::PidfdSocket;
use crate::runtime::{Container, Runtime, Seen};
use crate::state::ContainerState;
use crate::trace::Trace;
use crate::wait::Foreground;
use crate::{agent, files, join, log};

/// What becomes of the process: whom it is shown to.
struct To<'a> {
    options: &'a ExecOptions,
    /// Who is sent its terminal.
    console_socket: Option<&'a OwnedFd>,
    /// The caller holds it, and has given it these.
    held: Option<&'a Stdio>,
    /// When each step begins and ends, if somebody wants to know.
    trace: Option<&'a Trace>,
}

impl Runtime {
    /// Executes another process in a container. The result is its exit status, 128 + n if signal n ended it, 0 if
    /// detached.
    ///
    /// # Errors
    ///
    /// [`Error::WrongState`]: the container does not run, or is paused. [`Error::Exec`]: no such program.
    pub fn exec(&self, id: &ContainerId, options: &ExecOptions) -> Result<i32> {
        let trace = options.trace.as_deref().map(|file| Trace::begin(file, "read the container's state"));
        let (container, seen) = self.executable(id, options)?;
        files::check_preserved(options.preserve_fds)?;
        let config = container.config()?;
        let process = process(&options.process, &config)?;
        let console_socket = options.console_socket.as_deref();
        console::check(process.terminal, options.detach, console_socket.is_some())?;
        let console_socket = console_socket.map(console::connect_console_socket).transpose()?;
        let pidfd_socket = options.pidfd_socket.as_deref().map(PidfdSocket::connect).transpose()?;
        let foreground = if options.detach { None } else { Some(Foreground::new(false)?) };
        let to = To { options, console_socket: console_socket.as_ref(), held: None, trace: trace.as_ref() };
        let (child, console) = self.added((&container, seen), &config, &process, &to)?;
        pidfd_socket.map_or(Ok(()), |socket| socket.send(child.pidfd.fd()))?;
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
        let (container, seen) = self.executable(id, options)?;
        let config = container.config()?;
        let process = process(&options.process, &config)?;
        let to = To { options, console_socket: None, held: Some(stdio), trace: None };
        let (child, console) = self.added((&container, seen), &config, &process, &to)?;
        Ok(Held::new(child, console))
    }

    /// The container, if its state allows `exec`.
    fn executable(&self, id: &ContainerId, options: &ExecOptions) -> Result<(Container, Seen)> {
        let container = self.load(id)?;
        let seen = container.look()?;
        match seen.status {
            Status::Running | Status::Created => Ok((container, seen)),
            Status::Paused if options.ignore_paused => Ok((container, seen)),
            status => Err(Error::WrongState { id: id.to_string(), action: Action::Exec, status }),
        }
    }

    fn added(
        &self,
        (container, seen): (&Container, Seen),
        config: &Document,
        process: &Process,
        to: &To<'_>,
    ) -> Result<(Child, Option<Console>)> {
        let options = to.options;
        to.trace.iter().for_each(|trace| trace.phase("ask the host, compile"));
        let host = self.facts(&config.spec, Some(process))?;
        let filter = container.filter(&config.spec)?;
        let how = CompileOptions {
            id: &container.saved.id,
            no_new_keyring: false,
            preserve_fds: options.preserve_fds,
            filter: filter.as_ref(),
        };
        let compiled = orlop_compile::compile_exec(&config.spec, process, &host, &how)
            .map_err(|found| options.process.blame(&found))?;
        log::findings(&compiled.warnings);
        let added = start_added((container, seen), config, process, to, (&compiled, &host));
        match to.trace.map(|trace| trace.write(Some(&compiled), added.as_ref().err())) {
            // A failure to start it is what the caller hears first.
            Some(Err(e)) => added.and(Err(e)),
            _ => added,
        }
    }
}

/// Starts it, where the container's processes are.
fn start_added(
    (container, seen): (&Container, Seen),
    config: &Document,
    process: &Process,
    to: &To<'_>,
    (compiled, host): (&Compiled, &Host),
) -> Result<(Child, Option<Console>)> {
    let options = to.options;
    let phase = |name| to.trace.iter().for_each(|trace| trace.phase(name));
    phase("find the cgroup");
    let Some(init) = seen.process else {
        let (id, status) = (container.saved.id.clone(), Status::Stopped);
        return Err(Error::WrongState { id, action: Action::Exec, status });
    };
    let delegated = config.spec.annotations.get(DELEGATE_CGROUP);
    let below = Below::parse(&options.cgroup).map_err(Error::usage)?;
    let below = below.or_else(|| delegated.map(|path| Below::Everywhere(path.clone())));
    let cgroup = match (&below, seen.cgroup) {
        (Some(below), _) => Some(container.own_cgroup()?.below(below).map_err(not_added)?),
        // The container has left its cgroup, and somebody has removed it.
        (None, None) => container.saved.cgroups.location().map(|own| container.followed(&own)).transpose()?,
        (None, cgroup) => cgroup,
    };
    let mut kinds = join::namespaces(&config.spec);
    if container.saved.own_clocks {
        kinds |= libc::CLONE_NEWTIME;
    }
    let words = Words::new(compiled, &process.args);
    let request = |home| {
        Ok(Request {
            compiled,
            home,
            rdt: container.saved.rdt.as_ref(),
            start: None,
            join: Some((&init, kinds)),
            network: None,
            pass: join::root(&config.spec, &container.saved)?,
            stdio: to.held,
            privileged: host.privileged,
            words,
            trace: to.trace,
        })
    };
    let home = Home::Cgroup(cgroup.as_ref(), container.saved.cgroups.unit.as_ref());
    let beside;
    phase("start the process");
    let session = match request(home).and_then(launch::launch) {
        Err(e) if e.errno() == Some(libc::EBUSY) && below.is_some() => Err(not_added(e)),
        // The container has cgroups of its own below: then no process may be beside them (cgroup-v2.rst, "No
        // Internal Process Constraint"), and a new one goes where the container's first process is.
        Err(e) if e.errno() == Some(libc::EBUSY) => match &cgroup {
            Some(cgroup) => {
                beside = container.followed(cgroup.location())?;
                request(Home::Cgroup(Some(&beside), None)).and_then(launch::launch)
            }
            None => Err(e),
        },
        launched => launched,
    }?;
    phase("wait for init");
    if !compiled.launch.waits_for_host() && !process.terminal && compiled.launch.seccomp_agent.is_none() {
        session.fall_silent()?;
    }
    converse(session, container, compiled, to)
}

/// Why the process cannot be where `--cgroup` wants it, in words of runc.
fn not_added(e: impl std::fmt::Display) -> Error {
    Error::Cgroup { what: format!("adding pid of the new process to cgroups: {e}"), hint: None }
}

/// Talks to init until the process runs.
fn converse(
    mut session: Session<'_>,
    container: &Container,
    compiled: &Compiled,
    to: &To<'_>,
) -> Result<(Child, Option<Console>)> {
    let mut console = None;
    loop {
        match session.next()? {
            Event::Console(master) => {
                match to.console_socket {
                    Some(socket) => console::send_master(socket, &master)?,
                    None => console = Some(Console::new(master, to.held.is_some())?),
                }
                session.proceed()?;
            }
            Event::SeccompListener(number) => {
                if let Some(agent) = &compiled.launch.seccomp_agent {
                    let told = ContainerState::new(container.saved.clone(), container.status()?).to_oci();
                    agent::hand_over(agent, number, session.pidfd(), session.pid(), told)?;
                }
                session.proceed()?;
            }
            Event::Begin | Event::Hooks | Event::Ready => session.proceed()?,
            other @ (Event::MapIds(..) | Event::Root) => {
                return Err(Error::Died {
                    what: "the container's init".to_owned(),
                    how: format!("{other:?}"),
                });
            }
            Event::Running => {
                tracing::debug!("setns_init: about to exec");
                if let Some(path) = &to.options.pid_file {
                    files::write_pid(path, session.pid())?;
                }
                return Ok((session.release()?, console));
            }
        }
    }
}

impl Container {
    /// The filter that the container's first process has, where it was kept; without a filter in the config nobody looks.
    fn filter(&self, spec: &Spec) -> Result<Option<Filter>> {
        let has_one = spec.linux.as_ref().is_some_and(|linux| linux.seccomp.is_some());
        if has_one { self.dir.read_filter() } else { Ok(None) }
    }

    /// The cgroup that the container's first process is in now.
    fn followed(&self, location: &Location) -> Result<Cgroup> {
        Ok(Cgroup::followed(location, self.saved.process.map_or(0, |process| process.pid))?)
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
    let parsed = ProcessDocument::parse(text);
    parsed.map(|document| document.spec).map_err(|errors| unreadable(path, &errors))
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
        process.apparmor_profile = self.apparmor.clone().unwrap_or(process.apparmor_profile);
        process.selinux_label = self.process_label.clone().unwrap_or(process.selinux_label);
        if !self.caps.is_empty() {
            let sets = process.capabilities.get_or_insert_with(Capabilities::default);
            // Never inheritable: that would give them to every file with inheritable capabilities (CVE-2022-29162).
            for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
                set.extend(self.caps.iter().cloned());
            }
            // Ambient where the container has them inheritable itself (as with runc).
            sets.ambient.extend(self.caps.iter().filter(|cap| sets.inheritable.contains(cap)).cloned());
        }
        process
    }
}

impl ProcessSource {
    /// What the compiler found, with places in the file if there is one.
    fn blame(&self, found: &orlop_compile::Diagnostics) -> Error {
        match self {
            Self::File(path) => {
                // The file is what is `/process` in a config.
                refused(path, "", found).within("/process")
            }
            Self::Args(_) | Self::Text(_) => refused(Path::new("exec"), "", found),
        }
    }
}
