//! User namespaces: root file systems whose ids are mapped, and pods whose root is nobody on the host.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

use orlop_tests::Container;
use orlop_tests::shim::messages::{
    Create, CreateSandbox, Empty, LinuxPod, Mount, Pid, PodIds, PodNamespaces, PodUsers,
};
use orlop_tests::spec::{HOST_ID, add_user_namespace};
use serde_json::json;

use crate::pod::{Pod, SEPARATE, SHARED, namespace};
use crate::stage::{INVALID, Stage};

/// As containerd's snapshots have it.
fn mapped(kind: &str, source: &str, more: &[String]) -> Mount {
    let mut options = ["uidmap", "gidmap"].map(|name| format!("{name}=0:{HOST_ID}:65536")).to_vec();
    options.extend_from_slice(more);
    Mount { kind: kind.into(), source: source.into(), options, ..Mount::default() }
}

/// Whose a file is on the host.
fn owner(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it is there").uid()
}

#[test]
fn a_roots_ids_are_mapped_as_its_mount_says() {
    let script = "stat -c %u:%g /bin/busybox /of-one; echo >/new; stat -c %u:%g /new";
    for kind in ["overlay", "bind"] {
        let mut container = Container::sh(script);
        add_user_namespace(&mut container.bundle.config, &[(0, HOST_ID, 65536)]);
        container.set("/root/readonly", false);
        let mut stage = Stage::apart(container);
        let root = stage.container.bundle.rootfs();
        // An engine's layers are somewhere else.
        let layer = stage.path("layer");
        fs::rename(&root, &layer).unwrap();
        fs::create_dir(&root).unwrap();
        fs::write(layer.join("of-one"), "").unwrap();
        chown(layer.join("of-one"), Some(7), Some(7)).unwrap();
        let layer_text = layer.to_string_lossy().into_owned();
        let (mount, changed) = if kind == "overlay" {
            for name in ["upper", "work"] {
                fs::create_dir(stage.path(name)).unwrap();
            }
            chown(stage.path("upper"), Some(HOST_ID), Some(HOST_ID)).unwrap();
            let named = |key: &str, path: &str| format!("{key}={path}");
            let options = [
                named("workdir", &stage.text("work")),
                named("upperdir", &stage.text("upper")),
                named("lowerdir", &layer_text),
            ];
            (mapped(kind, kind, &options), (stage.path("upper"), HOST_ID))
        } else {
            (mapped(kind, &layer_text, &["rbind".into(), "rw".into()]), (layer.clone(), 0))
        };
        let mut stdout = stage.fifo("out");
        let request = Create { rootfs: vec![mount], stdout: stage.text("out"), ..stage.request() };
        if let Err(refused) = stage.client.call::<Pid>("Create", &request) {
            assert!(refused.message.contains("EINVAL"), "{refused:?}");
            fs::remove_dir(&root).unwrap();
            fs::rename(&layer, &root).unwrap();
            return orlop_tests::need::skip("ids cannot be mapped on this file system");
        }
        stage.start();
        let lines: Vec<_> = (0..3).map(|_| stdout.line()).collect();
        assert_eq!(lines, ["0:0", "7:7", "0:0"], "{kind}");
        let first = stage.which();
        assert_eq!(stage.wait(&first), 0);
        stage.delete(&first);
        // On the host they are whose the mount says; what was there before is as it was.
        let (place, base) = changed;
        assert_eq!(owner(&place.join("new")), base, "{kind}");
        assert_eq!((owner(&layer.join("bin/busybox")), owner(&layer.join("of-one"))), (0, 7));
        let mounts = stage.mounts_of_shim();
        assert!(!mounts.contains(&stage.container.id), "{kind}: {mounts}");
        fs::remove_dir(&root).unwrap();
        fs::rename(&layer, &root).unwrap();
    }
}

#[test]
fn mappings_that_are_none_are_refused() {
    let mut stage = Stage::apart(Container::sh("exit 3"));
    for options in [&["uidmap=0:1:2"][..], &["uidmap=0:1:x", "gidmap=0:1:2"], &["uidmap=", "gidmap="]] {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mount = Mount { kind: "tmpfs".into(), source: "tmpfs".into(), options, ..Mount::default() };
        let request = Create { rootfs: vec![mount], ..stage.request() };
        assert_eq!(stage.refused("Create", &request), INVALID);
    }
    let request = stage.request();
    assert_eq!(stage.run(&request), 3);
}

