//! Network namespaces that a mount keeps, in which nobody is.

use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::facts::{Facts, is_hex, is_old, places};
use super::holds::{Holds, network, usual};
use super::{Answer, Finding};

/// Where engines put the bundles of containers, with configs that name network namespaces.
const CONFIGS: [&str; 5] = [
    "/run/containerd/io.containerd.runtime.v2.task/*/*/config.json",
    "/run/docker/containerd/daemon/io.containerd.runtime.v2.task/*/*/config.json",
    "/run/k3s/containerd/io.containerd.runtime.v2.task/*/*/config.json",
    "/run/containers/storage/overlay-containers/*/userdata/config.json",
    "/var/lib/containers/storage/overlay-containers/*/userdata/config.json",
];

/// A network namespace at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Network {
    path: PathBuf,
    inode: u64,
    /// Who makes such ones.
    maker: Maker,
    /// It was not made just now.
    old: bool,
}

/// Who makes network namespaces: for people, and its programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Maker {
    who: &'static str,
    programs: &'static [&'static str],
}

pub(super) fn look(facts: &Facts) -> Answer {
    let found = gather(facts);
    if found.is_empty() {
        return Answer::default();
    }
    // They are read only if there is one in which nobody is.
    let configs = LazyCell::new(read_configs);
    Answer::if_all_is_seen(facts, |holds| {
        judge(found, facts, holds, &|path| configs.iter().any(|text| names(text, path)))
    })
}

/// Whether a config names a network namespace, by way of `/run` or `/var/run`.
fn names(config: &str, path: &Path) -> bool {
    path.file_name().is_some_and(|name| config.contains(&format!("/{}\"", name.to_string_lossy())))
}

/// Who makes network namespaces with such a name. Those of `ip netns add` have other names, and are meant to be there without
/// processes.
fn maker(path: &Path) -> Option<Maker> {
    let name = path.file_name()?.to_str()?;
    let directory = usual(path.parent()?.to_str()?);
    let containerd = Maker { who: "containerd", programs: &["containerd", "nerdctl"] };
    let podman = Maker { who: "Podman", programs: &["podman", "buildah"] };
    let crio = Maker { who: "CRI-O", programs: &["crio"] };
    let docker = Maker { who: "Docker", programs: &["dockerd"] };
    if directory == Path::new("/run/docker/netns") {
        return (name.len() == 12 && is_hex(name)).then_some(docker);
    }
    let of_user = directory.starts_with("/run/user") && directory.ends_with("netns");
    if directory != Path::new("/run/netns") && !of_user {
        return None;
    }
    let named = |prefix| name.strip_prefix(prefix).is_some_and(is_uuid);
    match () {
        () if named("cni-") => Some(containerd),
        () if named("netns-") => Some(podman),
        () if is_uuid(name) => Some(crio),
        () => None,
    }
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.into_iter().all(is_hex)
}

fn gather(facts: &Facts) -> Vec<Network> {
    let mounts = facts.mounts.iter().filter(|mount| mount.fstype == "nsfs");
    let all: Vec<_> = mounts.filter_map(|mount| Some((&mount.target, network(&mount.root)?))).collect();
    // One that is mounted elsewhere, too, is somebody's who is no engine.
    let of_others = all.iter().filter(|(path, _)| maker(path).is_none());
    let others: BTreeSet<u64> = of_others.map(|(_, inode)| *inode).collect();
    let named = all.into_iter().filter_map(|(path, inode)| Some((path, inode, maker(path)?)));
    let named = named.filter(|(_, inode, _)| !others.contains(inode));
    let network = |(path, inode, maker): (&PathBuf, u64, Maker)| Network {
        path: path.clone(),
        inode,
        maker,
        old: is_old(path),
    };
    named.map(network).collect()
}

fn read_configs() -> Vec<String> {
    CONFIGS
        .iter()
        .flat_map(|pattern| places(pattern))
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .collect()
}

