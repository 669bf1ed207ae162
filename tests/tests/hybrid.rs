//! Hosts on which version 1 has the cgroup controllers, beside version 2.
use std::fs;

use orlop_tests::cgroup::{self, Version};
use orlop_tests::{Container, need, runtime, spec};
use serde_json::{Value, json};

/// Hierarchies that containers live in, whichever of them this host has.
const KNOWN: [&str; 12] = [
    "cpu",
    "cpuacct",
    "cpuset",
    "memory",
    "devices",
    "freezer",
    "blkio",
    "pids",
    "perf_event",
    "net_cls",
    "net_prio",
    "name=systemd",
];

/// Those of version 1 that are mounted here.
fn mounted() -> Vec<&'static str> {
    let is_mounted =
        |name: &&str| cgroup::controller(name).is_some_and(|(version, _)| version == Version::V1);
    KNOWN.into_iter().filter(is_mounted).collect()
}

macro_rules! need_hybrid {
    () => {
        need!(!mounted().is_empty(), "this host has cgroups of version 2 only")
    };
}

/// Where a text of `/proc/PID/cgroup` says that a process is, for each hierarchy that is mounted here, version 2 included.
fn places(text: &str) -> Vec<(String, String)> {
    let known = mounted();
    let line = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (names, path) = (fields.next()?, fields.next()?);
        let ours = names.is_empty() || names.split(',').any(|name| known.contains(&name));
        ours.then(|| (names.to_owned(), path.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

fn places_of(pid: i32) -> Vec<(String, String)> {
    places(&fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs"))
}

#[test]
fn a_container_and_what_is_added_to_it_are_in_every_hierarchy() {
    need_hybrid!();
    let mut container = Container::lasting();
    container.bundle.remove("/linux/resources");
    container.up();
    let places = places_of(container.pid());
    assert!(places.len() > 1);
    for (names, path) in &places {
        assert!(path.ends_with(&container.id), "{names}: {path}");
    }
    let added = container.exec_detached(&[], &["sleep", "1000"]);
    assert_eq!(places_of(added.pid()), places);
    container.end_with_detached();
}

#[test]
fn usage_is_told_without_limits() {
    need_hybrid!();
    let mut container = Container::lasting();
    container.bundle.remove("/linux/resources");
    container.up();
    let out = container.command("events", &["--stats"]).ok();
    let data: Value = serde_json::from_str(&out.stdout).expect("JSON");
    for (controller, pointer) in [
        ("memory", "/data/memory/usage/usage"),
        ("cpuacct", "/data/cpu/usage/total"),
        ("pids", "/data/pids/current"),
    ] {
        if mounted().contains(&controller) {
            assert!(data.pointer(pointer).and_then(Value::as_u64) > Some(0), "{pointer}: {out}");
        }
    }
}

#[test]
fn cgroups_that_the_container_made_in_version_1_are_removed_with_it() {
    need_hybrid!();
    let container = Container::lasting();
    container.up();
    let controller = mounted()[0];
    let (_, own) = cgroup::directory(container.pid(), controller);
    fs::create_dir_all(own.join("deep/er")).expect("a cgroup below");
    let added = container.exec_detached(&["--cgroup", &format!("{controller}:deep/er")], &["sleep", "1000"]);
    assert_eq!(cgroup::directory(added.pid(), controller).1, own.join("deep/er"));
    container.end_with_detached();
}

#[test]
fn a_cgroup_in_use_is_refused_in_version_1_too() {
    need_hybrid!();
    need!(mounted().contains(&"devices"), "no version 1 hierarchy of devices, in which runc looks, is here");
    need!(runtime::is_orlop(), "runc refuses this since 1.2");
    let mut container = Container::sh("true");
    let path = format!("/{}", container.id);
    container.set("/linux/cgroupsPath", path.as_str());
    let (_, devices) = cgroup::controller("devices").expect("it is mounted");
    let own = devices.mount.join(&container.id);
    fs::create_dir(&own).expect("a new cgroup");
    let mut inside = std::process::Command::new("sleep").arg("1000").spawn().expect("sleep starts");
    fs::write(own.join("cgroup.procs"), inside.id().to_string()).expect("it moves");
    let out = container.run();
    inside.kill().expect("it runs");
    inside.wait().expect("it ends");
    fs::remove_dir(&own).expect("nobody is left in it");
    out.fails_with("container's cgroup is not empty");
}

#[test]
fn what_somebody_has_frozen_in_version_1_is_paused_and_resumed_and_killed() {
    need!(mounted().contains(&"freezer"), "no version 1 hierarchy here has the freezer");
    let container = Container::lasting();
    container.up();
    let state = cgroup::directory(container.pid(), "freezer").1.join("freezer.state");
    let freeze = || fs::write(&state, "FROZEN").expect("the freezer takes it");
    freeze();
    assert_eq!(container.status(), "paused");
    container.command::<&str>("resume", &[]).ok();
    assert_eq!(container.status(), "running");
    freeze();
    container.kill("KILL");
    assert_eq!(container.wait(), 128 + 9);
}

/// What a container with this cgroup mount says of it: the lines of its mountinfo, each as root, place, and first option.
fn view(own_root: bool, options: &[&str]) -> (String, Vec<[String; 3]>) {
    let mut container = Container::sh("cat /proc/self/mountinfo; ls -l /sys/fs/cgroup");
    let mount =
        json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": options});
    let mounts = container.bundle.config["mounts"].as_array_mut().expect("a list");
    mounts.retain(|mount| mount["type"] != "cgroup");
    mounts.push(mount);
    if own_root {
        container.push("/linux/namespaces", json!({"type": "cgroup"}));
    }
    let out = container.run().ok().stdout;
    let line = |line: &str| {
        let (mount, file_system) = line.split_once(" - ")?;
        let fields: Vec<&str> = mount.split(' ').skip(3).collect();
        let access = fields[2].split(',').next()?;
        file_system.starts_with("cgroup ").then(|| [fields[0], fields[1], access].map(str::to_owned))
    };
    (container.id.clone(), out.lines().filter_map(line).collect())
}

#[test]
fn a_container_sees_its_own_cgroups_of_version_1() {
    need_hybrid!();
    for (own_root, options, access) in [
        (false, &["nosuid", "noexec", "nodev", "relatime", "ro"][..], "ro"),
        (false, &["nosuid", "noexec", "nodev"], "rw"),
        (true, &["nosuid", "noexec", "nodev", "relatime", "ro"], "ro"),
        (true, &[], "rw"),
    ] {
        let (id, seen) = view(own_root, options);
        let names: Vec<_> =
            mounted().iter().map(|name| cgroup::controller(name).expect("mounted").1.mount).collect();
        for place in names {
            let name = place.file_name().expect("a name").to_string_lossy();
            let [root, _, found] = seen
                .iter()
                .find(|[_, place, _]| *place == format!("/sys/fs/cgroup/{name}"))
                .unwrap_or_else(|| panic!("{name} is not among {seen:?}"));
            assert_eq!(found, access, "{name}");
            assert!(if own_root { root == "/" } else { root.ends_with(&id) }, "{name}: {root}");
        }
    }
}

#[test]
fn a_container_with_its_own_users_sees_its_cgroups_too() {
    need_hybrid!();
    let mut container = Container::sh("cat /sys/fs/cgroup/*/cgroup.procs | sort -u");
    spec::add_user_namespace(&mut container.bundle.config, &[(0, spec::HOST_ID, 65_536)]);
    let out = container.run().ok();
    assert!(out.lines().contains(&"1"), "{out}");
}

#[test]
fn a_default_config_has_no_cgroup_namespace_here() {
    need_hybrid!();
    let container = Container::sh("true");
    let bundle = container.bundle.path().to_string_lossy().into_owned();
    container.runtime().args(["spec", "--bundle", &bundle]).ok();
    let text = fs::read_to_string(container.bundle.path().join("config.json")).expect("spec wrote it");
    let config: Value = serde_json::from_str(&text).expect("JSON");
    let namespaces = config["linux"]["namespaces"].as_array().expect("a list");
    assert!(!namespaces.contains(&json!({"type": "cgroup"})), "as in runc: {namespaces:?}");
}
