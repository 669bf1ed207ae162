//! What processes hold, so that it is in use though nobody may know of it any more.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::facts::Process;
use crate::inspect::{Mount, mount_table};

/// Why not all processes are seen.
pub(super) const OUTSIDE: &str = "processes outside of this PID namespace are not seen";

/// What the processes of the machine hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Holds {
    /// Network namespaces that a thread is in, or that a descriptor stands for: inodes.
    pub(super) networks: BTreeSet<u64>,
    /// Files and directories that are open, executed, or where processes are.
    pub(super) files: BTreeSet<PathBuf>,
    /// What other mount namespaces have mounted: device and place.
    pub(super) mounts: BTreeSet<(String, PathBuf)>,
    /// Sockets that anybody listens at, by the paths they were bound to.
    pub(super) listening: BTreeSet<PathBuf>,
    /// One process of each mount namespace.
    pub(super) views: Vec<i32>,
    /// Why this is not all.
    pub(super) gap: Option<String>,
}

impl Holds {
    pub(super) fn gather(processes: &[Process], whole: bool) -> Self {
        let mut holds = Self::default();
        let (mut hidden, mut networks, mut namespaces) = (0_usize, BTreeSet::new(), BTreeSet::new());
        let here = std::fs::read_link("/proc/self/ns/mnt").ok();
        for process in processes.iter().filter(|process| !process.zombie) {
            let directory = PathBuf::from(format!("/proc/{}", process.pid));
            match std::fs::read_link(directory.join("ns/net")) {
                // Sandboxes may hide the machine's first process, even from root. It is no container's.
                Err(e) if e.kind() == ErrorKind::PermissionDenied => hidden += usize::from(process.pid != 1),
                Err(_) => continue,
                Ok(network) if networks.insert(network.clone()) => {
                    let text = std::fs::read_to_string(directory.join("net/unix")).unwrap_or_default();
                    holds.listening.extend(listening(&text));
                }
                Ok(_) => {}
            }
            let mounts = std::fs::read_link(directory.join("ns/mnt")).ok();
            if mounts.is_some() && namespaces.insert(mounts.clone()) {
                holds.views.push(process.pid);
                if mounts != here {
                    let text = std::fs::read_to_string(directory.join("mountinfo")).unwrap_or_default();
                    holds.mounts.extend(mount_table(&text).into_iter().map(|one| (one.device, one.target)));
                }
            }
            holds.look_into(&directory);
        }
        holds.gap = gap(whole, hidden);
        holds
    }

    fn look_into(&mut self, process: &Path) {
        for name in ["root", "cwd", "exe"] {
            self.files.extend(std::fs::read_link(process.join(name)));
        }
        let entries = |name: &str| std::fs::read_dir(process.join(name)).into_iter().flatten().flatten();
        let threads = entries("task").map(|entry| entry.path().join("ns/net"));
        self.networks.extend(threads.filter_map(|link| network(&std::fs::read_link(link).ok()?)));
        for link in entries("fd").filter_map(|entry| std::fs::read_link(entry.path()).ok()) {
            match network(&link) {
                Some(inode) => _ = self.networks.insert(inode),
                None if link.is_absolute() => _ = self.files.insert(link),
                None => {}
            }
        }
    }

    /// Whether somebody is in or has open what is below a path.
    pub(super) fn has_files_in(&self, path: &Path) -> bool {
        self.files.range(path.to_owned()..).next().is_some_and(|first| first.starts_with(path))
    }

    /// Whether a mount is in use: by open files, or because another mount namespace has made something else of it than a copy,
    /// such as a container its root.
    pub(super) fn has_mount(&self, mount: &Mount) -> bool {
        self.has_files_in(&mount.target)
            || self.mounts.iter().any(|(device, target)| *device == mount.device && *target != mount.target)
    }

    /// Whether a path exists in any mount namespace.
    pub(super) fn sees(&self, path: &Path) -> bool {
        let inside =
            |pid: &i32| Path::new(&format!("/proc/{pid}/root")).join(path.strip_prefix("/").unwrap_or(path));
        // What may not be looked at may be there.
        let exists = |path: PathBuf| std::fs::symlink_metadata(path).map_or_else(|e| !is_gone(&e), |_| true);
        exists(path.to_owned()) || self.views.iter().map(inside).any(exists)
    }
}

fn is_gone(e: &std::io::Error) -> bool {
    matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn gap(whole: bool, hidden: usize) -> Option<String> {
    if !whole {
        return Some(OUTSIDE.to_owned());
    }
    (hidden > 0).then(|| format!("{hidden} processes may not be looked into by this user"))
}

/// The inode of a network namespace, from a link such as `net:[4026531840]`.
pub(super) fn network(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}

/// The paths of listening sockets in a table (`/proc/net/unix`; the flag is `__SO_ACCEPTCON`).
fn listening(text: &str) -> impl Iterator<Item = PathBuf> {
    text.lines().filter_map(|line| {
        let mut fields = line.splitn(8, ' ').filter(|field| !field.is_empty());
        let flags = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
        let rest = line.split_once(" /").map(|(_, path)| format!("/{path}"))?;
        (flags & 1 << 16 != 0).then(|| usual(&rest))
    })
}

/// A path without the detour over `/var/run`, which is a link to `/run`.
pub(super) fn usual(path: &str) -> PathBuf {
    path.strip_prefix("/var/run/").map_or_else(|| path.into(), |rest| Path::new("/run").join(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_sockets_are_read() {
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 20110 /var/run/a b\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 20111 /run/connected\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 20112 @abstract\n";
        assert_eq!(listening(table).collect::<Vec<_>>(), [Path::new("/run/a b")]);
    }

    #[test]
    fn files_and_mounts_are_held() {
        let mount = |target: &str| Mount { target: target.into(), device: "0:40".into(), ..Mount::default() };
        let holds = Holds { files: ["/a/b/c".into(), "/ab".into()].into(), ..Holds::default() };
        assert!(holds.has_files_in(Path::new("/a/b")) && holds.has_files_in(Path::new("/a")));
        assert!(!holds.has_files_in(Path::new("/a/b/c/d")) && !holds.has_files_in(Path::new("/b")));
        assert!(holds.has_mount(&mount("/a")) && !holds.has_mount(&mount("/b")));
        let of_others =
            |target: &str| Holds { mounts: [("0:40".into(), target.into())].into(), ..Holds::default() };
        assert!(of_others("/").has_mount(&mount("/b")), "the root of a container");
        assert!(!of_others("/b").has_mount(&mount("/b")), "a copy of the host's mounts");
    }

    #[test]
    fn this_process_is_held_against_what_it_holds() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let own = Process { pid: std::process::id() as i32, ..Process::default() };
        let holds = Holds::gather(&[own], true);
        assert_eq!(holds.gap, None);
        assert!(holds.has_files_in(file.path()), "{holds:?}");
        assert!(holds.sees(file.path()) && !holds.sees(&file.path().join("no")));
        let network = network(&std::fs::read_link("/proc/self/ns/net").unwrap()).unwrap();
        assert!(holds.networks.contains(&network));
    }

    #[test]
    fn what_is_not_known_is_said() {
        assert_eq!(gap(true, 0), None);
        assert!(gap(true, 3).unwrap().starts_with("3 processes"));
        assert!(gap(false, 0).unwrap().contains("PID namespace"));
    }
}
