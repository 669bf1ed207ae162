//! Whether a container's process still is what it was: a process id alone may have been given to another process.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use orlop_spec::Status;
use orlop_sys::process::{pidfd_inode, pidfd_open};
use orlop_sys::{Fd, file};
use serde::{Deserialize, Serialize};
use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};

use crate::error::{Doing, Error, Result};
use crate::state::StateFile;
use crate::store::StateDir;

/// A process that cannot be mistaken for another: its id, and one of two things that no other process of that id has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "Saved")]
pub struct Process {
    /// Its id, in this PID namespace.
    pub pid: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pidfd_inode: Option<u64>,
}

/// What a file may say of a process.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Saved {
    pid: i32,
    start_time: Option<u64>,
    pidfd_inode: Option<u64>,
}

impl TryFrom<Saved> for Process {
    type Error = &'static str;

    fn try_from(Saved { pid, start_time, pidfd_inode }: Saved) -> std::result::Result<Self, Self::Error> {
        if start_time.is_none() && pidfd_inode.is_none() {
            return Err("a process needs a startTime or a pidfdInode");
        }
        Ok(Self { pid, start_time, pidfd_inode })
    }
}

impl Process {
    /// The process that has this id and started at this time, in clock ticks after boot: field 22 of `/proc/PID/stat`
    /// ([proc_pid_stat(5)](https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html)).
    #[must_use]
    pub const fn started(pid: i32, start_time: u64) -> Self {
        Self { pid, start_time: Some(start_time), pidfd_inode: None }
    }

    /// The process that has this id now, which must be one that the caller has not waited for, or holds a pidfd of.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`] if there is none.
    pub fn of(pid: i32) -> Result<Self> {
        start_time(pid).map(|start_time| Self::started(pid, start_time))
    }

    /// The process that a pidfd is of, and which has this id, to be written into a file of a directory.
    ///
    /// Where the kernel has it, and the file does not outlive the boot either, it is known by the [inode](pidfd_inode) of its pidfd.
    /// To ask for that takes a hundredth of the time that `/proc` takes, whose directory of the process has to be made, and removed
    /// when it ends.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`]: the kernel did not let us look.
    pub fn behind(pidfd: Fd, pid: i32, directory: Fd) -> Result<Self> {
        let doing = || format!("look at the pidfd of process {pid}");
        let is_in_memory = || file::fstatfs_type(directory).is_ok_and(|kind| kind == libc::TMPFS_MAGIC);
        match pidfd_inode(pidfd).doing(doing)?.filter(|_| is_in_memory()) {
            None => Self::of(pid),
            inode => Ok(Self { pid, start_time: None, pidfd_inode: inode }),
        }
    }

    /// A pidfd of this process, or `None` if it has ended, even if nobody has waited for it yet.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`]: the kernel did not let us look.
    pub fn open(&self) -> Result<Option<OwnedFd>> {
        let Some(pidfd) = self.pidfd()? else { return Ok(None) };
        let ended = if self.pidfd_inode.is_some() {
            has_ended(&pidfd)?
        } else {
            // The pidfd came first: if the process that has the number now started when ours did, it is ours, and so it was
            // when the pidfd was made, because a number does not come back to the same process.
            self.stat()?.is_none_or(|stat| matches!(stat.state, b'Z' | b'X'))
        };
        Ok((!ended).then_some(pidfd))
    }

    /// A pidfd of the process that has this id now, unless that is known to be another; `None` if there is none.
    fn pidfd(&self) -> Result<Option<OwnedFd>> {
        let pidfd: OwnedFd = match pidfd_open(self.pid) {
            Ok(pidfd) => pidfd.into(),
            // The number now is that of a thread: EINVAL, and in newer kernels ENOENT.
            Err(e) if [libc::ESRCH, libc::EINVAL, libc::ENOENT].contains(&e.errno()) => return Ok(None),
            Err(e) => return Err(e).doing(|| format!("open process {}", self.pid)),
        };
        let inode = || file::fstat(Fd::of(&pidfd)).doing(|| format!("look at process {}", self.pid));
        let other = self.pidfd_inode.map(|ours| inode().map(|status| status.ino != ours)).transpose()?;
        Ok((other != Some(true)).then_some(pidfd))
    }

    /// What the kernel says of it, or `None` if it has ended and was waited for.
    fn stat(&self) -> Result<Option<Stat>> {
        let found = stat(self.pid)?;
        if let Some(start_time) = self.start_time {
            return Ok(found.filter(|stat| stat.start_time == start_time));
        }
        // Who has the number still, had it when we looked.
        Ok(if self.pidfd()?.is_some() { found } else { None })
    }

