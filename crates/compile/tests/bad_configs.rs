//! Containers that are refused or warned about: each config with every finding, by code and place.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod common;

use common::findings::{all_are_found, check, map, mount};
use common::{options, root, user};
use orlop_compile::{Host, Options};
use serde_json::{Value, json};

#[test]
fn a_good_config_has_no_findings() {
    check(&root(), &options(), &[], &[]);
}

#[test]
fn the_document() {
    all_are_found(&[
        (&[("/ociVersion", json!(""))], &["OciVersion /ociVersion"]),
        (&[("/ociVersion", json!("2.0.0"))], &["OciVersion /ociVersion"]),
        (&[("/ociVersion", json!("0.9.1"))], &["OciVersion /ociVersion"]),
        (&[("/ociVersion", json!("latest"))], &["OciVersion /ociVersion"]),
        (&[("/ociVersion", json!("1.9.0"))], &["warn OciVersion /ociVersion"]),
        (&[("/process", json!(null))], &["ProcessMissing /process"]),
        (&[("/root", json!(null))], &["Root /root"]),
        (&[("/root/path", json!(""))], &["Root /root/path"]),
        (&[("/root/path", json!("/"))], &["Root /root/path"]),
        (&[("/root/path", json!("a\0b"))], &["NulByte /root/path"]),
        (&[("/vm", json!({}))], &["NotBuiltYet /vm"]),
    ]);
}

#[test]
fn overlays() {
    let with = |upper: &str| ("/annotations", json!({"run.orlop.overlay": upper}));
    let over = |lower: &str| {
        ("/annotations", json!({"run.orlop.overlay": "tmpfs", "run.orlop.overlay.lower": lower}))
    };
    let no_mounts = json!([{"type": "pid"}, {"type": "network"}]);
    let many = ["/l"; 501].join(":");
    all_are_found(&[
        (&[with("tmpfs")], &[]),
        (&[with("tmpfs"), ("/root/path", json!("/"))], &[]),
        (&[over("/a:/b"), ("/root/path", json!(""))], &[]),
        (&[with("")], &["Annotation /annotations/run.orlop.overlay"]),
        (&[with("a\0b")], &["NulByte /annotations/run.orlop.overlay"]),
        (&[with("tmpfs"), ("/root/path", json!(""))], &["Root /root/path"]),
        (&[over("/a::/b")], &["Annotation /annotations/run.orlop.overlay.lower"]),
        (&[over("/a\0:/b")], &["NulByte /annotations/run.orlop.overlay.lower"]),
        (&[over(&many)], &["Annotation /annotations/run.orlop.overlay.lower"]),
        (
            &[("/annotations", json!({"run.orlop.overlay.lower": "/a"}))],
            &["Annotation /annotations/run.orlop.overlay.lower"],
        ),
        (
            &[with("tmpfs"), ("/linux/namespaces", no_mounts)],
            &["warn NamespaceMissing /linux/namespaces", "Annotation /annotations/run.orlop.overlay"],
        ),
    ]);
}

#[test]
fn namespaces() {
    all_are_found(&[
        (&[("/linux/namespaces/-", json!({"type": "moon"}))], &["NamespaceUnknown /linux/namespaces/5/type"]),
        (&[("/linux/namespaces/-", json!({"type": "pid"}))], &["NamespaceTwice /linux/namespaces/5"]),
        (&[("/linux/namespaces/1/path", json!("ns/pid"))], &["NamespacePath /linux/namespaces/1/path"]),
        (&[("/linux/namespaces/1/path", json!("/a\0b"))], &["NulByte /linux/namespaces/1/path"]),
        (&[("/linux/namespaces", json!([{"type": "pid"}]))], &["warn NamespaceMissing /linux/namespaces"]),
        (
            &[
                ("/linux/namespaces", json!([{"type": "pid"}])),
                ("/linux/rootfsPropagation", json!("private")),
            ],
            &["warn NamespaceMissing /linux/namespaces", "RootPropagation /linux/rootfsPropagation"],
        ),
        (
            &[
                ("/linux/namespaces", json!([{"type": "mount"}])),
                ("/hostname", json!("h")),
                ("/domainname", json!("d")),
            ],
            &["NamespaceMissing /hostname", "NamespaceMissing /domainname"],
        ),
        (&[("/hostname", json!("x".repeat(65)))], &["Name /hostname"]),
        (&[("/hostname", json!("a\0b"))], &["NulByte /hostname"]),
    ]);
}

