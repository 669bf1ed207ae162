//! What all kinds of leftovers are judged by: processes, mounts, and which containers anybody knows of.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::holds::Holds;
use super::states;
use crate::inspect::{Mount, Status, mount_table};

/// What is younger may be part of a container that is being made.
pub(super) const YOUNG: Duration = Duration::from_secs(60);

/// Where engines put the bundles of containers that they run: named by their ids, below a namespace of containerd.
const BUNDLES: [&str; 3] = [
    "/run/containerd/io.containerd.runtime.v2.task/*/*",
    "/run/docker/containerd/daemon/io.containerd.runtime.v2.task/*/*",
    "/run/k3s/containerd/io.containerd.runtime.v2.task/*/*",
];

/// What the machine is like.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) processes: Vec<Process>,
    /// Those of our mount namespace.
    pub(super) mounts: Vec<Mount>,
    /// Ids of containers that a runtime has a state of, or an engine a bundle.
    pub(super) known: BTreeSet<String>,
    /// Why these may not be all.
    pub(super) unlisted: Option<String>,
    /// All processes of the machine are seen: this is its first PID namespace.
    pub(super) whole: bool,
    /// As [`Facts::holds`] gives it.
    pub(super) held: OnceCell<Holds>,
}

/// A process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    /// The thread that traces it; 0 for none.
    pub(super) tracer: i32,
    /// The file it was started from, as the kernel keeps it: 15 bytes.
    pub(super) name: String,
    /// It has ended, and nobody has waited for it.
    pub(super) zombie: bool,
    pub(super) command: Vec<String>,
}

impl Process {
    fn of(pid: i32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let tracer = text.lines().find_map(|line| line.strip_prefix("TracerPid:")?.trim().parse().ok());
        let status = Status::parse(&text);
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words);
        Some(Self {
            pid,
            parent: status.parent,
            tracer: tracer.unwrap_or(0),
            name: status.name,
            zombie: status.state.starts_with(['Z', 'X']),
            command: words.split('\0').filter(|word| !word.is_empty()).map(str::to_owned).collect(),
        })
    }

    /// Who has to wait for it when it has ended: its tracer comes before its parent.
    pub(super) const fn keeper(&self) -> i32 {
        if self.tracer == 0 { self.parent } else { self.tracer }
    }

    /// What follows an option.
    pub(super) fn value_of(&self, option: &str) -> Option<&str> {
        let at = self.command.iter().position(|word| word == option)?;
        self.command.get(at + 1).map(String::as_str)
    }
}

impl Facts {
    pub(super) fn gather() -> Self {
        let mut denied = BTreeSet::new();
        let mut known = states::known(&mut denied);
        let bundles = BUNDLES.iter().flat_map(|pattern| look_up(pattern, &mut denied));
        known.extend(bundles.filter_map(|bundle| Some(bundle.file_name()?.to_string_lossy().into_owned())));
        Self {
            processes: processes(),
            mounts: mount_table(&std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default()),
            known,
            unlisted: denial(&denied),
            // PROC_PID_INIT_INO in include/linux/proc_ns.h.
            whole: std::fs::read_link("/proc/self/ns/pid")
                .is_ok_and(|link| link == Path::new("pid:[4026531836]")),
            held: OnceCell::new(),
        }
    }

    /// A machine with these processes, for tests.
    #[cfg(test)]
    pub(super) fn with(processes: Vec<Process>, holds: Holds) -> Self {
        Self { processes, whole: true, held: OnceCell::from(holds), ..Self::default() }
    }

    /// What processes hold. It is gathered when something is found that may be held.
    pub(super) fn holds(&self) -> &Holds {
        self.held.get_or_init(|| Holds::gather(&self.processes, self.whole))
    }

    /// Whether anybody knows of a container: by its state, its bundle, or because a command at work names it.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.known.contains(id) || self.is_named(id)
    }

    /// Whether a process that is alive names a container in its command line, as its shim, its monitor and all commands of
    /// runtimes do.
    pub(super) fn is_named(&self, id: &str) -> bool {
        self.alive().any(|process| process.command.iter().any(|word| mentions(word, id)))
    }

    /// Whether a program runs, by the name that the kernel has of it.
    pub(super) fn runs(&self, name: &str) -> bool {
        self.alive().any(|process| process.name == name)
    }

    fn alive(&self) -> impl Iterator<Item = &Process> {
        let own = std::process::id();
        self.processes.iter().filter(move |process| !process.zombie && process.pid as u32 != own)
    }
}

/// All processes that are seen.
pub(super) fn processes() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    pids.filter_map(Process::of).collect()
}

