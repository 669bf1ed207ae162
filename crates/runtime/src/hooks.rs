//! Hooks: commands of the config that run at points of a container's life (`config.md#posix-platform-hooks`).
//!
//! A hook reads the container's state from its standard input and has to end, in time, with status 0. What it writes is
//! shown only if it fails, as with runc. Where it runs is the caller's choice: [`run`] takes the function that starts
//! it, [`on_host`] is the one for hooks that run in the runtime's namespaces.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, PipeReader, PipeWriter, Read as _, Write as _, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use orlop_spec::{Hook, State};
use orlop_sys::command::with_no_signal_blocked;
use orlop_sys::process::pidfd_open;
use orlop_sys::spawn::Child;
use orlop_sys::wait::{How, wait};

use crate::error::{Doing, Error, Result};

/// When hooks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// During `create`, in the runtime's namespaces; deprecated.
    Prestart,
    /// During `create`, in the runtime's namespaces.
    CreateRuntime,
    /// During `create`, in the container's namespaces.
    CreateContainer,
    /// During `start`, in the container's namespaces.
    StartContainer,
    /// After `start`, in the runtime's namespaces.
    Poststart,
    /// After `delete`, in the runtime's namespaces.
    Poststop,
}

impl Kind {
    /// All of them, in the order of a container's life.
    pub const ALL: [Self; 6] = [
        Self::Prestart,
        Self::CreateRuntime,
        Self::CreateContainer,
        Self::StartContainer,
        Self::Poststart,
        Self::Poststop,
    ];

    /// The name in `config.json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prestart => "prestart",
            Self::CreateRuntime => "createRuntime",
            Self::CreateContainer => "createContainer",
            Self::StartContainer => "startContainer",
            Self::Poststart => "poststart",
            Self::Poststop => "poststop",
        }
    }

    /// Whether a failure is only a warning, and the next hook runs all the same (`runtime.md#lifecycle`).
    const fn may_fail(self) -> bool {
        matches!(self, Self::Poststop)
    }
}

/// What a hook's standard streams are connected to; close-on-exec until whoever starts it puts them in place.
#[derive(Debug)]
pub struct Streams {
    /// Standard input: the state will come out of it.
    pub stdin: OwnedFd,
    /// Standard output.
    pub stdout: OwnedFd,
    /// Standard error.
    pub stderr: OwnedFd,
}

/// Starts a hook: a child of this process that nobody else waits for, and, if the hook has a timeout, the leader of a process
/// group of its own.
pub type Spawn<'a> = &'a mut dyn FnMut(&Hook, Streams) -> Result<Child>;

/// Runs hooks in order.
///
/// # Errors
///
/// [`Error::Hook`], at the first that fails; failures of `poststop` hooks are logged instead.
pub fn run(hooks: &[Hook], kind: Kind, state: &State, spawn: Spawn<'_>) -> Result<()> {
    if hooks.is_empty() {
        return Ok(());
    }
    let text =
        serde_json::to_vec(state).map_err(|e| Error::State { path: "state".into(), why: e.to_string() })?;
    let files = Files::open(state)?;
    for (index, hook) in hooks.iter().enumerate() {
        tracing::debug!(kind = kind.name(), index, path = hook.path, "running hook");
        if let Err(e) = one(hook, &text, &files, spawn) {
            let e = e.into_error(kind, index, hook);
            if !kind.may_fail() {
                return Err(e);
            }
            tracing::warn!("{e}");
        }
    }
    Ok(())
}

/// The spawner for hooks that run in the runtime's namespaces: in `directory`, or in the current one. A hook without
/// `env` has the environment of this process, as with runc.
pub fn on_host(directory: Option<&Path>) -> impl FnMut(&Hook, Streams) -> Result<Child> {
    move |hook, streams| {
        let doing = || format!("start {}", hook.path);
        let mut command = Command::new(&hook.path);
        if let Some((name, arguments)) = hook.args.split_first() {
            command.arg0(name).args(arguments);
        }
        if !hook.env.is_empty() {
            let pairs = hook.env.iter().map(|entry| entry.split_once('=').unwrap_or((entry, "")));
            command.env_clear().envs(pairs);
        }
        if let Some(directory) = directory {
            command.current_dir(directory);
        }
        command
            .stdin(Stdio::from(streams.stdin))
            .stdout(Stdio::from(streams.stdout))
            .stderr(Stdio::from(streams.stderr));
        if hook.timeout.is_some() {
            // What it starts can be ended with it. Without a deadline it stays in our group, and hears our terminal's signals.
            command.process_group(0);
        }
        let child = with_no_signal_blocked(&mut command).spawn().doing(doing)?;
        // Nobody has waited for the child, so the number is still its own.
        let pid = child.id() as i32;
        Ok(Child { pid, pidfd: pidfd_open(pid).doing(doing)?, cpu: None })
    }
}

/// How much of what a hook wrote is kept: the end of it, in bytes.
const TAIL: usize = 2048;

/// Why a hook failed.
enum Failure {
    /// It could not be started or watched.
    Host(Error),
    /// It ended otherwise than with status 0, or not in time.
    Itself { why: String, output: String },
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Self::Host(e)
    }
}