    /// Gives the parent of a process that has ended some time to wait for it; with or without success. Before Linux 6.9 nothing
    /// tells of the moment, and all of that time passes.
    ///
    /// # Errors
    ///
    /// As [`Process::open`].
    pub fn await_reaping(&self, limit: PollTimeout) -> Result<()> {
        // In this order: who has the number after it was opened, was opened.
        let (Some(pidfd), Some(_)) = (self.pidfd()?, self.stat()?) else { return Ok(()) };
        // No events but the one that is always reported: that there is no process any more.
        match poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::empty())], limit) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(e) => Err(e).doing(|| format!("wait until process {} is gone", self.pid)),
        }
    }

    /// Whether it is on its way out of the kernel, or has ended: it does nothing any more.
    ///
    /// The first process of a PID namespace can be so for long: it waits until all others have not only ended, but were waited
    /// for by their parents ([pid_namespaces(7)](https://man7.org/linux/man-pages/man7/pid_namespaces.7.html)), and one that
    /// `exec` has added has its parent outside.
    ///
    /// # Errors
    ///
    /// As [`Process::open`].
    pub fn is_ending(&self) -> Result<bool> {
        // PF_EXITING in include/linux/sched.h.
        const EXITING: u64 = 4;
        Ok(self.stat()?.is_none_or(|stat| stat.flags & EXITING != 0))
    }

    /// Whether it has not ended.
    ///
    /// # Errors
    ///
    /// As [`Process::open`].
    pub fn is_alive(&self) -> Result<bool> {
        self.open().map(|pidfd| pidfd.is_some())
    }
}

/// Whether the process of a pidfd has ended, waited for or not.
///
/// # Errors
///
/// [`Error::Kernel`]: not a pidfd.
pub fn has_ended(pidfd: &impl AsFd) -> Result<bool> {
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).map(|ready| ready > 0).doing(|| "poll a pidfd".to_owned())
}

/// Where a container is in its life, except that a paused one counts as running: its cgroup knows.
///
/// # Errors
///
/// As [`Process::open`].
pub fn status(saved: &StateFile, dir: &StateDir) -> Result<Status> {
    let process = saved.process.map(|process| process.open()).transpose()?.flatten();
    status_if(saved, dir, process.is_some())
}

/// The same, for who knows whether its first process is alive.
///
/// # Errors
///
/// [`Error::Kernel`]: the kernel did not let us look.
pub(crate) fn status_if(saved: &StateFile, dir: &StateDir, is_alive: bool) -> Result<Status> {
    Ok(if !is_alive {
        let unmade = saved.process.is_none() && saved.status == Status::Creating;
        if unmade { Status::Creating } else { Status::Stopped }
    } else if saved.status == Status::Creating {
        Status::Creating
    } else if dir.is_created()? {
        Status::Created
    } else {
        Status::Running
    })
}

/// Of `/proc/PID/stat` ([proc_pid_stat(5)](https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    state: u8,
    flags: u64,
    start_time: u64,
}

/// When the process that has this id now started, in clock ticks after boot.
///
/// # Errors
///
/// [`Error::Kernel`] if there is none.
pub fn start_time(pid: i32) -> Result<u64> {
    match stat(pid)? {
        Some(stat) => Ok(stat.start_time),
        None => Err(Errno::ESRCH).doing(|| format!("read when process {pid} started")),
    }
}

/// What the kernel says of a process, or `None` if there is none with this id.
fn stat(pid: i32) -> Result<Option<Stat>> {
    let path = format!("/proc/{pid}/stat");
    // One read gives the whole line, or its beginning, which has all that is wanted.
    let mut text = [0; 1024];
    let length = match std::fs::File::open(&path).and_then(|mut file| file.read(&mut text)) {
        Ok(length) => length,
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => return Ok(None),
        Err(e) => return Err(e).doing(|| format!("read {path}")),
    };
    parse_stat(&text[..length]).map(Some).ok_or_else(|| Error::State {
        path: path.into(),
        why: "not as proc_pid_stat(5) describes it".to_owned(),
    })
}

