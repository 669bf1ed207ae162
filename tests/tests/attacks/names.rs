//! Names and lengths: ids, paths of cgroups, mappings that are longer than somebody thought.
use std::fs;

use orlop_tests::cgroup;
use orlop_tests::spec::HOST_ID;
use serde_json::{Value, json};

use crate::stage::{Attack, Victim, ran, without_mounts};

#[test]
fn an_id_leads_nowhere_else() {
    let attack = Attack::new(
        "crun 1.28",
        "an id with `..` or a slash: the state is written outside of its directory",
        "`ContainerId` in `runtime/src/id.rs`",
    );
    let container = Attack::sh("echo ran");
    container.bundle.save();
    let bundle = container.bundle.path().to_string_lossy().into_owned();
    let root = container.state_root().join("deep/er");
    let root = root.to_string_lossy();
    let long = "x".repeat(5000);
    for id in [format!("../{}", container.id), format!("a/{}", container.id), "..".into(), ".".into(), long] {
        let call = |words: &[&str]| {
            let call = orlop_tests::Invocation::new(orlop_tests::runtime::binary(), &container.io());
            call.env("ORLOP_TEST", &container.id).args(["--root", &root]).args(words).output()
        };
        let out = call(&["create", "--bundle", &bundle, &id]);
        let made = fs::read_dir(container.state_root().join("deep")).into_iter().flatten().flatten();
        let beside: Vec<_> = made.map(|entry| entry.file_name()).filter(|name| name != "er").collect();
        call(&["delete", "--force", &id]);
        let shown = id.chars().take(40).collect::<String>();
        attack.succeeds_if(out.code == 0 || !beside.is_empty(), format!("{shown}: {beside:?} {out}"));
    }
    fs::remove_dir_all(container.state_root().join("deep")).ok();
}

#[test]
fn a_cgroups_path_does_not_leave_the_hierarchy() {
    let attack = Attack::new(
        "crun 1.28",
        "`cgroupsPath` with `..`: directories are made outside of the cgroup file system",
        "a cgroup path only goes down (`cgroups/src/path.rs`)",
    );
    let mut container = Attack::sh("echo ran");
    let victim = Victim::of(&container);
    for path in [
        format!("/..{}/..{}/made", "/..".repeat(10), victim.text()),
        format!("x/../../../../../..{}/made", victim.text()),
    ] {
        container.set("/linux/cgroupsPath", path.as_str());
        let out = container.run();
        let harm = victim.harm();
        // Who cleans the path makes cgroups with the names of the victim's directories.
        let made = victim.path.join("made");
        for hierarchy in cgroup::hierarchies() {
            let below = made.strip_prefix("/").expect("it is absolute");
            below.ancestors().take(4).for_each(|path| drop(fs::remove_dir(hierarchy.mount.join(path))));
        }
        attack.succeeds_if(!harm.is_empty(), format!("{path}: {harm:?} {out}"));
    }
}

#[test]
fn a_cgroup_below_the_containers_is_below_it() {
    let attack = Attack::new(
        "crun 1.28",
        "`exec --cgroup` or the annotation `run.oci.delegate-cgroup` with `..`: a process leaves the container's cgroup",
        "the same for those below (`cgroups/src/path.rs`)",
    );
    let container = Attack::lasting();
    container.up();
    let own = cgroup::unified_directory(container.pid());
    for path in ["..", "../..", "a/../..", "/.."] {
        let script = ["sh", "-c", "echo in $(grep ^0: /proc/self/cgroup)"];
        let out = container.exec_command(&["--cgroup", path], &script).output();
        let Some(line) = out.stdout.lines().find_map(|line| line.strip_prefix("in 0::")) else { continue };
        let inside = own
            .as_ref()
            .is_some_and(|own| own.to_string_lossy().ends_with(line) || line.contains(&container.id));
        attack.succeeds_if(!inside, format!("exec --cgroup {path}: {out}"));
    }
    for path in ["..", "../x", "a/../../b"] {
        let mut container = Attack::sh("cat /proc/self/cgroup");
        container.set("/annotations/run.oci.delegate-cgroup", path);
        let out = container.run();
        let outside =
            out.lines().into_iter().any(|line| line.starts_with("0::/") && !line.contains(&container.id));
        attack.succeeds_if(out.code == 0 && outside, format!("{path}: {out}"));
    }
}

/// Mappings of single ids.
fn mappings(count: u32) -> Vec<Value> {
    (0..count).map(|n| json!({"containerID": n, "hostID": HOST_ID + 2 * n, "size": 1})).collect()
}

#[test]
fn cve_2021_43784_long_mappings_are_whole_or_refused() {
    let attack = Attack::new(
        "CVE-2021-43784, crun 1.28",
        "mappings that are longer than a buffer or a length in it: what follows is read as something else",
        "mappings are counted (`compile/src/mappings.rs`); messages are of a fixed size (`program/src/message.rs`)",
    );
    for count in [1, 200, 339, 340, 341, 5000] {
        let mut container = Attack::sh("wc -l </proc/self/uid_map; echo ran");
        container.push("/linux/namespaces", json!({"type": "user"}));
        // Its terminals have a group that is not mapped.
        without_mounts(&mut container, "/dev/pts");
        container.set("/linux/uidMappings", mappings(count)).set("/linux/gidMappings", mappings(count));
        let out = container.run();
        attack.succeeds_if(out.code >= 128, format!("{count}: it crashes: {out}"));
        let whole = out.lines().first().is_some_and(|line| line.trim() == count.to_string());
        attack.succeeds_if(ran(&out) && !whole, format!("{count}: the map is another: {out}"));
        assert!(count > 200 || ran(&out), "{count}: {out}");
    }
}

#[test]
fn cve_2021_43784_long_paths_of_namespaces_do_not_run_over() {
    let attack = Attack::new(
        "CVE-2021-43784",
        "paths of namespaces that together are longer than a length field",
        "a path is opened by the host side and becomes a descriptor (`runtime/src/launch.rs`)",
    );
    for length in [5_000, 70_000, 300_000] {
        let mut container = Attack::sh("echo ran");
        let path = format!("/proc/self/ns/net{}", "/.".repeat(length / 2));
        container.set("/linux/namespaces/1", json!({"type": "network", "path": path}));
        let out = container.run();
        attack.succeeds_if(out.code >= 128 || ran(&out), format!("{length}: {}", out.code));
    }
}
