//! Facts about another machine than this one, or another caller.

use orlop_cgroups::{Controllers, Layout, Unified, V1Mount};
use orlop_compile::{CgroupRights, Host};
use orlop_spec::{NamespaceKind, Spec};

/// What is to be assumed. Everything else is as this machine has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assumptions {
    facts: Vec<Fact>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fact {
    User(u32),
    Kernel(u16, u16),
    Cgroups(Version),
    AllCapabilities,
    AppArmor(bool),
    SeLinux(bool),
    Kcore(bool),
    Landlock(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2,
    Hybrid,
}

/// The facts that can be assumed, for help.
pub const KNOWN: &str = "user=UID, kernel=X.Y, cgroup=v1|v2|hybrid, caps=all, apparmor=yes|no, selinux=yes|no, kcore=yes|no, landlock=VERSION, or typical: root \
                         with all capabilities on Linux 6.12 with AppArmor and cgroups of version 2";

/// A machine as there are many.
const TYPICAL: [&str; 7] =
    ["user=0", "caps=all", "kernel=6.12", "cgroup=v2", "apparmor=yes", "kcore=yes", "landlock=6"];

impl Assumptions {
    /// Reads `kernel=6.8,cgroup=v2` and the like.
    ///
    /// # Errors
    ///
    /// What cannot be understood, and what there is.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut facts = Vec::new();
        for word in text.split(',').filter(|word| !word.is_empty()) {
            let words = if word == "typical" { &TYPICAL[..] } else { &[word] };
            for word in words {
                facts.push(
                    fact(word).ok_or_else(|| format!("{word:?} is no fact to assume; there are {KNOWN}"))?,
                );
            }
        }
        Ok(Self { facts })
    }

    /// Replaces facts. What is assumed, in words; also that a config which takes root would be used by root, if this caller
    /// is somebody else, and that the security modules are there whose labels it names.
    pub fn apply(&self, spec: &Spec, host: &mut Host) -> Vec<String> {
        let mut said = Vec::new();
        for fact in &self.facts {
            said.push(replace(fact, host));
        }
        let names_user = self.facts.iter().any(|fact| matches!(fact, Fact::User(_)));
        if !names_user && !host.privileged && !has_user_namespace(spec) {
            let caller = host.euid;
            replace(&Fact::User(0), host);
            replace(&Fact::AllCapabilities, host);
            said.push(format!("the caller is root with all capabilities (this one is user {caller}), as the config has no user namespace"));
        }
        let label = |label: fn(&orlop_spec::Process) -> &String| {
            spec.process.as_ref().is_some_and(|process| !label(process).is_empty())
        };
        if label(|process| &process.apparmor_profile) && !host.apparmor && !self.says(&Fact::AppArmor(false))
        {
            said.push(replace(&Fact::AppArmor(true), host) + ", as the config names a profile");
        }
        let mounts = spec.linux.as_ref().is_some_and(|linux| !linux.mount_label.is_empty());
        let labelled = label(|process| &process.selinux_label) || mounts;
        if labelled && !host.selinux && !self.says(&Fact::SeLinux(false)) {
            said.push(replace(&Fact::SeLinux(true), host) + ", as the config names a label");
        }
        said
    }

    fn says(&self, fact: &Fact) -> bool {
        self.facts.contains(fact)
    }
}

fn has_user_namespace(spec: &Spec) -> bool {
    let namespaces = spec.linux.iter().flat_map(|linux| &linux.namespaces);
    namespaces.into_iter().any(|namespace| namespace.kind == NamespaceKind::User)
}

