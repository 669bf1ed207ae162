//! Whose limit it was that a process was killed for: the container's, that of a cgroup around it (the pod's, for instance) or
//! inside it, or the machine's. The kernel counts at each cgroup how often its own limit was hit.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use orlop_cgroups::{Cgroup, Controller, Place};

/// Where the kernel counts that a limit was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counter {
    /// Version 2: `memory.events.local`, in the line `oom`.
    Local,
    /// Version 2: `memory.events`, which counts for what is below too.
    Below,
    /// Version 1: `memory.failcnt`.
    Failures,
}

/// A cgroup with its counter, and what that was at first.
#[derive(Debug)]
struct Level {
    directory: PathBuf,
    counter: Counter,
    before: u64,
}

/// The cgroups that can have the limit; the innermost first.
#[derive(Debug, Default)]
pub(super) struct Levels(Vec<Level>);

/// One of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hit {
    Own(PathBuf),
    Inside(PathBuf),
    Around(PathBuf),
    Machine,
}

impl Levels {
    /// Those of a container, as they are now.
    pub(super) fn of(cgroup: &Cgroup) -> Self {
        let location = cgroup.location();
        let v1 = location.v1.iter().find(|(controllers, _)| controllers.contains(Controller::Memory));
        v1.map_or_else(|| Self::at(&location.v2, false), |(_, place)| Self::at(place, true))
    }

    fn at(place: &Place, version_1: bool) -> Self {
        let path = place.path();
        let mut levels = Vec::new();
        for directory in path.ancestors().take_while(|directory| *directory != place.mount) {
            let own = directory == path;
            let counters: &[Counter] = match (version_1, own) {
                (true, _) => &[Counter::Failures],
                (false, true) => &[Counter::Local, Counter::Below],
                (false, false) => &[Counter::Local],
            };
            levels.extend(counters.iter().map(|counter| Level {
                directory: directory.to_owned(),
                counter: *counter,
                before: counter.read(directory),
            }));
        }
        Self(levels)
    }

    /// Whose limit was hit since the last time.
    pub(super) fn hit(&mut self) -> Hit {
        let own = self.0.first().map(|level| level.directory.clone());
        let mut hit = None;
        for level in &mut self.0 {
            let now = level.counter.read(&level.directory);
            if std::mem::replace(&mut level.before, now) < now && hit.is_none() {
                let directory = level.directory.clone();
                hit = Some(match level.counter {
                    Counter::Below => Hit::Inside(directory),
                    _ if Some(&directory) == own.as_ref() => Hit::Own(directory),
                    _ => Hit::Around(directory),
                });
            }
        }
        hit.unwrap_or(Hit::Machine)
    }
}

impl Counter {
    /// What cannot be read counts nothing.
    fn read(self, directory: &Path) -> u64 {
        let read = |file| fs::read_to_string(directory.join(file)).unwrap_or_default();
        let line = |text: String| text.lines().find_map(|line| line.strip_prefix("oom ")?.parse().ok());
        match self {
            Self::Local => line(read("memory.events.local")).unwrap_or(0),
            Self::Below => line(read("memory.events")).unwrap_or(0),
            Self::Failures => read("memory.failcnt").trim().parse().unwrap_or(0),
        }
    }
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(path) => write!(f, "its own limit was hit, {}", path.display()),
            Self::Inside(path) => write!(f, "the limit of a cgroup in {} was hit", path.display()),
            Self::Around(path) => {
                write!(f, "the limit of {} was hit, in which its cgroup lies", path.display())
            }
            Self::Machine => f.write_str("no limit was hit, so it was the machine's memory that ran out"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hierarchy `pod/container` of plain files.
    fn tree() -> (tempfile::TempDir, Place, impl Fn(&str, &str, &str)) {
        let dir = tempfile::tempdir().unwrap();
        let mount = dir.path().to_owned();
        fs::create_dir_all(mount.join("pod/container")).unwrap();
        let place = Place { mount: mount.clone(), inner: "pod/container".into() };
        let write =
            move |at: &str, file: &str, text: &str| fs::write(mount.join(at).join(file), text).unwrap();
        (dir, place, write)
    }

    #[test]
    fn the_innermost_cgroup_whose_count_has_grown_is_it() {
        let (_dir, place, write) = tree();
        write("pod", "memory.events.local", "oom 7\noom_kill 0\n");
        write("pod/container", "memory.events.local", "low 0\noom 0\n");
        write("pod/container", "memory.events", "oom 0\n");
        let mut levels = Levels::at(&place, false);
        assert_eq!(levels.hit(), Hit::Machine);
        write("pod", "memory.events.local", "oom 8\n");
        assert_eq!(levels.hit(), Hit::Around(place.mount.join("pod")));
        assert_eq!(levels.hit(), Hit::Machine, "each is told once");
        write("pod/container", "memory.events", "oom 1\n");
        assert_eq!(levels.hit(), Hit::Inside(place.path()));
        write("pod/container", "memory.events", "oom 2\n");
        write("pod/container", "memory.events.local", "oom 1\n");
        assert_eq!(levels.hit(), Hit::Own(place.path()));
    }

    #[test]
    fn version_1_counts_what_failed() {
        let (_dir, place, write) = tree();
        let mut levels = Levels::at(&place, true);
        write("pod", "memory.failcnt", "3\n");
        assert_eq!(levels.hit(), Hit::Around(place.mount.join("pod")));
        write("pod/container", "memory.failcnt", "1\n");
        assert_eq!(levels.hit(), Hit::Own(place.path()));
    }
}
