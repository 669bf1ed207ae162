//! Mounts that engines have made for containers: root file systems, and the tmpfs of shared memory.

use std::path::{Path, PathBuf};

use super::facts::{Facts, is_engines_id, is_old, places};
use super::holds::Holds;
use super::{Answer, Finding};
use crate::inspect::Mount;

/// Where `containers/storage` keeps containers unless a user or a configuration says otherwise.
const STORAGE: &str = "/var/lib/containers/storage";

/// Whose a mount is, by its path.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    who: &'static str,
    /// The program that keeps such mounts, if one runs all the time.
    engine: Option<&'static str>,
    what: &'static str,
    id: String,
    /// Where it is written down that it is wanted.
    record: Record,
}

/// Where an engine writes down that a container, or its layer, is there.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Record {
    /// A file that exists.
    File(PathBuf),
    /// Files that contain the id, by patterns of their paths.
    In(Vec<String>),
    /// In its database, which nobody else reads.
    Database,
}

/// Whether the container is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Yes,
    No,
    Unknown,
}

/// What is known of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Candidate {
    target: PathBuf,
    fstype: String,
    origin: Origin,
    written: Written,
    /// The directory that it is in has been there for a while.
    old: bool,
    used: bool,
}

pub(super) fn look(facts: &Facts) -> Answer {
    let named: Vec<_> =
        facts.mounts.iter().filter_map(|mount| Some((mount, origin(&mount.target)?))).collect();
    let mut answer = Answer { findings: deleted(facts), unknown: vec![] };
    if !named.is_empty() {
        answer.extend(Answer::if_all_is_seen(facts, |holds| {
            let candidates = named.into_iter().map(|(mount, origin)| Candidate::of(mount, origin, holds));
            candidates.filter_map(|candidate| judge(&candidate, facts)).collect()
        }));
    }
    answer
}

impl Candidate {
    fn of(mount: &Mount, origin: Origin, holds: &Holds) -> Self {
        let used = holds.has_mount(mount);
        Self {
            target: mount.target.clone(),
            fstype: mount.fstype.clone(),
            // There may be many that are in use, and long lists.
            written: if used { Written::Yes } else { origin.record.look(&origin.id) },
            old: mount.target.parent().is_some_and(is_old),
            used,
            origin,
        }
    }
}

/// Mounts of what was deleted, of which nobody has anything open as far as we may look.
fn deleted(facts: &Facts) -> Vec<Finding> {
    let is_deleted = |root: &Path| root.to_string_lossy().ends_with("//deleted");
    let deleted = facts.mounts.iter().filter(|mount| is_deleted(&mount.root) && mount.fstype != "nsfs");
    let finding = |path: &Path| {
        let path = path.display();
        Finding::new(format!("{path}, a bind mount"), "what was mounted is deleted", format!("umount {path}"))
    };
    let unused = deleted.filter(|mount| !facts.holds().has_files_in(&mount.target));
    unused.map(|mount| finding(&mount.target)).collect()
}

/// Whose a mount is, if its place is one of those that engines use.
fn origin(target: &Path) -> Option<Origin> {
    let names: Vec<&str> = target.iter().map(|name| name.to_str()).collect::<Option<_>>()?;
    let above = |levels: usize| target.ancestors().nth(levels).unwrap_or(target);
    let (who, engine, what, id, record) = match *names {
        [.., "io.containerd.runtime.v2.task", _, id, "rootfs"] => {
            let config = above(1).join("config.json");
            ("containerd", Some("containerd"), "root file system", id, Record::File(config))
        }
        [.., "io.containerd.grpc.v1.cri", "sandboxes", id, "shm"] => {
            ("containerd", Some("containerd"), "shared memory", id, Record::Database)
        }
        [.., "overlay2", id, "merged"] => {
            // Layers have ids of their own, which are written down by container.
            let layers = format!("{}/image/overlay2/layerdb/mounts/*/*-id", above(3).display());
            ("Docker", Some("dockerd"), "root file system", id, Record::In(vec![layers]))
        }
        [.., "containers", id, "mounts", "shm"] if is_engines_id(id) => {
            let config = above(2).join("config.v2.json");
            ("Docker", Some("dockerd"), "shared memory", id, Record::File(config))
        }
        [.., "overlay", id, "merged"] if is_engines_id(id) => {
            ("Podman", None, "root file system", id, Record::in_lists(above(3), "layers"))
        }
        [.., "overlay-containers", id, "userdata", "shm"] if is_engines_id(id) => {
            let storage = if target.starts_with("/run") { Path::new(STORAGE) } else { above(4) };
            ("Podman", None, "shared memory", id, Record::in_lists(storage, "containers"))
        }
        _ => return None,
    };
    Some(Origin { who, engine, what, id: id.to_owned(), record })
}

impl Record {
    /// The lists of `containers/storage`.
    fn in_lists(storage: &Path, of: &str) -> Self {
        let list = |kind| format!("{}/overlay-{of}/{kind}{of}.json", storage.display());
        Self::In(["", "volatile-"].map(list).into())
    }

    fn look(&self, id: &str) -> Written {
        match self {
            Self::File(path) => match std::fs::symlink_metadata(path) {
                Ok(_) => Written::Yes,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Written::No,
                Err(_) => Written::Unknown,
            },
            Self::In(files) => {
                let files = files.iter().flat_map(|pattern| places(pattern));
                let texts: Vec<String> =
                    files.filter_map(|file| std::fs::read_to_string(file).ok()).collect();
                match texts.iter().any(|text| text.contains(id)) {
                    true => Written::Yes,
                    // Without any list there is nothing that it could be in.
                    false if texts.is_empty() => Written::Unknown,
                    false => Written::No,
                }
            }
            Self::Database => Written::Unknown,
        }
    }
}

