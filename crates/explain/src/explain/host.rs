//! What the host side does before the program runs, and around it.

use super::{Entry, Place, Told, Topic, place};
use crate::names::{clone_flags, octal, quoted};
use orlop_compile::{CgroupPlan, FillWith, IdMaps, Join, Origin, rlimit_name};
use orlop_runtime::Planned;
use orlop_spec::{Hook, Pointer};

/// Says where things of the host side come from.
struct Teller<'a> {
    text: &'a str,
    told: Vec<Told>,
}

impl Teller<'_> {
    fn say(&mut self, topic: Topic, does: impl Into<String>, calls: Vec<String>, origin: &Origin, why: &str) {
        let does = does.into();
        let subject = does.clone();
        self.about(subject, topic, does, calls, origin, why);
    }

    fn about(
        &mut self,
        subject: String,
        topic: Topic,
        does: String,
        calls: Vec<String>,
        origin: &Origin,
        why: &str,
    ) {
        let place: Option<Place> = place(self.text, origin);
        let (origin, why) = (origin.to_string(), why.to_owned());
        self.told.push(Told { topic, entry: Entry { step: None, subject, does, calls, origin, place, why } });
    }
}

/// What comes before the program's first step.
pub(super) fn before(planned: &Planned) -> Vec<Told> {
    let launch = &planned.compiled.launch;
    let mut teller = Teller { text: &planned.config.text, told: Vec::new() };
    if let Some(cgroup) = &launch.cgroup {
        teller.cgroup(cgroup, planned);
    }
    teller.rdt(planned);
    teller.fills(planned);
    teller.birth(planned);
    for (maps, verb) in [(&launch.id_maps, "write"), (&launch.joined_id_maps, "compare")] {
        if let Some(maps) = maps {
            teller.id_maps(maps, verb);
        }
    }
    teller.prepare(planned);
    teller.hand_over(planned);
    teller.told
}

/// What other programs do on the way.
pub(super) fn after(planned: &Planned) -> Vec<Told> {
    let mut teller = Teller { text: &planned.config.text, told: Vec::new() };
    let hooks = &planned.config.spec.hooks;
    let kinds: [(&[Hook], &str, Pointer, &str); 6] = [
        (
            &hooks.prestart,
            "prestart",
            Pointer::new("/hooks/prestart/{}"),
            "On the host, while init waits before it switches the root.",
        ),
        (
            &hooks.create_runtime,
            "createRuntime",
            Pointer::new("/hooks/createRuntime/{}"),
            "On the host, while init waits before it switches the root.",
        ),
        (
            &hooks.create_container,
            "createContainer",
            Pointer::new("/hooks/createContainer/{}"),
            "In the container's namespaces, while init waits before it switches the root.",
        ),
        (
            &hooks.start_container,
            "startContainer",
            Pointer::new("/hooks/startContainer/{}"),
            "In the container, right before its program.",
        ),
        (
            &hooks.poststart,
            "poststart",
            Pointer::new("/hooks/poststart/{}"),
            "On the host, once the program runs.",
        ),
        (
            &hooks.poststop,
            "poststop",
            Pointer::new("/hooks/poststop/{}"),
            "On the host, after the container was deleted.",
        ),
    ];
    for (hooks, kind, pointer, why) in kinds {
        for (index, hook) in hooks.iter().enumerate() {
            let args: Vec<_> = hook.args.iter().map(|arg| quoted(arg)).collect();
            let call = format!(
                "execve({}, [{}], {} variables)",
                quoted(&hook.path),
                args.join(", "),
                hook.env.len()
            );
            let origin = Origin::Config(pointer.clone().at(index));
            teller.say(Topic::Hooks, format!("run the {kind} hook {}", hook.path), vec![call], &origin, why);
        }
    }
    teller.told
}

