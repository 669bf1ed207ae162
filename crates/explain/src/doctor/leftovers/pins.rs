//! Device programs that crun has pinned for systemd, one for each scope, and that nobody has unpinned.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use orlop_cgroups::Layout;

use super::facts::{Facts, is_old};
use super::{Answer, Finding};

/// Where crun pins programs: the scope's name, with underscores for dots, which such a file system does not take.
const PLACE: &str = "/sys/fs/bpf/crun";
/// How deep a scope's name can lead below it, and how deep scopes are looked for.
const DEPTH: usize = 12;

pub(super) fn look(facts: &Facts) -> Answer {
    let mut pins = Vec::new();
    if let Err(e) = files_below(Path::new(PLACE), DEPTH, &mut pins) {
        return match e.kind() {
            std::io::ErrorKind::NotFound => Answer::default(),
            _ => Answer { unknown: vec![format!("{PLACE}: {e}")], ..Answer::default() },
        };
    }
    let pins: Vec<PathBuf> = pins.into_iter().filter(|pin| is_old(pin)).collect();
    if pins.is_empty() {
        return Answer::default();
    }
    let scopes = match Layout::detect() {
        Ok(layout) => layout.unified.map(|unified| scopes(&unified.mount)).unwrap_or_default(),
        Err(e) => return Answer { unknown: vec![e.to_string()], ..Answer::default() },
    };
    let named = |name: &str| id(name).is_some_and(|id| facts.knows(id));
    Answer::if_all_are_listed(facts, judge(&pins, &scopes, &named))
}

fn files_below(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)?.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => files_below(&entry.path(), depth - 1, found)?,
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    Ok(())
}

/// The names of all cgroups below a directory, as crun names pins.
fn scopes(mount: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left = vec![(mount.to_owned(), DEPTH)];
    while let Some((directory, depth)) = left.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                found.insert(entry.file_name().to_string_lossy().replace('.', "_"));
                if depth > 0 {
                    left.push((entry.path(), depth - 1));
                }
            }
        }
    }
    found
}

/// The id in the name of a scope's pin, `PREFIX-ID_scope`.
fn id(name: &str) -> Option<&str> {
    name.strip_suffix("_scope")?.split_once('-').map(|(_, id)| id)
}

fn judge(pins: &[PathBuf], scopes: &BTreeSet<String>, named: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let name = |pin: &Path| pin.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let left = pins.iter().map(|pin| (pin, name(pin)));
    // A file that is a process's own holds no program of a scope.
    let left = left.filter(|(_, name)| name.ends_with("_scope") && !scopes.contains(name) && !named(name));
    let finding = |pin: &Path| {
        let pin = pin.display();
        let why = "there is no cgroup of that name, and nobody has a state of its container";
        Finding::new(format!("{pin}, a device program that crun has pinned"), why, format!("rm {pin}"))
    };
    left.map(|(pin, _)| finding(pin)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_without_its_scope_is_left() {
        let pins = ["crun-web_scope", "libpod-db_scope", "crun-job_scope", "4711"].map(PathBuf::from);
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("machine.slice/libpod-db.scope/container")).unwrap();
        let scopes = scopes(root.path());
        assert!(scopes.contains("libpod-db_scope") && scopes.contains("container"));
        let findings = judge(&pins, &scopes, &|name| id(name) == Some("job"));
        assert_eq!(
            findings.iter().map(|finding| &*finding.remedy).collect::<Vec<_>>(),
            ["rm crun-web_scope"]
        );
    }

    #[test]
    fn pins_are_found_however_deep() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("a/b")).unwrap();
        std::fs::write(root.path().join("a/b/c_scope"), "").unwrap();
        let mut found = vec![];
        files_below(root.path(), DEPTH, &mut found).unwrap();
        assert_eq!(found, [root.path().join("a/b/c_scope")]);
        assert!(files_below(&root.path().join("none"), DEPTH, &mut found).is_err());
    }
}
