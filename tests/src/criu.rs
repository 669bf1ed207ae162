//! CRIU for `checkpoint` and `restore`: the one that `hack/criu` made ready, else the system's.
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::{Container, Fifo, Invocation, need, runtime};

/// A `PATH` in which the runtime finds it.
pub fn path() -> OsString {
    let ours = runtime::workspace().join("target/criu/bin");
    let system = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(ours).chain(std::env::split_paths(&system)).chain([PathBuf::from("/usr/sbin")]);
    std::env::join_paths(all).expect("no directory has a colon in its name")
}

/// Why CRIU does not work here, if it does not.
pub fn trouble() -> Option<&'static str> {
    static TROUBLE: OnceLock<Option<String>> = OnceLock::new();
    TROUBLE
        .get_or_init(|| {
            if !need::root() {
                return Some("CRIU needs root".to_owned());
            }
            let Ok(out) = Command::new("criu").arg("check").env("PATH", path()).output() else {
                return Some("no CRIU: hack/criu makes it ready".to_owned());
            };
            let said = String::from_utf8_lossy(&out.stderr);
            let last = said.lines().rfind(|line| line.contains("Error")).unwrap_or("it fails");
            (!out.status.success()).then(|| format!("criu check: {last}"))
        })
        .as_deref()
}

/// Whether CRIU and this kernel have a feature, by the name that `criu check --feature` has for it.
pub fn has(feature: &str) -> bool {
    let out = Command::new("criu").args(["check", "--feature", feature]).env("PATH", path()).output();
    out.is_ok_and(|out| out.status.success())
}

/// Ends the test with SKIP where CRIU does not work.
#[macro_export]
macro_rules! need_criu {
    () => {
        $crate::need!($crate::criu::trouble().is_none(), "{}", $crate::criu::trouble().unwrap_or_default());
    };
}

/// What counts the lines it is sent, and says how many there were: only the very same process knows the next number. It says
/// so by another process: while it redirects a command of its own, a shell has its output at another number, which CRIU is not
/// told of.
pub const COUNTER: &str =
    "trap 'exit 7' TERM; n=0; while read word </ask; do n=$((n+1)); (echo $word $n) >/said; done";

/// A container, and the fifos to talk with the process in it.
#[derive(Debug)]
pub struct Counter {
    /// The container.
    pub container: Container,
    /// Where it reads words from.
    pub ask: Fifo,
    /// Where it says them again, with a number.
    pub said: Fifo,
}

impl Counter {
    /// One that is not made yet.
    #[allow(clippy::new_without_default, reason = "it makes files")]
    pub fn new() -> Self {
        let container = Container::sh(COUNTER);
        let (ask, said) = (container.fifo("ask"), container.fifo("said"));
        Self { container, ask, said }
    }

    /// Set up by the closure, and running.
    pub fn up(change: impl FnOnce(&mut Container)) -> Self {
        let mut counter = Self::new();
        change(&mut counter.container);
        counter.container.up();
        counter.counts(1);
        counter
    }

    /// Has it count once more; it has to come to this number.
    #[track_caller]
    pub fn counts(&mut self, n: u32) {
        self.ask.tell("word");
        assert_eq!(self.said.line(), format!("word {n}"));
    }

    /// Checkpoints it, which ends it.
    #[track_caller]
    pub fn save(&self, flags: &[&str]) {
        checkpoint(&self.container, flags).ok();
        assert_eq!(self.container.wait(), 128 + 9, "CRIU has ended what it saved");
        let gone = self.container.command::<&str>("state", &[]).output();
        gone.fails_with("does not exist");
        self.container.assert_no_leaks();
    }

    /// Restores it.
    #[track_caller]
    pub fn restore(&self, flags: &[&str]) {
        restore_detached(&self.container, flags).ok();
        self.container.adopt();
        assert_eq!(self.container.status(), "running");
        assert_eq!(self.container.state()["pid"], self.container.pid());
    }

    /// Ends it as it would have ended by itself.
    #[track_caller]
    pub fn ends_as_it_would_have(&self) {
        self.container.kill("TERM");
        // The shell acts on signals between commands.
        fs::write(self.ask.path(), "\n").expect("the fifo has a reader");
        assert_eq!(self.container.wait(), 7);
        assert_eq!(self.container.status(), "stopped");
        self.container.delete();
    }
}

/// Where a container's images are.
pub fn images(container: &Container) -> PathBuf {
    container.home().join("images")
}

/// Where CRIU's logs are.
pub fn work(container: &Container) -> PathBuf {
    container.home().join("work")
}

fn with_criu(container: &Container, command: &str) -> Invocation {
    let paths = [images(container), work(container)];
    let invocation = container.runtime().env("PATH", path()).arg(command);
    let [images, work] = paths;
    invocation.arg("--image-path").arg(images).arg("--work-path").arg(work)
}

/// `checkpoint`.
pub fn checkpoint(container: &Container, flags: &[&str]) -> Invocation {
    with_criu(container, "checkpoint").args(flags).arg(&container.id)
}

/// `restore` with the container's bundle.
pub fn restore(container: &Container, flags: &[&str]) -> Invocation {
    with_criu(container, "restore")
        .arg("--bundle")
        .arg(container.bundle.path())
        .args(flags)
        .arg(&container.id)
}

/// In the way that containerd calls it.
pub fn restore_detached(container: &Container, flags: &[&str]) -> Invocation {
    let pid_file = container.pid_file();
    let pid_file = pid_file.to_str().expect("a path of ours");
    restore(container, &[&["--detach", "--no-subreaper", "--pid-file", pid_file], flags].concat())
}