fn judge(candidate: &Candidate, facts: &Facts) -> Option<Finding> {
    let Candidate { target, fstype, origin, written, old, used } = candidate;
    let Origin { who, engine, what, id, .. } = origin;
    if *used || facts.is_named(id) {
        return None;
    }
    let idle = engine.filter(|engine| !facts.runs(engine));
    let umount = format!("umount {}", target.display());
    let known = *written == Written::Unknown && facts.known.contains(id);
    let (why, remedy) = match (written, idle) {
        (Written::No, _) if *old => {
            (format!("no process uses it, and {who} has no such container any more"), umount)
        }
        (Written::Yes | Written::Unknown, Some(engine)) if !known => (
            format!("no process uses it, and {engine}, which would take it away, does not run"),
            format!("start {engine}, or {umount}"),
        ),
        _ => return None,
    };
    let what = format!("{}, a mount ({fstype}) for a container's {what}", target.display());
    Some(Finding::new(what, why, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::leftovers::facts::Process;

    const TASK: &str = "/run/containerd/io.containerd.runtime.v2.task/default/web/rootfs";

    fn candidate(target: &str, written: Written) -> Candidate {
        let origin = origin(Path::new(target)).unwrap();
        Candidate { target: target.into(), fstype: "overlay".into(), origin, written, old: true, used: false }
    }

    fn machine(program: &str) -> Facts {
        Facts::with(vec![Process { name: program.into(), ..Process::default() }], Holds::default())
    }

    #[test]
    fn places_of_engines_are_known() {
        let id = "ab".repeat(32);
        let origin =
            |target: &str| origin(Path::new(target)).map(|origin| (origin.who, origin.what, origin.id));
        let found = |who, what, id: &str| Some((who, what, id.to_owned()));
        assert_eq!(origin(TASK), found("containerd", "root file system", "web"));
        let layer = "/var/lib/docker/overlay2/0f-init/merged";
        assert_eq!(origin(layer), found("Docker", "root file system", "0f-init"));
        let shm = format!("/var/lib/docker/containers/{id}/mounts/shm");
        assert_eq!(origin(&shm), found("Docker", "shared memory", &id));
        let shm = format!("/run/containers/storage/overlay-containers/{id}/userdata/shm");
        assert_eq!(origin(&shm), found("Podman", "shared memory", &id));
        let layer = format!("/home/u/.local/share/containers/storage/overlay/{id}/merged");
        assert_eq!(origin(&layer), found("Podman", "root file system", &id));
        let pod = format!("/run/containerd/io.containerd.grpc.v1.cri/sandboxes/{id}/shm");
        assert_eq!(origin(&pod), found("containerd", "shared memory", &id));
        for other in ["/dev/shm", "/", "/srv/overlay/x/merged", "/var/lib/docker/containers/web/mounts/shm"] {
            assert_eq!(origin(other), None, "{other}");
        }
    }

    #[test]
    fn a_mount_is_left_if_nobody_uses_it_and_nobody_will_take_it_away() {
        let gone = candidate(TASK, Written::No);
        let finding = judge(&gone, &machine("containerd")).unwrap();
        assert_eq!(finding.remedy, format!("umount {TASK}"));
        assert_eq!(judge(&Candidate { used: true, ..gone.clone() }, &machine("sh")), None);
        assert_eq!(judge(&Candidate { old: false, ..gone.clone() }, &machine("sh")), None);
        let mut shim = machine("containerd-shim");
        shim.processes[0].command = vec!["shim".into(), "-id".into(), "web".into()];
        assert_eq!(judge(&gone, &shim), None, "its shim runs");
        let there = candidate(TASK, Written::Yes);
        assert_eq!(judge(&there, &machine("containerd")), None, "containerd knows of it");
        let finding = judge(&there, &machine("sh")).unwrap();
        assert_eq!(finding.remedy, format!("start containerd, or umount {TASK}"));
    }

    #[test]
    fn of_engines_without_a_daemon_only_what_they_have_forgotten_is_left() {
        let target = format!("/var/lib/containers/storage/overlay/{}/merged", "ab".repeat(32));
        for (written, left) in [(Written::No, true), (Written::Yes, false), (Written::Unknown, false)] {
            assert_eq!(judge(&candidate(&target, written), &machine("sh")).is_some(), left, "{written:?}");
        }
    }

    #[test]
    fn records_are_files_or_lists() {
        let directory = tempfile::tempdir().unwrap();
        let list = directory.path().join("layers.json");
        let record =
            Record::In(vec![format!("{}/layers.json", directory.path().display()), "/none/*".into()]);
        assert_eq!(record.look("web"), Written::Unknown);
        std::fs::write(&list, r#"[{"id":"web"}]"#).unwrap();
        assert_eq!((record.look("web"), record.look("db")), (Written::Yes, Written::No));
        assert_eq!(Record::File(list.clone()).look("web"), Written::Yes);
        assert_eq!(Record::File(list.with_file_name("other")).look("web"), Written::No);
    }

    #[test]
    fn bind_mounts_of_what_is_deleted_are_left() {
        let mount = |root: &str, target: &str, fstype: &str| Mount {
            root: root.into(),
            target: target.into(),
            fstype: fstype.into(),
            ..Mount::default()
        };
        let mounts = ["/b", "/used"].map(|target| mount("/a//deleted", target, "ext4"));
        let mounts = [&mounts[..], &[mount("/a", "/c", "ext4")]].concat();
        let holds = Holds { files: ["/used/file".into()].into(), ..Holds::default() };
        let found = deleted(&Facts { mounts, ..Facts::with(vec![], holds) });
        assert_eq!(found.iter().map(|finding| &*finding.remedy).collect::<Vec<_>>(), ["umount /b"]);
    }
}