#[test]
fn id_mappings_are_complete_and_do_not_contradict_each_other() {
    let user = ("/linux/namespaces/-", json!({"type": "user"}));
    let (uid, gid) = ("/linux/uidMappings", "/linux/gidMappings");
    let one = || json!([map(0, 1000, 10)]);
    all_are_found(&[
        (&[(uid, one())], &["MappingWithoutUser /linux/uidMappings"]),
        (
            std::slice::from_ref(&user),
            &["MappingMissing /linux/uidMappings", "MappingMissing /linux/gidMappings"],
        ),
        (&[user.clone(), (uid, one())], &["MappingMissing /linux/gidMappings"]),
        (
            &[user.clone(), (uid, json!([map(1, 1000, 1)])), (gid, one())],
            &["IdUnmapped /linux/uidMappings", "IdUnmapped /process/user/uid"],
        ),
        (
            &[user.clone(), (uid, json!([map(0, 1, 1), map(5, 9, 0)])), (gid, one())],
            &["Mapping /linux/uidMappings/1"],
        ),
        (
            &[user.clone(), (uid, one()), (gid, json!([map(0, 4_294_967_290, 10)]))],
            &["Mapping /linux/gidMappings/0"],
        ),
        (
            &[user.clone(), (uid, one()), (gid, json!([map(0, 1, 5), map(9, 3, 5)]))],
            &["Mapping /linux/gidMappings/1"],
        ),
        (
            &[user.clone(), (uid, one()), (gid, json!([map(0, 1, 5), map(4, 9, 5)]))],
            &["Mapping /linux/gidMappings/1"],
        ),
        (
            &[user.clone(), (uid, Value::Array((0..341).map(|i| map(i, i, 1)).collect())), (gid, one())],
            &["Mapping /linux/uidMappings"],
        ),
        (
            &[
                user.clone(),
                (uid, one()),
                (gid, one()),
                (
                    "/process/user",
                    json!({"uid": 10, "gid": 11,
                "additionalGids": [3, 12]}),
                ),
            ],
            &[
                "IdUnmapped /process/user/uid",
                "IdUnmapped /process/user/gid",
                "IdUnmapped /process/user/additionalGids/1",
            ],
        ),
    ]);
}

#[test]
fn what_id_mappings_and_user_namespaces_rule_out() {
    let user = ("/linux/namespaces/-", json!({"type": "user"}));
    let joined = ("/linux/namespaces/-", json!({"type": "user", "path": "/run/ns/user"}));
    let (uid, gid) = ("/linux/uidMappings", "/linux/gidMappings");
    let one = || json!([map(0, 1000, 10)]);
    all_are_found(&[
        (&[joined.clone(), (uid, one()), (gid, one())], &["warn Mapping /linux/uidMappings"]),
        (&[joined.clone(), (uid, one())], &["Mapping /linux/gidMappings"]),
        (&[joined], &[]),
        (
            &[
                user.clone(),
                (uid, one()),
                (gid, one()),
                (
                    "/mounts/-",
                    json!({"destination": "/t", "type": "tmpfs",
                "options": ["uid=11,gid=9"]}),
                ),
            ],
            &["IdUnmapped /mounts/1/options/0"],
        ),
        (
            &[
                ("/linux/namespaces", json!([{"type": "mount"}, {"type": "user"}])),
                (uid, one()),
                (gid, one()),
                ("/mounts/-", json!({"destination": "/sys", "type": "sysfs"})),
                ("/mounts/-", json!({"destination": "/dev/mqueue", "type": "mqueue"})),
            ],
            &[
                "MountNeedsNamespace /mounts/0/type",
                "MountNeedsNamespace /mounts/1/type",
                "MountNeedsNamespace /mounts/2/type",
            ],
        ),
    ]);
}

#[test]
fn without_privileges() {
    check(&user(), &options(), &[], &["Rootless /linux/namespaces"]);
    let own = [
        ("/linux/namespaces/-", json!({"type": "user"})),
        ("/linux/uidMappings", json!([map(0, 1000, 1)])),
        ("/linux/gidMappings", json!([map(0, 1000, 1)])),
    ];
    check(&user(), &options(), &own, &[]);
    let mut groups = own.to_vec();
    groups.push(("/process/user/additionalGids", json!([0, 5])));
    check(&user(), &options(), &groups, &["Groups /process/user/additionalGids/1"]);
    let mut rules = own.to_vec();
    rules.push(("/linux/resources", json!({"devices": [{"allow": false, "access": "rwm"}]})));
    check(&user(), &options(), &rules, &["warn CgroupIgnored /linux/resources/devices"]);
}