impl Teller<'_> {
    fn cgroup(&mut self, cgroup: &CgroupPlan, planned: &Planned) {
        let asked = Origin::Config(Pointer::new("/linux/cgroupsPath"));
        let linux = planned.config.spec.linux.as_ref();
        let own = Origin::Rule("every container has a cgroup of its own");
        let origin = if linux.is_some_and(|linux| !linux.cgroups_path.is_empty()) { &asked } else { &own };
        if let Some(scope) = &cgroup.scope {
            let call = format!(
                "sendmsg(D-Bus, StartTransientUnit({}, Slice={}))",
                quoted(&scope.name.unit),
                scope.name.slice
            );
            let why = "systemd makes the cgroup, as it is to be the only writer of its tree.";
            self.about(
                "scope".into(),
                Topic::Cgroup,
                format!("ask systemd for the scope {}", scope.name.unit),
                vec![call],
                origin,
                why,
            );
        } else {
            let places = cgroup.path.locate(&planned.host.cgroups);
            let paths = places.map_or_else(
                |_| vec![cgroup.path.inner().to_path_buf()],
                |at| {
                    std::iter::once(at.v2.path()).chain(at.v1.iter().map(|(_, place)| place.path())).collect()
                },
            );
            let calls = paths
                .iter()
                .map(|path| format!("mkdirat({})", quoted(&path.display().to_string())))
                .collect();
            let why = "A new directory is a new group; nobody is in it yet.";
            let does = format!("make the cgroup {}", cgroup.path.inner().display());
            self.about("cgroup".into(), Topic::Cgroup, does, calls, origin, why);
        }
        self.cgroup_limits(cgroup);
        if let Some(owner) = cgroup.owner {
            let rule = Origin::Rule("a writable cgroup tree belongs to the container's user");
            let call = format!("fchownat(cgroup, {owner}), and the files that may be delegated");
            let does = format!("give the cgroup to user {owner}");
            self.say(Topic::Cgroup, does, vec![call], &rule, "It may make groups of its own below.");
        }
    }

    fn cgroup_limits(&mut self, cgroup: &CgroupPlan) {
        for setting in &cgroup.plan.settings {
            let call = format!("write({}, {})", quoted(&setting.file), quoted(&setting.value));
            let subject = format!("setting {}", setting.file);
            let does = format!("set {} to {}", setting.file, setting.value);
            let why = sentence(setting.why);
            self.about(subject, Topic::Cgroup, does, vec![call], &setting.origin.clone().into(), &why);
        }
        let instructions = cgroup.plan.devices.instructions().len();
        if !cgroup.plan.devices.allows_all() {
            let calls = vec![
                format!("bpf(BPF_PROG_LOAD, BPF_PROG_TYPE_CGROUP_DEVICE, {instructions} instructions)"),
                "bpf(BPF_PROG_ATTACH, cgroup, BPF_CGROUP_DEVICE)".to_owned(),
            ];
            let origin = Origin::Config(Pointer::new("/linux/resources/devices"));
            let why = "The kernel asks this program whenever a device is opened or made, whoever has made its node.";
            self.about(
                "devices".into(),
                Topic::Cgroup,
                "attach the device filter".into(),
                calls,
                &origin,
                why,
            );
        }
    }

    fn rdt(&mut self, planned: &Planned) {
        let Some(rdt) = &planned.compiled.launch.rdt else { return };
        let group = rdt.group.as_deref().unwrap_or(&rdt.container);
        let mut calls = vec![format!(
            "mkdirat({})",
            quoted(&rdt.tree.join(group.trim_start_matches('/')).display().to_string())
        )];
        calls.extend(rdt.schemata.iter().map(|line| format!("write(\"schemata\", {})", quoted(line))));
        let origin = Origin::Config(Pointer::new("/linux/intelRdt"));
        self.about(
            "rdt".into(),
            Topic::Cgroup,
            format!("make the class of service {group}"),
            calls,
            &origin,
            "Its share of caches and memory bandwidth.",
        );
    }

    fn fills(&mut self, planned: &Planned) {
        for fill in &planned.compiled.launch.fills {
            let (does, calls, why) = match &fill.what {
                FillWith::DetachedTree { path, recursive, locked, .. } => {
                    let all = if *recursive { "|AT_RECURSIVE" } else { "" };
                    let mut calls = vec![
                        format!(
                            "open_tree(AT_FDCWD, {}, OPEN_TREE_CLONE{all})",
                            quoted(&path.display().to_string())
                        ),
                        "mount_setattr(tree, AT_RECURSIVE, MS_SLAVE)".to_owned(),
                    ];
                    if locked.is_some() {
                        calls.push("fstatfs(tree): what it forbids stays forbidden".to_owned());
                    }
                    (
                        format!("take hold of {}", path.display()),
                        calls,
                        "In its user namespace, init is nobody to the host's directories; a mount that is held can be attached all the same.",
                    )
                }
                FillWith::UserNamespace(_) => (
                    "make a user namespace for the ids of a mount".to_owned(),
                    vec!["clone3(CLONE_NEWUSER), write(uid_map), write(gid_map), openat(ns/user)".to_owned()],
                    "A mount's ids are mapped as a user namespace has them.",
                ),
                FillWith::Procfs => (
                    "open the host's procfs".to_owned(),
                    vec!["openat(AT_FDCWD, \"/proc\", O_PATH)".to_owned()],
                    "Offsets of clocks are written there.",
                ),
            };
            self.say(Topic::Root, does, calls, &fill.origin, why);
        }
    }

    fn birth(&mut self, planned: &Planned) {
        let launch = &planned.compiled.launch;
        for Join { path, flag, origin, .. } in &launch.joins {
            let kind = clone_flags(u64::from(flag.unsigned_abs()));
            let call = format!("setns({}, {kind})", quoted(&path.display().to_string()));
            let does = format!("join the namespace {}", path.display());
            self.about(
                format!("join {kind}"),
                Topic::Namespaces,
                does,
                vec![call],
                origin,
                "It exists already, and is shared with whoever is in it.",
            );
        }
        let into = if launch.cgroup.is_some() { "|CLONE_INTO_CGROUP" } else { "" };
        let calls = vec![
            format!("clone3({}|CLONE_PIDFD|CLONE_CLEAR_SIGHAND{into})", clone_flags(launch.namespaces)),
            "execveat(memfd of orlop-init)".to_owned(),
        ];
        let why = if into.is_empty() {
            "One call makes the process with all its namespaces; what runs in it is a small static program, never orlop itself."
        } else {
            "One call makes the process with all its namespaces and in its cgroup; what runs in it is a small static program, never orlop itself."
        };
        let origin = Origin::Config(Pointer::new("/linux/namespaces"));
        self.about("clone3".into(), Topic::Namespaces, "make the process".into(), calls, &origin, why);
    }

    fn id_maps(&mut self, maps: &IdMaps, verb: &str) {
        let text = |mappings: &[orlop_spec::IdMapping]| {
            let line = |m: &orlop_spec::IdMapping| format!("{} {} {}", m.container_id, m.host_id, m.size);
            mappings.iter().map(line).collect::<Vec<_>>().join("; ")
        };
        let call = if verb == "write" { "write" } else { "read" };
        let why = "Ids in the container, ids on the host, how many: root inside is somebody else outside.";
        let mut gid = vec![format!("{call}(\"/proc/PID/gid_map\", {})", quoted(&text(&maps.gid)))];
        if maps.deny_setgroups {
            gid.insert(0, "write(\"/proc/PID/setgroups\", \"deny\")".to_owned());
        }
        let uid = vec![format!("{call}(\"/proc/PID/uid_map\", {})", quoted(&text(&maps.uid)))];
        self.about(
            "gid_map".into(),
            Topic::Namespaces,
            format!("{verb} the map of group ids"),
            gid,
            &maps.gid_origin,
            why,
        );
        self.about(
            "uid_map".into(),
            Topic::Namespaces,
            format!("{verb} the map of user ids"),
            uid,
            &maps.uid_origin,
            why,
        );
    }

    /// What is done for the waiting process, because in its user namespace it may not do so itself.
    fn prepare(&mut self, planned: &Planned) {
        let launch = &planned.compiled.launch;
        let mut limit = |subject: &str, does: String, call: String, pointer: &'static str| {
            let why = "In another user namespace, init may not raise it itself.";
            let origin = Origin::Config(Pointer::new(pointer));
            self.about(subject.to_owned(), Topic::Limits, does, vec![call], &origin, why);
        };
        for (resource, hard) in &launch.raise_limits {
            let name = rlimit_name(*resource);
            let call = format!("prlimit64(PID, {name}, hard {hard})");
            limit(&format!("raise {name}"), format!("raise the hard limit {name}"), call, "/process/rlimits");
        }
        if let Some(value) = launch.oom_score_adj {
            let call = format!("write(\"/proc/PID/oom_score_adj\", \"{value}\")");
            limit("oom", format!("set the OOM score adjustment {value}"), call, "/process/oomScoreAdj");
        }
        if let Some(s) = &launch.scheduler {
            let call = format!(
                "sched_setattr(PID, {{policy {}, nice {}, priority {}}})",
                s.policy, s.nice, s.priority
            );
            limit("scheduler", "set the scheduling policy".into(), call, "/process/scheduler");
        }
        if let Some(value) = launch.io_priority {
            let call = format!("ioprio_set(IOPRIO_WHO_PROCESS, PID, {})", octal(value));
            limit("ioprio", "set the I/O priority".into(), call, "/process/ioPriority");
        }
    }

    /// What is handed over to the container, or to others.
    fn hand_over(&mut self, planned: &Planned) {
        let launch = &planned.compiled.launch;
        for device in &launch.net_devices {
            let names = format!("{} → {}", device.name, device.new_name);
            let call = format!("sendto(netlink, RTM_NEWLINK {names}, IFLA_NET_NS_FD)");
            let does = format!("move the network device {} into the container", device.name);
            let why = "A device belongs to one network namespace at a time.";
            self.say(Topic::Namespaces, does, vec![call], &device.origin, why);
        }
        if let Some(agent) = &launch.seccomp_agent {
            let socket = quoted(&agent.path.display().to_string());
            let call = format!("pidfd_getfd, sendmsg({socket}, notification descriptor)");
            let origin = Origin::Config(Pointer::new("/linux/seccomp/listenerPath"));
            let why = "It decides about calls that the filter leaves to it.";
            self.say(Topic::Filter, "hand the filter's notifications to the agent", vec![call], &origin, why);
        }
    }
}

/// A few words as a sentence.
fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    let first = chars.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}
