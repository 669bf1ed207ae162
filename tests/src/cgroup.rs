//! Finding a process's control groups: pure version 2, or a hybrid host with controllers on version 1.
use std::fs;
use std::path::{Path, PathBuf};

/// A cgroup hierarchy that is mounted here.
#[derive(Debug, Clone)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// The directory of the hierarchy that is visible there.
    root: String,
    /// The version-1 controllers and names; empty for version 2.
    controllers: Vec<String>,
    /// Whether it is version 2.
    pub unified: bool,
}

/// Which of the two versions holds a controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// A version-1 hierarchy.
    V1,
    /// The unified hierarchy.
    V2,
}

/// All hierarchies mounted here, each once.
pub fn hierarchies() -> Vec<Hierarchy> {
    let text = fs::read_to_string("/proc/self/mountinfo").expect("procfs is mounted");
    let mut found: Vec<Hierarchy> = vec![];
    for hierarchy in text.lines().filter_map(parse) {
        let same = |other: &Hierarchy| {
            (&other.controllers, other.unified) == (&hierarchy.controllers, hierarchy.unified)
        };
        if !found.iter().any(same) && hierarchy.mount.is_dir() {
            found.push(hierarchy);
        }
    }
    found
}

/// One line of mountinfo, see `proc_pid_mountinfo(5)`.
fn parse(line: &str) -> Option<Hierarchy> {
    let (place, device) = line.split_once(" - ")?;
    let mut place = place.split(' ').skip(3);
    let (root, mount) = (place.next()?, place.next()?);
    let mut device = device.split(' ');
    let (kind, options) = (device.next()?, device.nth(1)?);
    let unified = kind == "cgroup2";
    if !unified && kind != "cgroup" {
        return None;
    }
    let words = options.split(',').filter(|word| !["rw", "ro", "xattr"].contains(word));
    let controllers = if unified { vec![] } else { words.map(str::to_owned).collect() };
    Some(Hierarchy { mount: mount.into(), root: root.into(), controllers, unified })
}

/// Where a controller is, if anywhere.
pub fn controller(name: &str) -> Option<(Version, Hierarchy)> {
    let all = hierarchies();
    if let Some(v1) = all.iter().find(|h| h.controllers.iter().any(|word| word == name)) {
        return Some((Version::V1, v1.clone()));
    }
    let v2 = all.into_iter().find(|h| h.unified)?;
    let offered = fs::read_to_string(v2.mount.join("cgroup.controllers")).unwrap_or_default();
    // `devices` is an eBPF program and `freezer` a core file there: neither is listed.
    let there = ["devices", "freezer"].contains(&name) || offered.split_whitespace().any(|word| word == name);
    there.then_some((Version::V2, v2))
}

/// The directory of a process's cgroup for a controller.
#[track_caller]
pub fn directory(pid: i32, name: &str) -> (Version, PathBuf) {
    let (version, hierarchy) = controller(name).unwrap_or_else(|| panic!("no controller {name} here"));
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("the process is there");
    let path = text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let ours = match version {
            Version::V1 => controllers.split(',').any(|word| word == name),
            Version::V2 => controllers.is_empty(),
        };
        ours.then(|| path.to_owned())
    });
    let path = path.unwrap_or_else(|| panic!("process {pid} has no cgroup for {name}: {text}"));
    let inside = path.strip_prefix(hierarchy.root.trim_end_matches('/')).unwrap_or(&path);
    (version, hierarchy.mount.join(inside.trim_start_matches('/')))
}

/// The directory of a process's cgroup on version 2, if that is mounted at all.
pub fn unified_directory(pid: i32) -> Option<PathBuf> {
    let hierarchy = hierarchies().into_iter().find(|h| h.unified)?;
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(hierarchy.mount.join(path.trim_start_matches('/')))
}

/// Reads a limit of a process: `v1` or `v2` is the file's name, whichever version has the controller.
#[track_caller]
pub fn read(pid: i32, name: &str, v1: &str, v2: &str) -> String {
    let (version, directory) = directory(pid, name);
    let path = directory.join(if version == Version::V1 { v1 } else { v2 });
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).trim().to_owned()
}

/// All cgroup directories with `word` in their path, in all hierarchies.
pub fn named(word: &str) -> Vec<PathBuf> {
    let mut found = vec![];
    for hierarchy in hierarchies() {
        collect(&hierarchy.mount, word, &mut found);
    }
    found
}

fn collect(directory: &Path, word: &str, found: &mut Vec<PathBuf>) {
    // Cgroups come and go while we look: what has gone is of no interest.
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if entry.file_name().to_string_lossy().contains(word) {
                found.push(entry.path());
            }
            collect(&entry.path(), word, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_lines_of_both_versions() {
        let v1 =
            parse("34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset").expect("v1");
        assert_eq!((v1.unified, v1.controllers), (false, vec!["cpuset".to_owned()]));
        let v2 = parse("41 31 0:38 /a /u rw shared:3 - cgroup2 cgroup2 rw,nsdelegate").expect("v2");
        assert_eq!((v2.unified, v2.root.as_str(), v2.mount), (true, "/a", PathBuf::from("/u")));
        assert!(parse("27 1 254:0 / / rw - ext4 /dev/vda rw").is_none());
    }
}
