//! A place where a container engine runs with the runtime under test and touches nothing of the machine's own.
//!
//! It has a directory, and mount, network and PID namespaces of its own. Whatever lives there, daemons included, ends with
//! the test. Control groups are the machine's: they carry the place's id and are removed at the end.
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{Fifo, Invocation, Running, busybox, cgroup, ledger};

/// What the first process does: places that engines share with others become the place's own; then it reaps.
const SET_UP: &str = "for shared in /run /dev/shm /var/lib/containers /var/lib/cni; do \
    [ ! -d $shared ] || mount -t tmpfs tmpfs $shared; done; mkdir -p /run/lock; \
    echo ready >\"$1\"; while :; do sleep 1000 & wait $!; done";

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
    /// An empty place, with a busybox root file system for containers.
    pub fn new() -> Self {
        let home = tempfile::Builder::new().prefix("oe-").tempdir().expect("a temporary directory");
        let id = home.path().file_name().expect("a name").to_string_lossy().into_owned();
        for directory in ["io", "rootfs"] {
            fs::create_dir(home.path().join(directory)).expect("a new directory");
        }
        busybox::install(&home.path().join("rootfs"));
        let mut ready = Fifo::make(&home.path().join("ready"));
        let unshare = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
        let keeper = Invocation::new("unshare", &home.path().join("io"))
            .args(unshare)
            .args(["--propagation", "private", "sh", "-ec", SET_UP, "sh"])
            .arg(ready.path())
            .spawn();
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
