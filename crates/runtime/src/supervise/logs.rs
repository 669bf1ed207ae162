//! `logs`: what a supervised container has written, oldest first, and what it writes while somebody looks.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::begin;
use super::logfile::{Entry, name};
use super::settings::Settings;
use crate::clock::parse_rfc3339;
use crate::error::{Doing, Error, Result};
use crate::id::ContainerId;
use crate::runtime::Runtime;
use crate::store::StateDir;

/// Which stream something was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What a container has written: a line with its end, or a part of one without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where to.
    pub stream: Stream,
    /// When, RFC 3339.
    pub time: String,
    /// What.
    pub text: String,
}

/// What of a log is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Go on until the container has ended.
    pub follow: bool,
    /// Only so many of the last lines, of those that were there already.
    pub tail: Option<usize>,
    /// Only what was written since then: seconds and nanoseconds since 1970.
    pub since: Option<(i64, u32)>,
}

/// Who listens: whether it wants to hear more.
type Reader<'a> = &'a mut dyn FnMut(&Written) -> Result<bool>;

impl Runtime {
    /// Tells what a supervised container has written.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`]: it has no supervisor, or one that throws its output away; and those of the reader.
    pub fn logs(&self, id: &ContainerId, options: &LogOptions, tell: Reader<'_>) -> Result<()> {
        let container = self.load(id)?;
        container.own_life()?;
        if Settings::read(&container.dir)?.supervision.logging.is_none() {
            return Err(Error::usage(format!("container {id} was made with --log-driver none")));
        }
        // Watched before it is looked at, so that nothing is missed in between.
        let supervisor = if options.follow { begin::of(&container.dir)? } else { None };
        let watch = supervisor.map(|supervisor| Watch::new(&container.dir, supervisor)).transpose()?;
        let Some(mut log) = Log::open(&container.dir, id.as_str())? else { return Ok(()) };
        let mut tell = |line: Line| {
            if options.since.is_none_or(|since| line.moment >= since) {
                tell(&line.written)
            } else {
                Ok(true)
            }
        };
        let mut last = VecDeque::new();
        while let Some(line) = log.next()? {
            let Some(most) = options.tail else {
                if tell(line)? {
                    continue;
                }
                return Ok(());
            };
            last.push_back(line);
            if last.len() > most {
                last.pop_front();
            }
        }
        for line in last {
            if !tell(line)? {
                return Ok(());
            }
        }
        let Some(watch) = watch else { return Ok(()) };
        loop {
            // Asked first: what was written before the end is there to be read then.
            let ended = watch.wait()?;
            while let Some(line) = log.next()? {
                if !tell(line)? {
                    return Ok(());
                }
            }
            if ended {
                return Ok(());
            }
        }
    }
}

/// Tells when the log may have grown, and when it will not any more.
struct Watch {
    changes: Inotify,
    supervisor: OwnedFd,
}

impl Watch {
    fn new(dir: &StateDir, supervisor: OwnedFd) -> Result<Self> {
        let doing = || format!("watch {}", dir.path().display());
        let changes = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).doing(doing)?;
        let what = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        changes.add_watch(dir.path(), what).doing(doing)?;
        Ok(Self { changes, supervisor })
    }

    /// Waits; whether the supervisor has ended.
    fn wait(&self) -> Result<bool> {
        let mut fds = [
            PollFd::new(self.changes.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.supervisor.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => {}
            waited => drop(waited.doing(|| "wait for output".to_owned())?),
        }
        let ended = fds[1].any() == Some(true);
        // That something has changed is all that counts.
        while self.changes.read_events().is_ok_and(|events| !events.is_empty()) {}
        Ok(ended)
    }
}

/// A line of the log.
struct Line {
    written: Written,
    moment: (i64, u32),
}

/// The log while it is read, from its oldest file on.
struct Log<'a> {
    dir: &'a StateDir,
    id: &'a str,
    /// The file that is read, and those that follow it.
    files: VecDeque<BufReader<File>>,
    /// The beginning of a line whose end is not written yet.
    begun: Vec<u8>,
}

impl<'a> Log<'a> {
    /// `None`: there is none.
    fn open(dir: &'a StateDir, id: &'a str) -> Result<Option<Self>> {
        let mut files = newer(dir, id, None)?;
        if files.is_empty() {
            return Ok(None);
        }
        let files = files.drain(..).map(BufReader::new).collect();
        Ok(Some(Self { dir, id, files, begun: Vec::new() }))
    }

