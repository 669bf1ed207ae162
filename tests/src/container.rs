//! One container, from its bundle to `delete`.
use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::command::patience;
use crate::{Bundle, Fifo, Invocation, Output, ProcessHandle, Running, cgroup, ledger, runtime};

/// A container with an id, a bundle and a state root of its own.
///
/// Dropping it deletes the container by force and then fails the test if anything of it is left on the machine.
#[derive(Debug)]
pub struct Container {
    /// The container's id, used by nobody else.
    pub id: String,
    /// The container's bundle.
    pub bundle: Bundle,
    home: TempDir,
    globals: Vec<String>,
    forgiven: bool,
    init: RefCell<Option<ProcessHandle>>,
    // Processes of `exec --detach`: ours to reap, and until then the first process cannot end.
    detached: RefCell<Vec<Rc<ProcessHandle>>>,
}

impl Container {
    /// A container that will run `args` in a busybox root file system under the default configuration.
    pub fn new(args: &[&str]) -> Self {
        adopt_orphans();
        let home = tempfile::Builder::new().prefix("ot-").tempdir().expect("a temporary directory");
        // Mapped users must be able to reach the root file system.
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).expect("our own directory");
        let id = home.path().file_name().expect("a name").to_string_lossy().into_owned();
        let mut bundle = Bundle::make(&home.path().join("bundle"));
        bundle.set("/process/args", args);
        for directory in ["io", "state"] {
            fs::create_dir(home.path().join(directory)).expect("a new directory");
        }
        Self {
            id,
            bundle,
            home,
            globals: vec![],
            forgiven: false,
            init: RefCell::new(None),
            detached: RefCell::default(),
        }
    }

    /// A container that will run a shell script.
    pub fn sh(script: &str) -> Self {
        Self::new(&["sh", "-c", script])
    }

    /// A container that will stay until it is killed, as a server would: it ends on SIGTERM with 0.
    pub fn lasting() -> Self {
        Self::sh("trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done")
    }

    /// Sets a value of the configuration, see [`Bundle::set`].
    #[track_caller]
    pub fn set(&mut self, pointer: &str, value: impl Into<Value>) -> &mut Self {
        self.bundle.set(pointer, value);
        self
    }

    /// Appends to an array of the configuration, see [`Bundle::push`].
    #[track_caller]
    pub fn push(&mut self, pointer: &str, value: impl Into<Value>) -> &mut Self {
        self.bundle.push(pointer, value);
        self
    }

    /// Adds an option before the command, for all commands.
    pub fn global(&mut self, option: &str) -> &mut Self {
        self.globals.push(option.to_owned());
        self
    }

    /// Does not fail the test for what the runtime leaves behind: it is another one, and something else is looked for.
    pub fn forgive_leaks(&mut self) -> &mut Self {
        self.forgiven = true;
        self
    }

    /// A fifo that the container sees at `/NAME`.
    pub fn fifo(&self, name: &str) -> Fifo {
        self.bundle.fifo(name)
    }

    /// The directory that holds everything of this container.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The runtime's state root (`--root`).
    pub fn state_root(&self) -> PathBuf {
        self.home.path().join("state")
    }

    /// The directory of the commands' output files.
    pub fn io(&self) -> PathBuf {
        self.home.path().join("io")
    }

    /// The runtime with its global flags; the caller adds command, flags and id.
    pub fn runtime(&self) -> Invocation {
        // The variable ties every process that the runtime starts to this container, for the ledger.
        Invocation::new(runtime::binary(), &self.io())
            .env("ORLOP_TEST", &self.id)
            // A slow machine is not a silent one.
            .env("ORLOP_DBUS_TIMEOUT", patience().as_secs().to_string())
            .arg("--root")
            .arg(self.state_root())
            .args(&self.globals)
    }

    /// A command of the runtime on this container: `COMMAND FLAGS… ID`.
    pub fn command<S: AsRef<OsStr>>(&self, command: &str, flags: &[S]) -> Invocation {
        self.runtime().arg(command).args(flags).arg(&self.id)
    }

    /// `create` or `run` with this container's bundle, its configuration saved.
    pub fn with_bundle<S: AsRef<OsStr>>(&self, command: &str, flags: &[S]) -> Invocation {
        self.bundle.save();
        self.runtime().arg(command).arg("--bundle").arg(self.bundle.path()).args(flags).arg(&self.id)
    }

    /// `run` in the foreground.
    #[track_caller]
    pub fn run(&self) -> Output {
        self.with_bundle::<&str>("run", &[]).output()
    }

    /// `run` in the foreground, without waiting for it.
    #[track_caller]
    pub fn spawn(&self) -> Running {
        self.with_bundle::<&str>("run", &[]).spawn()
    }

    /// `create`, which must succeed.
    #[track_caller]
    pub fn create(&self) -> Output {
        let flags = [OsStr::new("--pid-file"), self.pid_file().as_os_str()].map(OsStr::to_owned);
        let out = self.with_bundle("create", &flags).ok();
        self.adopt();
        out
    }

    /// `start`, which must succeed.
    #[track_caller]
    pub fn start(&self) {
        self.command::<&str>("start", &[]).ok();
    }

    /// `create` and `start`, which must succeed.
    #[track_caller]
    pub fn up(&self) -> Output {
        let created = self.create();
        self.start();
        created
    }

    /// `exec FLAGS… ID ARGS…`, ready to be run.
    pub fn exec_command(&self, flags: &[&str], args: &[&str]) -> Invocation {
        self.command("exec", flags).args(args)
    }

    /// `exec ID ARGS…`.
    #[track_caller]
    pub fn exec(&self, args: &[&str]) -> Output {
        self.exec_command(&[], args).output()
    }

    /// `exec --detach FLAGS… ID ARGS…`, which must succeed; the process is ours to wait for.
    #[track_caller]
    pub fn exec_detached(&self, flags: &[&str], args: &[&str]) -> Rc<ProcessHandle> {
        let file = self.home.path().join(format!("exec-{}", self.detached.borrow().len()));
        let path = file.to_string_lossy();
        let flags = [&["--detach", "--pid-file", &path], flags].concat();
        self.exec_command(&flags, args).ok();
        let text = fs::read_to_string(&file).expect("exec wrote the pid file");
        let pid = text.parse().unwrap_or_else(|_| panic!("the pid file holds {text:?}"));
        let process = Rc::new(ProcessHandle::open(pid).expect("the process is our child"));
        self.detached.borrow_mut().push(Rc::clone(&process));
        process
    }

    /// The processes of [`Container::exec_detached`], to be waited for by the test itself.
    pub fn take_detached(&self) -> Vec<Rc<ProcessHandle>> {
        self.detached.take()
    }

    /// `kill ID SIGNAL`, which must succeed.
    #[track_caller]
    pub fn kill(&self, signal: &str) {
        self.command::<&str>("kill", &[]).arg(signal).ok();
    }

    /// Kills it with what [`Container::exec_detached`] has added, and deletes it.
    #[track_caller]
    pub fn end_with_detached(&self) {
        self.kill("KILL");
        for added in self.take_detached() {
            added.reap();
        }
        self.wait();
        self.delete();
    }

    /// `delete`, which must succeed and leave nothing.
    #[track_caller]
    pub fn delete(&self) {
        self.command::<&str>("delete", &[]).ok();
        self.assert_no_leaks();
    }

    /// What `state` says, as JSON.
    #[track_caller]
    pub fn state(&self) -> Value {
        let out = self.command::<&str>("state", &[]).ok();
        serde_json::from_str(&out.stdout).unwrap_or_else(|error| panic!("state is no JSON ({error}): {out}"))
    }

    /// The `status` that `state` gives.
    #[track_caller]
    pub fn status(&self) -> String {
        self.state()["status"].as_str().expect("status is a string").to_owned()
    }

    /// The file that `create` was told to write the process id to.
    pub fn pid_file(&self) -> PathBuf {
        self.home.path().join("pid")
    }

    /// The process id of the container's first process, from the pid file.
    #[track_caller]
    pub fn pid(&self) -> i32 {
        let text = fs::read_to_string(self.pid_file()).expect("create wrote the pid file");
        text.parse().unwrap_or_else(|_| panic!("the pid file holds {text:?}"))
    }

    /// Takes hold of the first process, as an engine's shim does after `create` or `run --detach`.
    #[track_caller]
    pub fn adopt(&self) {
        *self.init.borrow_mut() = ProcessHandle::open(self.pid());
    }

    /// Waits for the end of a first process that was killed, if there is one, so that another one can be made.
    pub fn forget(&self) {
        self.init.take().map(|init| init.reap());
    }

    /// The same; whether it has ended in time.
    #[must_use]
    pub fn forget_within(&self, limit: Duration) -> bool {
        let init = self.init.take();
        init.is_none_or(|init| {
            let ended = init.wait(limit);
            ended.then(|| init.reap());
            ended
        })
    }

    /// Waits for the first process's end and returns its exit code (128 + n for signals).
    #[track_caller]
    pub fn wait(&self) -> i32 {
        let init = self.init.borrow();
        let init = init.as_ref().expect("the container has been created");
        init.reap().expect("the first process is our child once the runtime has gone")
    }

    /// Fails the test if anything of the container is left on the machine.
    #[track_caller]
    pub fn assert_no_leaks(&self) {
        let leaks = ledger::leaks(&self.id, &self.state_root());
        assert!(leaks.is_empty(), "left behind:\n{}", leaks.join("\n"));
    }
}