/// A pod with a user namespace, in a network that was made in it, as containerd makes it.
fn pod(pid: i32) -> (Pod, PodNamespaces) {
    let mut network = Container::lasting();
    add_user_namespace(&mut network.bundle.config, &[(0, HOST_ID, 65536)]);
    let pod = Pod::in_network_of(Stage::apart(Container::lasting()), network);
    let ids = vec![PodIds { host_id: HOST_ID, container_id: 0, length: 65536 }];
    let users = Some(PodUsers { mode: 0, uids: ids.clone(), gids: ids });
    (pod, PodNamespaces { users, pid, ..SEPARATE })
}

#[test]
fn a_pod_can_have_a_user_namespace() {
    for pids in [SEPARATE.pid, SHARED.pid] {
        let (mut pod, namespaces) = pod(pids);
        let pid = pod.up(namespaces, LinuxPod::default());
        for kind in ["user", "net"] {
            assert_eq!(namespace(pid, kind), namespace(pod.network.pid() as u32, kind), "{kind}");
        }
        let mut kinds = vec!["user", "network", "ipc", "uts"];
        if pids == SHARED.pid {
            kinds.push("pid");
        }
        let script = "readlink /proc/self/ns/user; stat -c %u:%g /etc/hostname /etc/resolv.conf; \
                      cat /etc/hostname /proc/sys/net/ipv4/ip_unprivileged_port_start; \
                      echo x >>/etc/hosts && echo shared >/dev/shm/word && hostname other && echo root";
        let mut member = pod.member(script, pid, &kinds);
        for set in ["bounding", "permitted", "effective"] {
            member.container.push(&format!("/process/capabilities/{set}"), "CAP_SYS_ADMIN");
        }
        for ids in ["uidMappings", "gidMappings"] {
            let map = json!([{"containerID": 0, "hostID": HOST_ID, "size": 65536}]);
            member.container.set(&format!("/linux/{ids}"), map);
        }
        member.container.set("/root/readonly", false);
        // Its root is not mapped, so that there is nothing that it could make there.
        for name in ["hostname", "hosts", "resolv.conf"] {
            fs::write(member.container.bundle.rootfs().join("etc").join(name), "").unwrap();
        }
        member.container.bundle.save();
        member.start();
        let lines: Vec<_> = (0..6).map(|_| member.stdout.line()).collect();
        assert_eq!(lines, [&namespace(pid, "user"), "0:0", "0:0", "mypod", "0", "root"]);
        assert_eq!(member.end(), 0);
        pod.call::<Empty>("StopSandbox").unwrap();
        pod.call::<Empty>("ShutdownSandbox").unwrap();
        assert_eq!(pod.stage.shim.process.reap(), Some(0));
    }
}

#[test]
fn a_pod_in_the_nodes_network_can_have_a_user_namespace() {
    let (mut pod, namespaces) = pod(SEPARATE.pid);
    let namespaces = PodNamespaces { network: 2, ..namespaces };
    let request = CreateSandbox { netns_path: String::new(), ..pod.request(namespaces, LinuxPod::default()) };
    pod.stage.client.call::<Empty>("CreateSandbox", &request).unwrap();
    let pid = pod.call::<Pid>("StartSandbox").unwrap().pid;
    let own = std::process::id();
    assert_eq!(namespace(pid, "net"), namespace(own, "net"));
    assert_ne!(namespace(pid, "user"), namespace(own, "user"));
    let map = fs::read_to_string(format!("/proc/{pid}/uid_map")).unwrap();
    assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", &HOST_ID.to_string(), "65536"]);
    pod.call::<Empty>("ShutdownSandbox").unwrap();
    assert_eq!(pod.stage.shim.process.reap(), Some(0));
}

#[test]
fn a_pods_user_namespace_has_to_be_that_of_its_network() {
    let (mut pod, mut namespaces) = pod(SEPARATE.pid);
    if let Some(users) = &mut namespaces.users {
        users.uids[0].host_id += 1;
    }
    pod.create(namespaces, LinuxPod::default()).unwrap();
    let refused = pod.call::<Pid>("StartSandbox").unwrap_err();
    assert!(refused.message.contains("uid_map"), "{refused:?}");
    pod.call::<Empty>("ShutdownSandbox").expect("what was never started can be ended");
    assert_eq!(pod.stage.shim.process.reap(), Some(0));
}