/// Whether an id is in a word, with none of its letters before or after it.
fn mentions(word: &str, id: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric();
    !id.is_empty()
        && word
            .match_indices(id)
            .any(|(at, _)| !word[..at].ends_with(part) && !word[at + id.len()..].starts_with(part))
}

/// Whether this is an id such as engines give: 64 hexadecimal digits.
pub(super) fn is_engines_id(text: &str) -> bool {
    text.len() == 64 && is_hex(text)
}

pub(super) fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// How long ago something was changed last; nothing if that cannot be said.
pub(super) fn age(path: &Path) -> Option<Duration> {
    let changed = std::fs::symlink_metadata(path).and_then(|meta| meta.modified()).ok()?;
    SystemTime::now().duration_since(changed).ok()
}

pub(super) fn is_old(path: &Path) -> bool {
    age(path).is_some_and(|age| age >= YOUNG)
}

/// What there is at a path of which names may be, or contain, one `*` each.
pub(super) fn places(pattern: &str) -> Vec<PathBuf> {
    look_up(pattern, &mut BTreeSet::new())
}

/// The same, with the directories that we may not look into.
pub(super) fn look_up(pattern: &str, denied: &mut BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        found = found
            .into_iter()
            .flat_map(|directory| match part.split_once('*') {
                None => vec![directory.join(part)],
                Some((before, after)) => matching(&directory, before, after, denied),
            })
            .collect();
    }
    found.retain(|path| match std::fs::symlink_metadata(path) {
        Ok(_) => true,
        Err(e) => {
            if e.kind() == ErrorKind::PermissionDenied {
                denied.extend(path.parent().map(Path::to_owned));
            }
            false
        }
    });
    found
}

fn matching(directory: &Path, before: &str, after: &str, denied: &mut BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let matches = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.strip_prefix(before).is_some_and(|rest| rest.ends_with(after))
    };
    entries(directory, denied).into_iter().filter(matches).collect()
}

/// What is in a directory, in order.
pub(super) fn entries(directory: &Path, denied: &mut BTreeSet<PathBuf>) -> Vec<PathBuf> {
    match std::fs::read_dir(directory) {
        Ok(entries) => {
            let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            paths.sort_unstable();
            paths
        }
        Err(e) => {
            if e.kind() == ErrorKind::PermissionDenied {
                denied.insert(directory.to_owned());
            }
            vec![]
        }
    }
}

/// What to say of directories that we may not look into.
pub(super) fn denial(denied: &BTreeSet<PathBuf>) -> Option<String> {
    let list: Vec<String> = denied.iter().map(|path| path.display().to_string()).collect();
    (!list.is_empty()).then(|| format!("this user may not look into {}", list.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_an_id_as_a_word() {
        let process = |command: &[&str]| Process {
            pid: 7,
            name: "containerd-shim".into(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            ..Process::default()
        };
        let facts = |process| Facts { processes: vec![process], ..Facts::default() };
        let shim = process(&["/bin/containerd-shim", "-namespace", "default", "-id", "web", "-debug"]);
        assert_eq!(shim.value_of("-id"), Some("web"));
        assert_eq!(shim.value_of("-debug"), None);
        assert!(facts(shim.clone()).is_named("web") && !facts(shim.clone()).is_named("we"));
        assert!(facts(process(&["rm", "/run/web/config"])).is_named("web"));
        assert!(!facts(process(&["web1", "1web"])).is_named("web"));
        assert!(!facts(Process { zombie: true, ..shim.clone() }).knows("web"));
        assert!(facts(shim.clone()).runs("containerd-shim") && !facts(shim).runs("containerd"));
        assert!(Facts { known: ["db".into()].into(), ..Facts::default() }.knows("db"));
    }

    #[test]
    fn patterns_are_looked_up_name_by_name() {
        let root = tempfile::tempdir().unwrap();
        for name in ["runtime-a/moby", "runtime-b/moby", "other/moby"] {
            std::fs::create_dir_all(root.path().join(name)).unwrap();
        }
        let found = places(&format!("{}/runtime-*/*", root.path().display()));
        assert_eq!(found, ["runtime-a/moby", "runtime-b/moby"].map(|name| root.path().join(name)));
        assert!(places(&format!("{}/none/*/x", root.path().display())).is_empty());
    }

    #[test]
    fn ids_of_engines_are_long_and_hexadecimal() {
        assert!(is_engines_id(&"0a".repeat(32)));
        assert!(!is_engines_id(&"0g".repeat(32)) && !is_engines_id("0a") && !is_engines_id(""));
    }
}
