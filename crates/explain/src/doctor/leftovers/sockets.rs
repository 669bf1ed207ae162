//! Sockets of shims at which nobody listens.

use std::collections::BTreeSet;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use super::facts::{Facts, denial, is_old, look_up};
use super::{Answer, Finding};

/// Where shims listen, orlop's and others.
const PLACES: [&str; 2] = ["/run/containerd/s/*", "/run/user/*/containerd/s/*"];

/// What a socket says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Somebody listens.
    Served,
    /// Nobody does, and nobody can any more.
    Dead,
    /// We may not ask.
    Unknown,
}

pub(super) fn look(facts: &Facts) -> Answer {
    let mut denied = BTreeSet::new();
    let found = PLACES.iter().flat_map(|pattern| look_up(pattern, &mut denied));
    let paths: Vec<PathBuf> = found.filter(|path| is_socket(path)).collect();
    let ask = |path: &PathBuf| {
        // Who is known to listen is not disturbed, and who is about to, neither.
        if !is_old(path) || facts.holds().listening.contains(path) { State::Served } else { state(path) }
    };
    let mut answer = judge(paths.iter().map(|path| (path.clone(), ask(path))).collect());
    answer.unknown.extend(denial(&denied));
    answer
}

fn is_socket(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket())
}

/// Asks by connecting, which reaches nobody where nobody listens. The tables of sockets are those of network namespaces: one
/// that no process is in has a table that cannot be read.
fn state(path: &Path) -> State {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let asked = socket(AddressFamily::Unix, SockType::Stream, flags, None)
        .and_then(|own| connect(own.as_raw_fd(), &UnixAddr::new(path)?));
    match asked {
        Err(Errno::ECONNREFUSED) => State::Dead,
        Err(Errno::EACCES | Errno::EPERM) => State::Unknown,
        _ => State::Served,
    }
}

fn judge(found: Vec<(PathBuf, State)>) -> Answer {
    let unknown = found.iter().filter(|(_, state)| *state == State::Unknown).count();
    let dead = found.into_iter().filter(|(_, state)| *state == State::Dead);
    let finding = |path: PathBuf| {
        let path = path.display();
        Finding::new(format!("{path}, the socket of a shim"), "nobody listens at it", format!("rm {path}"))
    };
    Answer {
        findings: dead.map(|(path, _)| finding(path)).collect(),
        unknown: if unknown == 0 { vec![] } else { vec![format!("this user may not connect to {unknown}")] },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_socket_is_dead_when_its_listener_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        assert!(is_socket(&path) && !is_socket(directory.path()));
        assert_eq!(state(&path), State::Served);
        drop(listener);
        assert_eq!(state(&path), State::Dead);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(state(&path), State::Served, "it is gone, which is nothing to tell");
    }

    #[test]
    fn only_dead_sockets_are_left() {
        let found = [("/a", State::Dead), ("/b", State::Served), ("/c", State::Unknown)];
        let answer = judge(found.map(|(path, state)| (path.into(), state)).into());
        assert_eq!(answer.findings.iter().map(|finding| &*finding.remedy).collect::<Vec<_>>(), ["rm /a"]);
        assert_eq!(answer.unknown, ["this user may not connect to 1"]);
    }
}