/// Fields 3, 9 and 22. Field 2 is the program's name in parentheses, and may hold spaces and parentheses itself.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let after_name = text.iter().rposition(|b| *b == b')')? + 1;
    let mut fields = text[after_name..].split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
    let state = *fields.next()?.first()?;
    let mut number = |n| std::str::from_utf8(fields.nth(n)?).ok()?.parse().ok();
    let (flags, start_time) = (number(5)?, number(12)?);
    Some(Stat { state, flags, start_time })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_name_with_parentheses_and_spaces_misleads_nobody() {
        let text = b"12 (a) R 1 (b) S 1 12 12 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 123456 7 8\n";
        let parsed = Stat { state: b'S', flags: 4_194_560, start_time: 123_456 };
        assert_eq!(parse_stat(text), Some(parsed));
        assert_eq!(parse_stat(b"12 (x) S 1 2"), None);
        assert_eq!(parse_stat(b""), None);
    }

    #[test]
    fn this_process_is_alive_and_one_with_another_start_time_is_not_it() {
        let me = Process::of(std::process::id() as i32).unwrap();
        assert!(me.is_alive().unwrap());
        let other = Process::started(me.pid, me.start_time.unwrap() + 1);
        assert!(!other.is_alive().unwrap());
    }

    /// This process, as a file in memory may know it; `None` where the kernel has no inodes for it.
    fn me_by_inode() -> Option<Process> {
        let pid = std::process::id() as i32;
        let memory = std::fs::File::open("/dev/shm").unwrap();
        let pidfd = pidfd_open(pid).unwrap();
        let me = Process::behind(pidfd.fd(), pid, Fd::of(&memory)).unwrap();
        me.pidfd_inode.map(|_| me)
    }

    #[test]
    fn a_pidfd_tells_one_process_from_another() {
        let Some(me) = me_by_inode() else {
            return println!("SKIP: pidfds have no inodes of their own before Linux 6.9");
        };
        assert!(me.is_alive().unwrap() && !me.is_ending().unwrap());
        let other = Process { pidfd_inode: me.pidfd_inode.map(|inode| inode + 1), ..me };
        assert!(!other.is_alive().unwrap() && other.is_ending().unwrap());
        assert!(!Process { pid: 1, ..me }.is_alive().unwrap());
    }

    #[test]
    fn what_outlives_a_boot_knows_when_a_process_started() {
        let pidfd = pidfd_open(std::process::id() as i32).unwrap();
        let proc = std::fs::File::open("/proc").unwrap();
        let me = Process::behind(pidfd.fd(), std::process::id() as i32, Fd::of(&proc)).unwrap();
        assert_eq!(me, Process::of(me.pid).unwrap());
    }

    #[test]
    fn a_file_has_to_say_which_process_it_is() {
        for process in [Process::started(7, 9)].into_iter().chain(me_by_inode()) {
            let text = serde_json::to_string(&process).unwrap();
            assert_eq!(serde_json::from_str::<Process>(&text).unwrap(), process, "{text}");
        }
        assert!(serde_json::from_str::<Process>(r#"{"pid":7}"#).is_err());
    }

    #[test]
    fn a_number_that_is_a_threads_now_is_no_process() {
        let thread = std::thread::spawn(|| {
            // Its start time is right, and it is no process all the same.
            let thread = nix::unistd::gettid().as_raw();
            Process::of(thread).and_then(|process| process.is_alive())
        });
        assert!(!thread.join().unwrap().unwrap());
    }

    #[test]
    fn a_zombie_has_ended() {
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let process = Process::of(child.id() as i32).unwrap();
        let pidfd = process.open().unwrap().unwrap();
        let memory = std::fs::File::open("/dev/shm").unwrap();
        let held = Process::behind(Fd::of(&pidfd), process.pid, Fd::of(&memory)).unwrap();
        assert!(held.is_alive().unwrap());
        assert!(!has_ended(&pidfd).unwrap());
        child.kill().unwrap();
        while !has_ended(&pidfd).unwrap() {}
        for process in [process, held] {
            assert!(!process.is_alive().unwrap(), "nobody has waited for it, but it has ended");
            assert!(process.stat().unwrap().is_some() && process.is_ending().unwrap());
        }
        child.wait().unwrap();
        for process in [process, held] {
            assert!(!process.is_alive().unwrap() && process.stat().unwrap().is_none());
        }
    }

    #[test]
    fn who_waits_for_a_zombie_to_be_reaped_waits_until_then() {
        let mut child = Command::new("true").stdin(Stdio::null()).spawn().unwrap();
        let process = Process::of(child.id() as i32).unwrap();
        let pidfd = OwnedFd::from(pidfd_open(process.pid).unwrap());
        poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
        process.await_reaping(PollTimeout::from(1_u8)).unwrap();
        assert!(process.stat().unwrap().is_some(), "it stays while nobody waits for it");
        let waiting = std::thread::spawn(move || {
            process.await_reaping(PollTimeout::from(u16::MAX)).unwrap();
            process.stat().unwrap()
        });
        child.wait().unwrap();
        assert!(waiting.join().unwrap().is_none());
        process.await_reaping(PollTimeout::NONE).unwrap();
    }
}