impl Failure {
    fn into_error(self, kind: Kind, index: usize, hook: &Hook) -> Error {
        let (why, stderr) = match self {
            Self::Host(e) => (e.to_string(), String::new()),
            Self::Itself { why, output } => (why, output),
        };
        Error::Hook {
            pointer: format!("/hooks/{}/{index}", kind.name()).into(),
            path: hook.path.clone(),
            why,
            stderr,
        }
    }
}

/// Files that annotations name for what hooks write, as crun has them; appended to, and made if need be.
struct Files {
    stdout: Option<File>,
    stderr: Option<File>,
}

impl Files {
    fn open(state: &State) -> Result<Self> {
        let file = |key: &str| {
            let path = state.annotations.get(key)?;
            let opened = File::options().append(true).create(true).open(path);
            Some(opened.doing(|| format!("open {path} for what hooks write (annotation {key})")))
        };
        Ok(Self {
            stdout: file("run.oci.hooks.stdout").transpose()?,
            stderr: file("run.oci.hooks.stderr").transpose()?,
        })
    }
}

/// A descriptor for a file, or another for the pipe where there is none.
fn stream(file: Option<&File>, pipe: &PipeWriter) -> std::io::Result<OwnedFd> {
    file.map_or_else(|| pipe.try_clone().map(OwnedFd::from), |file| file.try_clone().map(OwnedFd::from))
}

fn one(hook: &Hook, state: &[u8], files: &Files, spawn: Spawn<'_>) -> std::result::Result<(), Failure> {
    let doing = || format!("make a pipe for {}", hook.path);
    let (stdin, feed) = pipe().doing(doing)?;
    let (output, written) = pipe().doing(doing)?;
    for end in [feed.as_fd(), output.as_fd()] {
        fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).doing(doing)?;
    }
    // `timeout` is at least one second, and the compiler has said so where it is not.
    let timeout = hook.timeout.map(|seconds| Duration::from_secs(seconds.max(0).unsigned_abs()));
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let streams = Streams {
        stdin: stdin.into(),
        stdout: stream(files.stdout.as_ref(), &written).doing(doing)?,
        stderr: stream(files.stderr.as_ref(), &written).doing(doing)?,
    };
    drop(written);
    let child = spawn(hook, streams)?;
    let mut running = Running { child, feed: Some(feed), state, output: Some(output), tail: VecDeque::new() };
    let in_time = running.watch(deadline)?;
    if !in_time {
        running.kill();
    }
    let ended = wait(running.child.pidfd.fd()).doing(|| format!("wait for {}", hook.path))?;
    let why = match (in_time, ended) {
        (false, _) => format!("not done within {} s", hook.timeout.unwrap_or_default()),
        (true, How::Exited(0)) => return Ok(()),
        (true, how) => how.to_string(),
    };
    Err(Failure::Itself { why, output: running.said() })
}

/// A hook that runs, and the ends of its pipes.
struct Running<'a> {
    child: Child,
    /// Where the state goes in, until all of it has.
    feed: Option<PipeWriter>,
    state: &'a [u8],
    /// Where what it writes comes out, until the end.
    output: Option<PipeReader>,
    tail: VecDeque<u8>,
}

impl Running<'_> {
    /// Ends it with all that it has started, as far as that has not left its process group.
    fn kill(&self) {
        // It has not been waited for, so its number is still its own and its group's. All may have ended just now: then this
        // has no effect.
        killpg(Pid::from_raw(self.child.pid), Signal::SIGKILL).ok();
    }

    /// Feeds it and listens to it until it ends; whether it did so before the deadline. Processes that it leaves behind
    /// with its output open are not waited for.
    fn watch(&mut self, deadline: Option<Instant>) -> Result<bool> {
        loop {
            let timeout = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => PollTimeout::NONE,
                Some(Duration::ZERO) => return Ok(false),
                // Rounded up, so as not to spin through the last millisecond; a longer time than fits is slept in parts.
                Some(left) => {
                    PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
                }
            };
            let mut fds = vec![PollFd::new(self.child.pidfd.as_fd(), PollFlags::POLLIN)];
            fds.extend(self.output.iter().map(|out| PollFd::new(out.as_fd(), PollFlags::POLLIN)));
            fds.extend(self.feed.iter().map(|feed| PollFd::new(feed.as_fd(), PollFlags::POLLOUT)));
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(e) => return Err(e).doing(|| "wait for a hook".to_owned()),
            }
            let ended = fds[0].any() == Some(true);
            self.listen();
            self.feed();
            if ended {
                return Ok(true);
            }
        }
    }

    /// Gives it as much of the state as it takes. One that does not read it, or not all, is within its rights.
    fn feed(&mut self) {
        let Some(feed) = &mut self.feed else { return };
        match feed.write(self.state) {
            Ok(n) if n < self.state.len() => self.state = &self.state[n..],
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Ok(_) | Err(_) => self.feed = None,
        }
    }

    /// Takes what it has written, and keeps the end.
    fn listen(&mut self) {
        let mut buffer = [0; TAIL];
        while let Some(output) = &mut self.output {
            match output.read(&mut buffer) {
                Ok(n) if n > 0 => {
                    self.tail.extend(&buffer[..n]);
                    self.tail.drain(..self.tail.len().saturating_sub(TAIL));
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => self.output = None,
            }
        }
    }

    /// The end of what it wrote, as text.
    fn said(&mut self) -> String {
        String::from_utf8_lossy(self.tail.make_contiguous()).trim().to_owned()
    }
}

#[cfg(test)]
mod tests;
