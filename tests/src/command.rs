//! Running commands: nothing may hang, nothing said may be lost.
//!
//! Standard output and error go to files, not pipes: a created container inherits them and would keep a
//! pipe's reader waiting long after the runtime itself has gone.
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::events::ProcessHandle;

/// How long a command may take before the test ends it and fails.
///
/// Generous: it catches hangs and measures nothing. `ORLOP_PATIENCE` multiplies it on slow machines.
pub fn patience() -> Duration {
    let factor = std::env::var("ORLOP_PATIENCE").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    Duration::from_secs(30) * factor
}

/// What no command may come to, whatever others do meanwhile: a defect, a deadline, or something in its way that stays.
pub const DEFECTS: [&str; 6] =
    ["panicked", "ETIMEDOUT", "EBUSY", "ENOTEMPTY", "still has processes", "unreachable"];

/// A command about to be run.
#[derive(Debug)]
pub struct Invocation {
    argv: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    stdin: Option<Stdio>,
    stdout: Option<Stdio>,
    stderr: Option<Stdio>,
    io: PathBuf,
    directory: Option<PathBuf>,
}

/// What a finished command left.
#[derive(Debug)]
pub struct Output {
    /// The exit code as a shell would say it: 128 + n for signal n.
    pub code: i32,
    /// Everything written to standard output by the time the command ended.
    pub stdout: String,
    /// Everything written to standard error by the time the command ended.
    pub stderr: String,
    command: String,
}

/// A command that has been started.
#[derive(Debug)]
pub struct Running {
    child: Child,
    handle: ProcessHandle,
    files: [PathBuf; 2],
    command: String,
    finished: bool,
}

impl Invocation {
    /// A command whose output files go to the directory `io`.
    pub fn new(program: impl AsRef<OsStr>, io: &Path) -> Self {
        Self {
            argv: vec![program.as_ref().to_owned()],
            env: vec![],
            stdin: None,
            stdout: None,
            stderr: None,
            io: io.to_owned(),
            directory: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.argv.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Sets standard input; it is empty otherwise.
    #[must_use]
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.stdin = Some(stdin.into());
        self
    }

    /// Sends standard output elsewhere than to the output file.
    #[must_use]
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdout = Some(stdout.into());
        self
    }

    /// Sends standard error elsewhere than to the output file.
    #[must_use]
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.stderr = Some(stderr.into());
        self
    }

    /// Gives the command these bytes on standard input.
    #[must_use]
    pub fn input(self, bytes: &[u8]) -> Self {
        let path = self.io.join(format!("{}.in", serial()));
        std::fs::write(&path, bytes).expect("the input file is written");
        self.stdin(File::open(path).expect("the input file is there"))
    }

    /// Runs it in this working directory.
    #[must_use]
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Runs it on the other side of a terminal.
    #[must_use]
    pub fn on(self, terminal: &OwnedFd) -> Self {
        let copy = || terminal.try_clone().expect("a descriptor can be copied");
        self.within(&["setsid", "--ctty", "--wait"]).stdin(copy()).stdout(copy()).stderr(copy())
    }

    /// Puts a wrapper (such as `ip netns exec NAME`) in front.
    #[must_use]
    pub fn within(mut self, wrapper: &[impl AsRef<OsStr>]) -> Self {
        self.argv.splice(0..0, wrapper.iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn output(self) -> Output {
        self.spawn().wait()
    }

    /// Runs it to its end and fails the test unless it succeeds.
    #[track_caller]
    pub fn ok(self) -> Output {
        self.output().ok()
    }

    /// Starts it.
    #[track_caller]
    pub fn spawn(self) -> Running {
        let n = serial();
        let files = ["out", "err"].map(|kind| self.io.join(format!("{n}.{kind}")));
        let [out, err] = files.each_ref().map(|path| File::create(path).expect("an output file"));
        let command = format!("{:?}", self.argv);
        let mut builder = Command::new(&self.argv[0]);
        builder.args(&self.argv[1..]).envs(self.env);
        builder.stdout(self.stdout.unwrap_or_else(|| out.into()));
        builder.stderr(self.stderr.unwrap_or_else(|| err.into()));
        builder.stdin(self.stdin.unwrap_or_else(Stdio::null));
        if let Some(directory) = &self.directory {
            builder.current_dir(directory);
        }
        let child = builder.spawn().unwrap_or_else(|error| panic!("cannot start {command}: {error}"));
        let handle = ProcessHandle::open(child.id() as i32).expect("our own child can be addressed");
        Running { child, handle, files, command, finished: false }
    }
}

impl Running {
    /// The process id.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Sends a signal to the command itself.
    pub fn signal(&self, signal: Signal) {
        self.handle.signal(signal).expect("the command is still there");
    }

    /// The file that standard output goes to.
    pub fn stdout_file(&self) -> &Path {
        &self.files[0]
    }

    /// The file that standard error goes to.
    pub fn stderr_file(&self) -> &Path {
        &self.files[1]
    }

    /// Whether it ends within this time.
    pub fn ends_within(&self, limit: Duration) -> bool {
        self.handle.wait(limit)
    }

    /// Waits for its end; past the time limit it is killed and the test fails.
    #[track_caller]
    pub fn wait(mut self) -> Output {
        self.finished = true;
        let in_time = self.handle.wait(patience());
        if !in_time {
            self.handle.signal(Signal::KILL).expect("the command is still there");
        }
        let status = self.child.wait().expect("our own child can be waited for");
        let [stdout, stderr] = self.files.each_ref().map(|path| text(path));
        let output = Output { code: code(status), stdout, stderr, command: self.command.clone() };
        assert!(in_time, "still running after {:?}: {output}", patience());
        output
    }
}

impl Drop for Running {
    /// A command that nobody waited for is ended, so that a failing test leaves nothing running.
    fn drop(&mut self) {
        if !self.finished && self.handle.signal(Signal::KILL).is_ok() {
            self.child.wait().expect("our own child can be waited for");
        }
    }
}

impl Output {
    /// Fails the test unless the command succeeded.
    #[track_caller]
    #[allow(clippy::return_self_not_must_use, reason = "often only the success matters")]
    pub fn ok(self) -> Self {
        assert!(self.code == 0, "failed: {self}");
        self
    }

    /// Fails the test unless the command failed and its error output contains `text`.
    #[track_caller]
    #[allow(clippy::return_self_not_must_use, reason = "often only the failure matters")]
    pub fn fails_with(self, text: &str) -> Self {
        assert!(self.code != 0, "should have failed with {text:?}: {self}");
        assert!(self.stderr.contains(text), "should have said {text:?}: {self}");
        self
    }

    /// The lines of standard output.
    pub fn lines(&self) -> Vec<&str> {
        self.stdout.lines().collect()
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, stdout, stderr, command } = self;
        write!(f, "{command} exited with {code}\n--- stdout\n{stdout}--- stderr\n{stderr}---")
    }
}

/// Exit status to exit code, 128 + n for signals.
fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().expect("ended by exit or by signal"))
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).expect("the output file is there")).into_owned()
}

fn serial() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
