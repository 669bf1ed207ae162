//! Waiting for events: a process's end, words through a fifo, a change of a file.
//!
//! Each wait blocks in `poll` until the event or the deadline; none of them sleeps and looks again.
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};

use crate::command::patience;

/// A process, by pidfd: it can never turn into another process that got the same number.
#[derive(Debug)]
pub struct ProcessHandle {
    pid: i32,
    fd: OwnedFd,
}

impl ProcessHandle {
    /// A handle on a process that is there, be it a zombie.
    pub fn open(pid: i32) -> Option<Self> {
        let fd = rustix::process::pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        Some(Self { pid, fd })
    }

    /// Its number.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// `ESRCH` when it has gone.
    pub fn signal(&self, signal: Signal) -> rustix::io::Result<()> {
        rustix::process::pidfd_send_signal(&self.fd, signal)
    }

    /// Waits for its end; false when the time ran out first.
    pub fn wait(&self, limit: Duration) -> bool {
        readable(&self.fd, limit)
    }

    /// Whether it has ended.
    pub fn ended(&self) -> bool {
        self.wait(Duration::ZERO)
    }

    /// Waits for its end and collects its exit code (128 + n for signals); `None` if it is not our child.
    #[track_caller]
    pub fn reap(&self) -> Option<i32> {
        assert!(self.wait(patience()), "process {} does not end: {}", self.pid, doings(self.pid));
        let status =
            rustix::process::waitid(WaitId::PidFd(self.fd.as_fd()), WaitIdOptions::EXITED).ok()??;
        status.exit_status().or_else(|| status.terminating_signal().map(|n| 128 + n))
    }
}

/// What a process does, in the kernel's words: its state and signals, the call that it is in and where that has got to.
fn doings(pid: i32) -> String {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let status = read("status");
    let telling =
        ["Name", "State", "NSpid", "Threads", "SigQ", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"];
    let known = status.lines().filter(|line| telling.iter().any(|name| line.starts_with(name)));
    let known: Vec<&str> = known.collect();
    format!("{}; call {}; stack\n{}", known.join(", "), read("syscall").trim_end(), read("stack"))
}

/// Waits until a descriptor is readable (or hung up); false when the time ran out first.
pub fn readable(fd: impl AsFd, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).expect("a limit of less than ages");
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&left)) {
            Ok(n) => return n > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("poll: {error}"),
        }
    }
}

/// A named pipe: how a container tells a test that something has happened, and the other way round.
#[derive(Debug)]
pub struct Fifo {
    path: PathBuf,
    // Open for both directions, so that opening never blocks and the pipe never ends.
    file: File,
    unread: Vec<u8>,
}

impl Fifo {
    /// Makes one that everybody may use.
    pub fn make(path: &Path) -> Self {
        rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("a new fifo");
        // mknod's mode is subject to the umask.
        rustix::fs::chmod(path, Mode::from_raw_mode(0o666)).expect("our own fifo");
        let flags = OFlags::NONBLOCK.bits() as i32;
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path);
        Self { path: path.to_owned(), file: file.expect("our own fifo opens"), unread: vec![] }
    }

    /// Where it is on the host.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the next line and returns it without its end.
    #[track_caller]
    pub fn line(&mut self) -> String {
        self.line_within(patience()).unwrap_or_else(|| panic!("nothing came through {}", self.path.display()))
    }

    /// The next line if it comes in time.
    pub fn line_within(&mut self, limit: Duration) -> Option<String> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if !readable(&self.file, deadline.saturating_duration_since(Instant::now())) {
                return None;
            }
            self.take();
        }
    }

    /// Throws away what has arrived but has not been read.
    pub fn drain(&mut self) {
        while readable(&self.file, Duration::ZERO) {
            self.take();
        }
        self.unread.clear();
    }

    /// Writes a line into it.
    pub fn tell(&mut self, line: &str) {
        writeln!(self.file, "{line}").expect("the fifo takes a line");
    }

    fn take(&mut self) {
        let mut chunk = [0; 4096];
        let n = self.file.read(&mut chunk).expect("a readable fifo");
        self.unread.extend(&chunk[..n]);
    }
}

/// Waits until `done` says so, looking again each time the file at `path` is modified.
///
/// For files whose changes the kernel announces: ordinary files, `cgroup.events`. The test fails past the deadline.
#[track_caller]
pub fn when_file(path: &Path, done: impl Fn(&str) -> bool) -> String {
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK);
    let watch = watch.expect("inotify is there");
    let flags = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CLOSE_WRITE;
    inotify::add_watch(&watch, path, flags).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let deadline = Instant::now() + patience();
    loop {
        let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        if done(&text) {
            return text;
        }
        let changed = readable(&watch, deadline.saturating_duration_since(Instant::now()));
        assert!(changed, "{} stays at: {text}", path.display());
        drain_inotify(&watch);
    }
}

/// Whether the file at `path` is modified within a time.
pub fn changes(path: &Path, limit: Duration) -> bool {
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC).expect("inotify is there");
    inotify::add_watch(&watch, path, inotify::WatchFlags::MODIFY).expect("the file is there");
    readable(&watch, limit)
}

fn drain_inotify(watch: &OwnedFd) {
    let mut space = [0; 4096];
    while rustix::io::read(watch, &mut space[..]).is_ok_and(|n| n > 0) {}
}