    /// The next line, if there is one now.
    fn next(&mut self) -> Result<Option<Line>> {
        loop {
            let Some(file) = self.files.front_mut() else { return Ok(None) };
            file.read_until(b'\n', &mut self.begun).doing(|| "read the log".to_owned())?;
            if self.begun.ends_with(b"\n") {
                let line = parse(&self.begun);
                self.begun.clear();
                match line {
                    Some(line) => return Ok(Some(line)),
                    // A supervisor that was killed may have left half a line.
                    None => continue,
                }
            }
            if self.files.len() == 1 {
                // Nothing is written to it once there is a newer one: so first look for that, then read it to its end.
                let newer = newer(self.dir, self.id, Some(self.files[0].get_ref()))?;
                if newer.is_empty() {
                    return Ok(None);
                }
                self.files.extend(newer.into_iter().map(BufReader::new));
                continue;
            }
            self.files.pop_front();
            self.begun.clear();
        }
    }
}

fn parse(line: &[u8]) -> Option<Line> {
    let entry: Entry = serde_json::from_slice(line).ok()?;
    let stream = if entry.stream == "stderr" { Stream::Stderr } else { Stream::Stdout };
    let moment = parse_rfc3339(&entry.time)?;
    Some(Line { written: Written { stream, time: entry.time, text: entry.log }, moment })
}

/// The files of a log that are newer than one of them, or all, the oldest first.
fn newer(dir: &StateDir, id: &str, than: Option<&File>) -> Result<Vec<File>> {
    let inode = |file: &File| file.metadata().map(|data| data.ino()).doing(|| "look at the log".to_owned());
    let known = than.map(inode).transpose()?;
    loop {
        let (mut found, mut last, mut missing) = (Vec::new(), None, 0);
        for age in 0.. {
            let file = match dir.open(&name(id, age), OFlag::O_RDONLY) {
                Ok(file) => file,
                // Each file gets its next name, the oldest first: one name at a time is free while that goes on, and stays
                // so if it was cut short. Two are the end.
                Err(e) if e.errno() == Some(libc::ENOENT) => {
                    missing += 1;
                    if missing == 2 {
                        break;
                    }
                    continue;
                }
                Err(e) => return Err(e),
            };
            missing = 0;
            let inode = Some(inode(&file)?);
            if inode == known {
                break;
            }
            // The one before has got this name meanwhile.
            if inode != last {
                found.push(file);
            }
            last = inode;
        }
        // Unless they were rotated meanwhile.
        let newest = dir.open(&name(id, 0), OFlag::O_RDONLY);
        let same = match (newest, found.first()) {
            (Ok(newest), Some(first)) => inode(&newest)? == inode(first)?,
            (Ok(newest), None) => Some(inode(&newest)?) == known,
            (Err(_), first) => first.is_none() || than.is_some(),
        };
        if same {
            found.reverse();
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::store::Store;

    fn texts(files: Vec<File>) -> Vec<String> {
        let text = |mut file: File| {
            let mut text = String::new();
            file.read_to_string(&mut text).map(|_| text).unwrap()
        };
        files.into_iter().map(text).collect()
    }

    /// Names as they are in the middle of a rotation, and after one that was cut short.
    #[test]
    fn a_name_that_is_free_for_a_moment_is_not_the_end() {
        let temporary = tempfile::tempdir().unwrap();
        let store = Store::open(Some(temporary.path())).unwrap();
        let dir = store.claim(&"web".parse().unwrap(), |dir| dir.write_new("nothing", b"")).unwrap();
        let write = |age: u32, text: &str| dir.write(&name("web", age), text.as_bytes()).unwrap();
        for (age, text) in [(0, "d"), (1, "c"), (3, "b"), (4, "a")] {
            write(age, text);
        }
        assert_eq!(texts(newer(&dir, "web", None).unwrap()), ["a", "b", "c", "d"]);
        let oldest = dir.open(&name("web", 4), OFlag::O_RDONLY).unwrap();
        assert_eq!(texts(newer(&dir, "web", Some(&oldest)).unwrap()), ["b", "c", "d"]);
        // The newest is not made yet.
        dir.rename(&name("web", 1), &name("web", 2)).unwrap();
        dir.rename(&name("web", 0), &name("web", 1)).unwrap();
        assert_eq!(texts(newer(&dir, "web", Some(&oldest)).unwrap()), ["b", "c", "d"]);
    }
}
