//! Cgroups that are named as engines and runtimes name those of containers, or that have orlop's mark, and nobody is in.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use orlop_cgroups::Layout;
use orlop_sys::{Fd, bpf};

use super::facts::{Facts, is_engines_id, is_old};
use super::{Answer, Finding};

/// So many directories are looked at.
const MOST: usize = 20_000;
/// More device programs cannot be attached to a cgroup.
const MOST_PROGRAMS: usize = 64;

/// A directory of one hierarchy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Group {
    /// Below the mount point: the same in all hierarchies.
    inner: PathBuf,
    path: PathBuf,
    /// Processes are in it or below, or that may not be seen.
    used: bool,
    old: bool,
    /// There are directories below.
    parent: bool,
    /// How many device programs are attached to it.
    programs: usize,
    /// The state directory that its mark names, which is nowhere.
    mark: Option<PathBuf>,
}

pub(super) fn look(facts: &Facts, ours: &[PathBuf]) -> Answer {
    let layout = match Layout::detect() {
        Ok(layout) => layout,
        Err(e) => return Answer { unknown: vec![e.to_string()], ..Answer::default() },
    };
    let (mut groups, all) = gather(&layout);
    let (marked, e) = match marked(&layout, ours) {
        Ok(marked) => (marked, None),
        Err(e) => (vec![], Some(e.to_string())),
    };
    // What has a mark is told with it.
    groups.retain(|group| !ours.contains(&group.path) && marked.iter().all(|other| other.path != group.path));
    let mut answer = Answer::if_all_are_listed(facts, judge(groups, facts));
    answer.unknown.extend(e);
    answer.extend(lost(marked, facts));
    if !all {
        answer.unknown.push(format!("what is in more than {MOST} directories"));
    }
    answer
}

/// Who gives such a name to a container's cgroup, and the container's id.
fn container(name: &str) -> Option<(&'static str, &str)> {
    const ENGINES: [(&str, &str); 8] = [
        ("docker-", "Docker"),
        ("cri-containerd-", "containerd"),
        ("nerdctl-", "nerdctl"),
        ("crio-conmon-", "CRI-O"),
        ("crio-", "CRI-O"),
        ("libpod-conmon-", "Podman"),
        ("libpod-payload-", "Podman"),
        ("libpod-", "Podman"),
    ];
    const RUNTIMES: [(&str, &str); 4] =
        [("runc-", "runc"), ("crun-", "crun"), ("youki-", "youki"), ("orlop-", "orlop")];
    if let Some(id) = name.strip_prefix(":youki:") {
        return Some(("youki", id));
    }
    let scope = name.strip_suffix(".scope");
    let stem = scope.unwrap_or(name);
    let named = |names: &'static [(&str, &'static str)]| {
        names.iter().find_map(|(prefix, who)| Some((*who, stem.strip_prefix(prefix)?)))
    };
    let of_engine = named(&ENGINES).filter(|(_, id)| is_engines_id(id));
    let of_runtime = || named(&RUNTIMES).filter(|(_, id)| scope.is_some() && !id.is_empty());
    let bare = || (scope.is_none() && is_engines_id(name)).then_some(("an engine", name));
    of_engine.or_else(of_runtime).or_else(bare)
}

/// Those of all hierarchies, and whether that is all.
fn gather(layout: &Layout) -> (Vec<Group>, bool) {
    let (mut found, mut left) = (Vec::new(), MOST);
    for mount in
        layout.unified.iter().map(|unified| &unified.mount).chain(layout.v1.iter().map(|v1| &v1.mount))
    {
        collect(mount, Path::new(""), &mut left, &mut found);
    }
    (found, left > 0)
}

/// Those below a directory. What is below a container's is the container's.
fn collect(mount: &Path, inner: &Path, left: &mut usize, found: &mut Vec<Group>) {
    for name in children(&mount.join(inner)) {
        if *left == 0 {
            return;
        }
        *left -= 1;
        let inner = inner.join(&name);
        if container(&name).is_some() {
            found.push(Group::at(mount, inner));
        } else {
            collect(mount, &inner, left, found);
        }
    }
}