#[test]
fn mounts() {
    all_are_found(&[
        (&[mount("", "tmpfs", "", &[])], &["MountDestination /mounts/1/destination"]),
        (&[mount("/", "tmpfs", "", &[])], &["MountDestination /mounts/1/destination"]),
        (&[mount("/x/../.", "tmpfs", "", &[])], &["MountDestination /mounts/1/destination"]),
        (&[mount("tmp", "tmpfs", "", &[])], &["warn MountDestination /mounts/1/destination"]),
        (&[mount("/a\0", "tmpfs", "", &[])], &["NulByte /mounts/1/destination"]),
        (&[mount("/a", "", "", &[])], &["MountType /mounts/1/type"]),
        (&[mount("/a", "none", "/b", &["ro"])], &["MountType /mounts/1/type"]),
        (&[mount("/a", "bind", "/b", &[])], &["warn MountType /mounts/1/type"]),
        (&[mount("/a", "", "", &["bind"])], &["MountSource /mounts/1/source"]),
        (&[mount("/a", "", "/b", &["bind", "mode=1"])], &["MountOption /mounts/1/options/1"]),
        (&[mount("/proc", "proc", "", &["remount", "ro"])], &[]),
        (&[mount("/proc", "proc", "", &["remount", "hidepid=2"])], &["MountOption /mounts/1/options/1"]),
        (&[mount("/proc", "proc", "", &["remount", "sync"])], &["warn MountOptionIgnored /mounts/1/options"]),
        (&[mount("/a", "", "/srv", &["bind", "lazytime"])], &["warn MountOptionIgnored /mounts/1/options"]),
        (
            &[mount("/a", "tmpfs", "", &["silent", "iversion"])],
            &["warn MountOptionIgnored /mounts/1/options", "warn MountOptionIgnored /mounts/1/options"],
        ),
        (&[mount("/proc", "tmpfs", "", &[])], &["MountInProc /mounts/1/destination"]),
        (&[mount("/proc/", "", "/etc", &["bind"])], &["MountInProc /mounts/1/destination"]),
        (&[mount("/proc", "", "/proc", &["rbind"])], &[]),
        (&[mount("/proc/sys/net", "", "/x", &["bind"])], &["MountInProc /mounts/1/destination"]),
        (
            &[mount("proc/self", "sysfs", "", &[])],
            &["warn MountDestination /mounts/1/destination", "MountInProc /mounts/1/destination"],
        ),
        (&[mount("/proc/meminfo", "", "/x", &["bind"])], &[]),
        (&[mount("/sys/fs/cgroup", "cgroup", "cgroup", &["ro"])], &[]),
        (
            &[mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nsdelegate"])],
            &["MountOption /mounts/1/options/0"],
        ),
        (&[("/linux/rootfsPropagation", json!("sideways"))], &["RootPropagation /linux/rootfsPropagation"]),
    ]);
    let old = Host { kernel: (5, 13), ..root() };
    check(
        &old,
        &options(),
        &[mount("/a", "tmpfs", "", &["nosymfollow"])],
        &["MountOption /mounts/1/options"],
    );
    let no_pivot = Options { no_pivot: true, ..options() };
    let private = [("/linux/rootfsPropagation", json!("rprivate"))];
    check(&root(), &no_pivot, &private, &["RootPropagation /linux/rootfsPropagation"]);
}

fn device(path: &str, kind: &str, major: i64, minor: i64) -> (&'static str, Value) {
    ("/linux/devices/-", json!({"path": path, "type": kind, "major": major, "minor": minor}))
}

#[test]
fn devices() {
    all_are_found(&[
        (&[device("dev/x", "c", 1, 1)], &["Device /linux/devices/0/path"]),
        (&[device("/dev/", "c", 1, 1)], &["Device /linux/devices/0/path"]),
        (&[device("/dev/x", "z", 1, 1)], &["Device /linux/devices/0/type"]),
        (&[device("/dev/x", "c", -1, 1)], &["Device /linux/devices/0/major"]),
        (&[device("/dev/x", "b", 1, 1 << 20)], &["Device /linux/devices/0/minor"]),
        (
            &[device("/dev/x", "b", 4096, -5)],
            &["Device /linux/devices/0/major", "Device /linux/devices/0/minor"],
        ),
        (&[device("/dev/x", "p", -1, -1)], &[]),
        (&[device("/dev/x", "c", 1, 1), device("/dev//x", "c", 1, 2)], &["DeviceTwice /linux/devices/1"]),
        (&[device("/dev/x", "c", 1, 1), device("/dev/x", "u", 1, 1)], &["warn DeviceTwice /linux/devices/1"]),
        (&[device("/dev/ptmx", "c", 5, 2)], &["note Device /linux/devices/0"]),
        (
            &[device("/dev/x", "c", 1, 1), mount("/dev", "bind", "/dev", &["rbind"])],
            &["warn Device /linux/devices"],
        ),
    ]);
}

#[test]
fn clocks() {
    let time = |path: &str| ("/linux/namespaces/-", json!({"type": "time", "path": path}));
    let offset = |clock: &str, secs: i64, nanosecs: u32| {
        ("/linux/timeOffsets", json!({ clock: {"secs": secs, "nanosecs": nanosecs} }))
    };
    all_are_found(&[
        (&[time("")], &[]),
        (&[time(""), offset("monotonic", -9_223_372_036, 999_999_999)], &[]),
        (&[offset("monotonic", 1, 0)], &["NamespaceMissing /linux/timeOffsets"]),
        (&[time("/run/ns/time"), offset("boottime", 1, 0)], &["TimeOffset /linux/timeOffsets"]),
        (&[time("/run/ns/time")], &[]),
        (&[time("ns/time")], &["NamespacePath /linux/namespaces/5/path"]),
        (&[time(""), time("")], &["NamespaceTwice /linux/namespaces/6"]),
        (&[time(""), offset("realtime", 1, 0)], &["TimeOffset /linux/timeOffsets/realtime"]),
        (&[time(""), offset("monotonic", 9_223_372_037, 0)], &["TimeOffset /linux/timeOffsets/monotonic"]),
        (&[time(""), offset("boottime", 0, 1_000_000_000)], &["TimeOffset /linux/timeOffsets/boottime"]),
    ]);
}

#[test]
fn id_mapped_mounts() {
    let bound = |options: &[&str], uids: Value, gids: Value| {
        let mount = json!({"destination": "/mnt", "source": "/srv", "options": options, "uidMappings": uids,
            "gidMappings": gids});
        ("/mounts/-", mount)
    };
    let (one, none) = (json!([map(0, 1000, 1)]), json!([]));
    let user = ("/linux/namespaces/-", json!({"type": "user"}));
    let maps = [
        ("/linux/uidMappings", json!([map(0, 1000, 10)])),
        ("/linux/gidMappings", json!([map(0, 1000, 10)])),
    ];
    let both = |mount: (&'static str, Value)| vec![user.clone(), maps[0].clone(), maps[1].clone(), mount];
    let option = "MountIdMap /mounts/1/options/1";
    all_are_found(&[
        (&[bound(&["bind", "idmap"], one.clone(), one.clone())], &[]),
        (&[bound(&["rbind"], one.clone(), one.clone())], &[]),
        (&[bound(&["bind", "ridmap"], one.clone(), none.clone())], &["MountIdMap /mounts/1/gidMappings"]),
        (&[bound(&["bind"], none.clone(), one.clone())], &["MountIdMap /mounts/1/uidMappings"]),
        (&[bound(&["bind", "idmap"], none.clone(), none.clone())], &[option]),
        (&both(bound(&["bind", "idmap"], none.clone(), none.clone())), &[]),
        (&[bound(&["bind", "idmap=uids=0-1-2"], none.clone(), none.clone())], &[option]),
        (&[bound(&["bind", "ridmap=uids=0-1-2;gids=0-1-2"], none.clone(), none.clone())], &[]),
        (&[bound(&["bind", "idmap=uids=@0-1-2;gids=0-1-2"], none.clone(), none.clone())], &[option]),
        (&both(bound(&["bind", "idmap=uids=@0-9-1;gids=@0-0-2"], none.clone(), none.clone())), &[]),
        (&[bound(&["bind", "idmap=uids=0-1-2;gids=0-1-2"], one.clone(), one.clone())], &[option]),
        (&[bound(&["bind", "idmap=uids=0-1-0;gids=0-1-2"], none.clone(), none.clone())], &[option]),
        (
            &[bound(
                &["bind"],
                json!([map(0, 1, 0), map(1, u32::MAX, 1)]),
                json!([map(0, 5, 5), map(4, 20, 1)]),
            )],
            &[
                "MountIdMap /mounts/1/uidMappings/0",
                "MountIdMap /mounts/1/uidMappings/1",
                "MountIdMap /mounts/1/gidMappings/1",
            ],
        ),
        (&[mount("/mnt", "tmpfs", "tmpfs", &["idmap"])], &["MountIdMap /mounts/1/options/0"]),
        (&[mount("/mnt", "tmpfs", "tmpfs", &["idmap=uids=0-1-2;gids=0-1-2"])], &[]),
        (
            &[mount("/proc", "proc", "", &["remount", "idmap=uids=0-1-2;gids=0-1-2"])],
            &["MountIdMap /mounts/1"],
        ),
        (&both(mount("/mnt", "tmpfs", "tmpfs", &["idmap"])), &["MountIdMap /mounts/1"]),
    ]);
}