impl Container {
    /// Ends everything, whatever state the test left it in.
    fn clean_up(&self) {
        for process in self.detached.take() {
            // It has usually ended: then this does nothing.
            process.signal(Signal::KILL).ok();
            process.reap();
        }
        if self.state_root().join(&self.id).exists() || !ledger::processes(&self.id).is_empty() {
            self.command("delete", &["--force"]).output();
        }
        if let Some(init) = self.init.take() {
            init.signal(Signal::KILL).ok();
            init.reap();
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The first failure is the one to report: what goes wrong from here on is its consequence.
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.clean_up())).ok();
        } else {
            self.clean_up();
            if self.forgiven {
                // Those below first. One that is in use stays.
                cgroup::named(&self.id).iter().rev().for_each(|path| drop(fs::remove_dir(path)));
            } else {
                self.assert_no_leaks();
            }
        }
    }
}

/// What a shell script prints in a container with these changes (pointer, value) to the configuration.
#[track_caller]
pub fn printed(script: &str, changes: &[(&str, Value)]) -> String {
    let mut container = Container::sh(script);
    for (pointer, value) in changes {
        container.set(pointer, value.clone());
    }
    container.run().ok().stdout
}

/// Makes this process the parent of containers whose runtime has gone, so that their exit codes arrive here
/// as they would at an engine's shim.
fn adopt_orphans() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let own = rustix::process::getpid();
        rustix::process::set_child_subreaper(Some(own)).expect("a subreaper needs no privilege");
    });
}
