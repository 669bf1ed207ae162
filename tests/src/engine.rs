//! A place where a container engine runs with the runtime under test and touches nothing of the machine's own.
//!
//! It has a directory, and mount, network and PID namespaces of its own. Whatever lives there, daemons included, ends with
//! the test. Control groups are the machine's: they carry the place's id and are removed at the end.
//!
//! The engines are those that are installed here, or those of a root file system that `hack/engines` made of some release
//! of Debian ([`Suite`]).
pub mod containerd;
pub mod cri;
pub mod docker;
pub mod podman;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{Fifo, Invocation, Running, busybox, cgroup, ledger, runtime};

/// What the first process does on the machine's own root: places that engines share with others become the place's own.
const SET_APART: &str = "for shared in /run /dev/shm /var/lib/containers /var/lib/cni; do \
    [ ! -d $shared ] || mount -t tmpfs tmpfs $shared; done; mkdir -p /run/lock; ";

/// What it does then: it reaps.
const REAP: &str = "echo ready >\"$1\"; while :; do sleep 1000 & wait $!; done";

/// Which release of Debian an engine is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// What is installed on this machine.
    Installed,
    /// Debian 12.
    Bookworm,
    /// Debian 13.
    Trixie,
    /// The one that is always being made.
    Sid,
}

impl Suite {
    /// Its name, and that of its root below `target/engines`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::Sid => "sid",
        }
    }

    /// Its root file system.
    pub fn root(self) -> PathBuf {
        match self {
            Self::Installed => PathBuf::from("/"),
            suite => runtime::workspace().join("target/engines").join(suite.name()),
        }
    }

    /// Why a test with a program of it cannot run here, if so.
    pub fn lacks(self, program: &str) -> Option<String> {
        if self == Self::Installed {
            let there = crate::need::program(program);
            return (!there).then(|| format!("{program} is not installed (hack/setup.sh test)"));
        }
        let places = ["usr/bin", "usr/sbin", "usr/local/bin"];
        let there = places.iter().any(|place| self.root().join(place).join(program).exists());
        (!there).then(|| format!("Debian's {} has no {program}, or hack/engines did not get it", self.name()))
    }
}

/// Ends the test with SKIP unless the programs are there.
#[macro_export]
macro_rules! need_engine {
    ($suite:expr, $($program:expr),+) => {
        $(if let Some(why) = $suite.lacks($program) {
            $crate::need::skip(&why);
            return;
        })+
    };
}

/// Makes tests of functions that take a [`Suite`]: one for each of the three releases.
///
/// They are ignored but in `make e2e`: they take minutes, and the roots gigabytes.
#[macro_export]
macro_rules! on_each_suite {
    ($($name:ident),+ $(,)?) => {
        $crate::on_suite!(bookworm, Bookworm, $($name),+);
        $crate::on_suite!(trixie, Trixie, $($name),+);
        $crate::on_suite!(sid, Sid, $($name),+);
    };
}

/// Makes tests of functions that take a [`Suite`], for one of them.
#[macro_export]
macro_rules! on_suite {
    (installed, $($name:ident),+) => {
        mod installed { $(#[test] fn $name() { super::$name($crate::engine::Suite::Installed); })+ }
    };
    ($module:ident, $suite:ident, $($name:ident),+) => {
        mod $module {
            $(#[test]
            #[ignore = "make e2e runs it"]
            fn $name() {
                super::$name($crate::engine::Suite::$suite);
            })+
        }
    };
}

/// The place.
#[derive(Debug)]
pub struct EngineRoom {
    /// A word that is in the name of everything made here.
    pub id: String,
    home: TempDir,
    keeper: Option<Running>,
    first: i32,
}

impl EngineRoom {
    /// An empty place on the machine's own root, with a busybox root file system for containers.
    pub fn new() -> Self {
        Self::of(Suite::Installed)
    }

    /// An empty place with the engines of a release.
    pub fn of(suite: Suite) -> Self {
        let home = tempfile::Builder::new().prefix("oe-").tempdir().expect("a temporary directory");
        let id = home.path().file_name().expect("a name").to_string_lossy().into_owned();
        for directory in ["io", "rootfs"] {
            fs::create_dir(home.path().join(directory)).expect("a new directory");
        }
        busybox::install(&home.path().join("rootfs"));
        let mut ready = Fifo::make(&home.path().join("ready"));
        let unshare = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--propagation", "private"];
        let mut keeper = Invocation::new("unshare", &home.path().join("io")).args(unshare);
        keeper = if suite == Suite::Installed {
            keeper.args(["--mount-proc", "sh", "-ec", &format!("{SET_APART}{REAP}"), "sh"])
        } else {
            let enter = runtime::workspace().join("hack/engines.d/enter");
            keeper.arg(enter).arg(suite.root()).arg(home.path().join("layer")).args(["sh", "-ec", REAP, "sh"])
        };
        let keeper = keeper.arg(ready.path()).spawn();
        ready.line();
        let pid = keeper.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("unshare runs");
        let first = children.trim().parse().expect("unshare has one child");
        Self { id, home, keeper: Some(keeper), first }
    }

    /// Its directory.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The busybox root file system.
    pub fn rootfs(&self) -> PathBuf {
        self.home.path().join("rootfs")
    }

    /// A file in its directory, with this text.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        fs::write(&path, text).expect("a new file");
        path
    }

    /// A command that runs in the place.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Invocation {
        let target = self.first.to_string();
        let enter = ["nsenter", "--target", &target, "--mount", "--net", "--pid", "--"];
        Invocation::new(program, &self.home.path().join("io")).within(&enter)
    }

    /// Fails the test if anything of a container is left whose id contains `word`.
    #[track_caller]
    pub fn assert_nothing_left_of(&self, word: &str) {
        let mut left: Vec<_> = ledger::processes(word);
        left.extend(cgroup::named(word).iter().map(|path| path.display().to_string()));
        let mounts = self.command("cat").arg("/proc/self/mountinfo").ok().stdout;
        left.extend(mounts.lines().filter(|line| line.contains(word)).map(str::to_owned));
        assert!(left.is_empty(), "left behind by {word}:\n{}", left.join("\n"));
    }
}

impl Default for EngineRoom {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for EngineRoom {
    fn drop(&mut self) {
        // With unshare ends its child, and with that everything in its PID namespace.
        drop(self.keeper.take());
        let mut groups = cgroup::named(&self.id);
        groups.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
        for group in groups {
            remove_group(&group);
        }
    }
}

/// Removes a cgroup with those below it; the last processes may still be on their way out.
fn remove_group(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_group(&entry.path());
        }
    }
    let deadline = std::time::Instant::now() + crate::command::patience();
    while fs::remove_dir(group).is_err_and(|e| e.raw_os_error() == Some(16)) {
        assert!(std::time::Instant::now() < deadline, "{} stays busy", group.display());
        std::thread::yield_now();
    }
}