fn judge(found: Vec<Network>, facts: &Facts, holds: &Holds, wanted: &dyn Fn(&Path) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Network { path, inode, maker, old } in found {
        // It may be a container's that is being made, if anybody is there who could be at it.
        let new = !old && maker.programs.iter().any(|program| facts.runs(program));
        if new || holds.networks.contains(&inode) || holds.has_files_in(&path) || wanted(&path) {
            continue;
        }
        let path = path.display();
        findings.push(Finding::new(
            format!("{path}, a network namespace (net:[{inode}]) as {} makes for a container", maker.who),
            "no process is in it or has it open, and no config of a container names it",
            format!("umount {path} && rm {path}"),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::leftovers::facts::Process;
    use crate::inspect::Mount;

    const UUID: &str = "0a1b2c3d-0000-1111-2222-0123456789ab";

    #[test]
    fn only_names_of_engines_count() {
        let who = |path: &str| maker(Path::new(path)).map(|maker| maker.who);
        assert_eq!(who(&format!("/run/netns/cni-{UUID}")), Some("containerd"));
        assert_eq!(who(&format!("/var/run/netns/{UUID}")), Some("CRI-O"));
        assert_eq!(who(&format!("/run/user/1000/netns/netns-{UUID}")), Some("Podman"));
        assert_eq!(who("/run/docker/netns/0123456789ab"), Some("Docker"));
        for other in ["/run/netns/blue", "/run/docker/netns/default", "/run/docker/netns/1-abcdef0123", "/x"]
        {
            assert_eq!(who(other), None, "{other}");
        }
        assert_eq!(who(&format!("/srv/netns-{UUID}")), None);
    }

    #[test]
    fn a_network_with_another_name_is_somebody_elses() {
        let mount = |path: &str, inode: u64| Mount {
            target: path.into(),
            root: format!("net:[{inode}]").into(),
            fstype: "nsfs".into(),
            ..Mount::default()
        };
        let engines = format!("/run/netns/cni-{UUID}");
        let inodes =
            |mounts| gather(&Facts { mounts, ..Facts::default() }).into_iter().map(|one| one.inode).collect();
        let found: Vec<u64> = inodes(vec![mount(&engines, 7), mount("/run/netns/blue", 8)]);
        assert_eq!(found, [7]);
        let found: Vec<u64> = inodes(vec![mount(&engines, 7), mount("/run/netns/blue", 7)]);
        assert!(found.is_empty());
    }

    #[test]
    fn a_network_that_somebody_has_is_in_use() {
        let path = PathBuf::from(format!("/run/netns/netns-{UUID}"));
        let network = Network { maker: maker(&path).unwrap(), path, inode: 7, old: false };
        let judge = |holds: Holds, network: &Network, name: &str| {
            let process = Process { name: name.into(), ..Process::default() };
            let facts = Facts::with(vec![process], Holds::default());
            judge(vec![network.clone()], &facts, &holds, &|path| path.ends_with("wanted"))
        };
        let findings = judge(Holds::default(), &network, "sh");
        assert!(findings[0].remedy.starts_with("umount /run/netns/netns-0a1b"), "{findings:?}");
        assert_eq!(judge(Holds::default(), &network, "podman"), [], "it may be making it");
        let old = Network { old: true, ..network.clone() };
        assert_eq!(judge(Holds::default(), &old, "podman").len(), 1);
        let holds = Holds { networks: [7].into(), ..Holds::default() };
        assert_eq!(judge(holds, &network, "sh"), []);
        let holds = Holds { files: [network.path.clone()].into(), ..Holds::default() };
        assert_eq!(judge(holds, &network, "sh"), []);
        let wanted = Network { path: "/run/netns/wanted".into(), ..network.clone() };
        assert_eq!(judge(Holds::default(), &wanted, "sh"), []);
        assert!(names(&format!(r#"{{"path": "/var{}"}}"#, network.path.display()), &network.path));
        assert!(!names("{}", &network.path));
    }
}