fn children(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut names: Vec<String> =
        directories.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

impl Group {
    fn at(mount: &Path, inner: PathBuf) -> Self {
        let path = mount.join(&inner);
        Self {
            used: is_used(&path),
            old: is_old(&path),
            parent: !children(&path).is_empty(),
            programs: programs(&path),
            inner,
            path,
            mark: None,
        }
    }

    /// Where its hierarchy is mounted.
    fn mount(&self) -> Option<&Path> {
        self.path.ancestors().nth(self.inner.iter().count())
    }
}

/// Whether processes are in a cgroup or below it. One that cannot be read counts as used, unless it is gone.
fn is_used(path: &Path) -> bool {
    if let Ok(events) = std::fs::read_to_string(path.join("cgroup.events")) {
        return !events.lines().any(|line| line == "populated 0");
    }
    let own = std::fs::read(path.join("cgroup.procs")).map_or(true, |text| !text.is_empty());
    own || children(path).iter().any(|name| is_used(&path.join(name)))
}

/// How many device programs are attached; none where they cannot be asked for.
fn programs(path: &Path) -> usize {
    let attached = |directory: File| bpf::attached(Fd::of(&directory), &mut [0; MOST_PROGRAMS]).ok();
    File::open(path).ok().and_then(attached).unwrap_or(0)
}

/// Cgroups with orlop's mark whose container has no state here, but for those that `orlop gc` knows of.
fn marked(layout: &Layout, ours: &[PathBuf]) -> orlop_cgroups::Result<Vec<Group>> {
    let mut found = Vec::new();
    for (place, mark) in orlop_cgroups::marked(layout)? {
        let state = mark.owner.split_once(' ').map(|(_, state)| PathBuf::from(state));
        let Some(state) = state.filter(|state| state.is_absolute()) else { continue };
        if ours.contains(&place.path()) || state.exists() {
            continue;
        }
        let group = Group::at(&place.mount, place.inner);
        // `delete` takes the cgroup away before the state: it was not just deleted.
        if group.path.exists() {
            found.push(Group { mark: Some(state), ..group });
        }
    }
    Ok(found)
}

/// Those of them whose state is not elsewhere, either: the path may mean something else in another mount namespace.
fn lost(groups: Vec<Group>, facts: &Facts) -> Answer {
    if groups.is_empty() {
        return Answer::default();
    }
    Answer::if_all_is_seen(facts, |holds| {
        let is_lost = |group: &Group| group.mark.as_ref().is_some_and(|state| !holds.sees(state));
        judge_marked(groups.into_iter().filter(is_lost).collect())
    })
}

fn judge(groups: Vec<Group>, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (inner, groups) in by(groups, |group| group.inner.clone()) {
        let name = inner.file_name().unwrap_or_default().to_string_lossy();
        let Some((who, id)) = container(&name) else { continue };
        if groups.iter().any(|group| group.used || !group.old) || facts.knows(id) {
            continue;
        }
        let what = format!("a cgroup as {who} makes for a container{}", programs_of(&groups));
        let why = "no process is in it, and nobody has a state of its container";
        findings.push(Finding::new(format!("{}, {what}", places(&groups)), why, removal(&groups)));
    }
    findings
}

fn judge_marked(groups: Vec<Group>) -> Vec<Finding> {
    let mut findings = Vec::new();
    // They are not at the same path everywhere if their maker's own cgroups are not.
    for (state, groups) in by(groups, |group| group.mark.clone().unwrap_or_default()) {
        if groups.iter().any(|group| group.used) {
            continue;
        }
        let what = format!("{}, a cgroup with orlop's mark{}", places(&groups), programs_of(&groups));
        let why =
            format!("no process is in it, and the state of its container, {}, is gone", state.display());
        let root = state.parent().unwrap_or(&state).display();
        findings.push(Finding::new(what, why, format!("orlop --root {root} gc")));
    }
    findings
}

/// One container has a directory in each hierarchy, with something in common.
fn by(groups: Vec<Group>, common: impl Fn(&Group) -> PathBuf) -> BTreeMap<PathBuf, Vec<Group>> {
    let mut all: BTreeMap<PathBuf, Vec<Group>> = BTreeMap::new();
    for group in groups {
        all.entry(common(&group)).or_default().push(group);
    }
    all
}

fn paths(groups: &[Group]) -> String {
    groups.iter().map(|group| group.path.display().to_string()).collect::<Vec<_>>().join(" ")
}

/// The same for people, who need not read a long path once for each hierarchy.
fn places(groups: &[Group]) -> String {
    let same = groups.iter().all(|group| group.inner == groups[0].inner);
    let mounts: Vec<_> =
        groups.iter().filter_map(Group::mount).map(|mount| mount.display().to_string()).collect();
    match groups {
        [_, _, ..] if same && mounts.len() == groups.len() => {
            format!("{}, below {}", groups[0].inner.display(), mounts.join(" "))
        }
        _ => paths(groups),
    }
}

fn removal(groups: &[Group]) -> String {
    let paths = paths(groups);
    if groups.iter().any(|group| group.parent) {
        return format!("find {paths} -depth -type d -delete");
    }
    format!("rmdir {paths}")
}

fn programs_of(groups: &[Group]) -> String {
    match groups.iter().map(|group| group.programs).sum() {
        0 => String::new(),
        1 => ", with a device program, which goes with it".to_owned(),
        n => format!(", with {n} device programs, which go with it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> String {
        "0123456789abcdef".repeat(4)
    }

    fn group(mount: &str, inner: &str) -> Group {
        let path = Path::new(mount).join(inner);
        Group { inner: inner.into(), path, old: true, ..Group::default() }
    }

    #[test]
    fn names_of_containers_are_known() {
        let id = id();
        for (name, who) in [
            (format!("docker-{id}.scope"), "Docker"),
            (format!("cri-containerd-{id}.scope"), "containerd"),
            (format!("crio-conmon-{id}.scope"), "CRI-O"),
            (format!("libpod-{id}"), "Podman"),
            (format!("libpod-payload-{id}"), "Podman"),
            (id.clone(), "an engine"),
        ] {
            assert_eq!(container(&name), Some((who, &*id)), "{name}");
        }
        assert_eq!(container("crun-web.scope"), Some(("crun", "web")));
        assert_eq!(container(":youki:web"), Some(("youki", "web")));
        let scope = format!("{id}.scope");
        for other in ["docker-web.scope", "crun-web", "runc-.scope", "system.slice", "docker", &scope, "abc"]
        {
            assert_eq!(container(other), None, "{other}");
        }
    }

    #[test]
    fn a_container_is_gone_if_it_is_gone_everywhere() {
        let inner = format!("docker/{}", id());
        let groups = vec![group("/c/cpu", &inner), group("/c/pids", &inner)];
        let facts = Facts::default();
        let findings = judge(groups.clone(), &facts);
        let [finding] = &*findings else { panic!("{findings:?}") };
        assert_eq!(finding.remedy, format!("rmdir /c/cpu/{inner} /c/pids/{inner}"));
        assert!(finding.what.starts_with(&format!("{inner}, below /c/cpu /c/pids, a cgroup")), "{finding:?}");
        let with = |change: &dyn Fn(&mut Group)| {
            let mut groups = groups.clone();
            change(&mut groups[1]);
            judge(groups, &facts)
        };
        assert_eq!(with(&|group| group.used = true), []);
        assert_eq!(with(&|group| group.old = false), [], "it may be in the making");
        let findings = with(&|group| (group.parent, group.programs) = (true, 2));
        assert!(findings[0].remedy.starts_with("find /c/cpu/docker"), "{findings:?}");
        assert!(findings[0].what.contains("with 2 device programs"), "{findings:?}");
        let known = Facts { known: [id()].into(), ..Facts::default() };
        assert_eq!(judge(groups, &known), [], "somebody has its state");
    }

    #[test]
    fn a_mark_leads_to_the_command_that_removes_it() {
        let marked = Group { mark: Some("/root/web".into()), ..group("/c", "web") };
        let findings = judge_marked(vec![marked.clone()]);
        assert_eq!(findings[0].remedy, "orlop --root /root gc");
        assert_eq!(judge_marked(vec![Group { used: true, ..marked }]), []);
    }

    #[test]
    fn what_is_not_there_is_not_used_by_anybody_it_seems() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        assert!(is_used(path), "it cannot be read");
        std::fs::write(path.join("cgroup.procs"), "").unwrap();
        assert!(!is_used(path));
        std::fs::create_dir(path.join("below")).unwrap();
        std::fs::write(path.join("below/cgroup.procs"), "1\n").unwrap();
        assert!(is_used(path), "version 1");
        std::fs::write(path.join("cgroup.events"), "populated 0\nfrozen 0\n").unwrap();
        assert!(!is_used(path), "version 2");
    }
}