fn fact(word: &str) -> Option<Fact> {
    let (key, value) = word.split_once('=')?;
    let yes = match value {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    };
    Some(match key {
        "user" => Fact::User(value.parse().ok()?),
        "kernel" => {
            let (major, minor) = value.split_once('.')?;
            Fact::Kernel(major.parse().ok()?, minor.parse().ok()?)
        }
        "cgroup" => Fact::Cgroups(match value {
            "v1" => Version::V1,
            "v2" => Version::V2,
            "hybrid" => Version::Hybrid,
            _ => return None,
        }),
        "caps" if value == "all" => Fact::AllCapabilities,
        "apparmor" => Fact::AppArmor(yes?),
        "selinux" => Fact::SeLinux(yes?),
        "kcore" => Fact::Kcore(yes?),
        "landlock" => Fact::Landlock(value.parse().ok()?),
        _ => return None,
    })
}

fn replace(fact: &Fact, host: &mut Host) -> String {
    let there = |yes: bool| if yes { "is enabled" } else { "is not enabled" };
    match *fact {
        Fact::User(uid) => {
            (host.euid, host.egid, host.privileged, host.setgroups_denied) = (uid, uid, uid == 0, false);
            host.cgroup_rights = if uid == 0 { CgroupRights::Full } else { CgroupRights::Forgiven };
            format!("the caller is user {uid}")
        }
        Fact::Kernel(major, minor) => {
            host.kernel = (major, minor);
            format!("the kernel is Linux {major}.{minor}")
        }
        Fact::Cgroups(version) => {
            host.cgroups = layout(version);
            format!(
                "cgroups are of version {}",
                match version {
                    Version::V1 => "1, beside an empty tree of version 2",
                    Version::V2 => "2",
                    Version::Hybrid =>
                        "1 and 2, with all controllers in version 1 but the io and pids of version 2",
                }
            )
        }
        Fact::AllCapabilities => {
            (host.bounding, host.last_cap) = ((1 << 41) - 1, 40);
            "the caller has all capabilities".to_owned()
        }
        Fact::AppArmor(yes) => {
            host.apparmor = yes;
            format!("AppArmor {}", there(yes))
        }
        Fact::SeLinux(yes) => {
            host.selinux = yes;
            format!("SELinux {}", there(yes))
        }
        Fact::Landlock(version) => {
            host.landlock = version;
            format!("Landlock has version {version}")
        }
        Fact::Kcore(yes) => {
            host.kcore = yes;
            format!("there is {} /proc/kcore", if yes { "a" } else { "no" })
        }
    }
}

fn layout(version: Version) -> Layout {
    let v2 = match version {
        Version::V1 => "",
        Version::V2 => "cpuset cpu io memory hugetlb pids rdma misc",
        Version::Hybrid => "io pids",
    };
    let v1: &[&str] = match version {
        Version::V1 => &["cpuset", "cpu,cpuacct", "blkio", "memory", "devices", "hugetlb", "pids", "rdma"],
        Version::Hybrid => &["cpuset", "cpu,cpuacct", "memory", "devices", "hugetlb", "rdma"],
        Version::V2 => &[],
    };
    let mount = if version == Version::V2 { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/unified" };
    let tree = |names: &&str| V1Mount {
        mount: format!("/sys/fs/cgroup/{names}").into(),
        own: "".into(),
        controllers: names.split(',').filter_map(orlop_cgroups::Controller::from_v1_name).collect(),
    };
    Layout {
        unified: Some(Unified { mount: mount.into(), own: "".into(), controllers: Controllers::parse(v2) }),
        v1: v1.iter().map(tree).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_or_refused_with_what_there_is() {
        let read = Assumptions::parse("kernel=5.14,cgroup=hybrid,selinux=no").unwrap();
        assert_eq!(
            read.facts[..],
            [Fact::Kernel(5, 14), Fact::Cgroups(Version::Hybrid), Fact::SeLinux(false)]
        );
        assert_eq!(Assumptions::parse("typical").unwrap().facts.len(), TYPICAL.len());
        for wrong in ["kernel=new", "cgroup=v3", "colour=red", "caps=some", "apparmor=maybe"] {
            assert!(Assumptions::parse(wrong).unwrap_err().contains("cgroup=v1|v2|hybrid"), "{wrong}");
        }
    }
}
