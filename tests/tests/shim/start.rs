//! How containerd starts a shim, asks what it is, and cleans up after it.

use std::fs;

use orlop_protobuf::Message as _;
use orlop_tests::shim::messages::{
    BootstrapParams, Connected, Create, Deleted, Empty, Ended, Extension, Options, Pid, RuntimeInfo, Which,
};
use orlop_tests::shim::{self, Client, Shim, call_start};
use orlop_tests::{Container, Invocation, cgroup, need};
use serde_json::{Value, json};

use crate::stage::{Stage, any};

#[test]
fn every_containerd_is_answered_in_words_that_it_reads() {
    // The kit looks at the answers: an address for 1.6, JSON of version 2 until 2.2, and of version 3 since.
    for max_version in [None, Some("2")] {
        let container = Container::sh("exit 4");
        let shim = Shim::start_before_2_3(&container, max_version);
        let address = fs::read_to_string(container.bundle.path().join("address")).unwrap();
        assert_eq!(address, format!("unix://{}", shim.socket.display()));
        let mut stage = Stage { client: shim.connect(), shim, container };
        stage.client.service = "containerd.task.v2.Task";
        let request = stage.request();
        assert_eq!(stage.run(&request), 4);
        assert_eq!(stage.topics("/tasks/delete"), ["create", "start", "exit", "delete"]);
    }
    let stage = Stage::new(Container::lasting());
    let link = fs::read_link(stage.container.bundle.path().join("s")).unwrap();
    assert_eq!(Some(link.as_path()), stage.shim.socket.parent());
}

#[test]
fn what_a_dead_shim_left_is_in_nobodys_way() {
    let stage = Stage::new(Container::lasting());
    let dead = stage.shim.process.pid();
    stage.shim.process.signal(rustix::process::Signal::KILL).unwrap();
    assert!(stage.shim.process.wait(orlop_tests::command::patience()));
    assert!(stage.shim.socket.exists());
    let answer = call_start(&stage.container, &stage.shim.params).ok().stdout;
    assert!(answer.contains(&stage.shim.socket.display().to_string()));
    let who: Connected = Client::connect(&stage.shim.socket).call("Connect", &Which::default()).unwrap();
    let new = orlop_tests::ProcessHandle::open(who.shim_pid as i32).unwrap();
    assert_ne!(new.pid(), dead);
    Client::connect(&stage.shim.socket).call::<Empty>("Shutdown", &Which::default()).unwrap();
    new.reap();
}

#[test]
fn containers_of_a_group_live_and_die_by_themselves() {
    let pod = |mut container: Container| {
        container.set("/annotations", json!({ "io.containerd.runc.v2.group": "pod" }));
        container
    };
    let mut stage = Stage::new(pod(Container::lasting()));
    let another = pod(Container::sh("exit 6"));
    another.bundle.save();
    let root = Options { root: another.home().to_string_lossy().into_owned(), ..Options::default() };
    let request = Create {
        id: another.id.clone(),
        bundle: another.bundle.path().to_string_lossy().into_owned(),
        options: Some(any("containerd.runc.v1.Options", &root)),
        ..Create::default()
    };
    let other = Which { id: another.id.clone(), ..Which::default() };
    stage.create();
    stage.start();
    let mut client = stage.shim.connect();
    client.call::<Pid>("Create", &request).unwrap();
    client.call::<Pid>("Start", &other).unwrap();
    assert_eq!(client.call::<Ended>("Wait", &other).unwrap().exit_status, 6);
    assert_eq!(client.call::<Deleted>("Delete", &other).unwrap().exit_status, 6);
    // containerd asks after each; it ends with the last.
    client.call::<Empty>("Shutdown", &other).unwrap();
    drop(client);
    let first = stage.which();
    assert_eq!(stage.status(&first), 2, "running");
    stage.kill(9);
    stage.wait(&first);
    stage.delete(&first);
    stage.client.call::<Empty>("Shutdown", &first).unwrap();
    assert!(stage.shim.process.wait(orlop_tests::command::patience()));
}

#[test]
fn containers_of_a_group_share_a_shim() {
    let mut container = Container::lasting();
    container.set("/annotations", json!({ "io.kubernetes.cri.sandbox-id": "pod" }));
    let stage = Stage::new(container);
    let params = &stage.shim.params;
    let another = BootstrapParams { instance_id: "another".into(), ..params.clone() };
    let answer: Value = serde_json::from_str(&call_start(&stage.container, &another).ok().stdout).unwrap();
    assert_eq!(answer["address"], format!("unix://{}", stage.shim.socket.display()));
    let written = fs::read_to_string(stage.container.bundle.path().join("address")).unwrap();
    assert_eq!(answer["address"], written);
}

#[test]
fn delete_cleans_up_after_a_dead_shim() {
    let mut stage = Stage::new(Container::lasting());
    let pid = stage.create();
    stage.start();
    stage.shim.process.signal(rustix::process::Signal::KILL).unwrap();
    assert!(stage.shim.process.wait(orlop_tests::command::patience()));
    let (id, bundle) = (stage.container.id.clone(), stage.container.bundle.path().to_owned());
    let arguments = ["-namespace", "state", "-id", &id, "-bundle", &bundle.to_string_lossy(), "delete"];
    for _ in 0..2 {
        let deleted = Deleted::decode(&shim::bytes(&arguments, &[], &bundle)).unwrap();
        assert_eq!((deleted.pid, deleted.exit_status), (pid, 137));
    }
    assert!(!stage.shim.socket.exists());
}

#[test]
fn delete_finds_the_bundle_of_a_sibling() {
    let mut stage = Stage::new(Container::lasting());
    let pid = stage.create();
    stage.shim.process.signal(rustix::process::Signal::KILL).unwrap();
    assert!(stage.shim.process.wait(orlop_tests::command::patience()));
    let (id, pods) = (stage.container.id.clone(), stage.path("pods"));
    let here = pods.join("another");
    fs::create_dir_all(&here).unwrap();
    std::os::unix::fs::symlink(stage.container.bundle.path(), pods.join(&id)).unwrap();
    let deleted = shim::bytes(&["-namespace", "state", "-id", &id, "delete"], &[], &here);
    let deleted = Deleted::decode(&deleted).unwrap();
    assert_eq!((deleted.pid, deleted.exit_status), (pid, 137));
    let named = ["-namespace", "state", "-id", &id, "-bundle", &here.to_string_lossy(), "delete"];
    let deleted = Deleted::decode(&shim::bytes(&named, &[], &here)).unwrap();
    assert_eq!((deleted.pid, deleted.exit_status), (pid, 137));
}

#[test]
fn a_shim_has_the_cgroup_that_is_asked_for() {
    let stage = Stage::new(Container::lasting());
    let own = cgroup::unified_directory(std::process::id() as i32);
    need!(own.is_some(), "no cgroup2 file system is mounted here");
    let own = own.unwrap();
    let mount = cgroup::hierarchies().into_iter().find(|hierarchy| hierarchy.unified).unwrap().mount;
    let directory = mount.join(format!("{}-shim", stage.container.id));
    let path = format!("/{}", directory.file_name().unwrap().to_string_lossy());
    let options = |shim_cgroup: &str| Options { shim_cgroup: shim_cgroup.into(), ..Options::default() };
    let params = |shim_cgroup| BootstrapParams {
        instance_id: "limited".into(),
        extensions: vec![Extension { value: Some(any("containerd.runc.v1.Options", &options(shim_cgroup))) }],
        ..stage.shim.params.clone()
    };
    for wrong in [path.as_str(), "/../x"] {
        let refused = call_start(&stage.container, &params(wrong)).fails_with("ShimCgroup");
        assert!(refused.stdout.is_empty());
    }
    fs::create_dir(&directory).unwrap();
    let answer: Value =
        serde_json::from_str(&call_start(&stage.container, &params(&path)).ok().stdout).unwrap();
    let socket = answer["address"].as_str().unwrap().strip_prefix("unix://").unwrap().to_owned();
    let who: Connected = Client::connect(socket.as_ref()).call("Connect", &Which::default()).unwrap();
    let there = cgroup::unified_directory(who.shim_pid as i32).unwrap();
    let score = |pid: u32| -> i32 {
        fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim().parse().unwrap()
    };
    let scores = (score(who.shim_pid), score(std::process::id()));
    let server = orlop_tests::ProcessHandle::open(who.shim_pid as i32).unwrap();
    Client::connect(socket.as_ref()).call::<Empty>("Shutdown", &Which::default()).unwrap();
    server.reap();
    fs::remove_dir(&directory).unwrap();
    assert_eq!(there, directory, "and not {}", own.display());
    assert_eq!(scores.0, (scores.1 + 1).min(1000), "the kernel rather ends the shim than containerd");
}

#[test]
fn cores_are_its_own_or_it_does_not_start() {
    let container = Container::lasting();
    container.bundle.save();
    let home = container.home().to_string_lossy().into_owned();
    let params = BootstrapParams {
        instance_id: container.id.clone(),
        namespace: "state".into(),
        socket_dir: Some(format!("{home}/s")),
        ..BootstrapParams::default()
    };
    let out = shim::start_call(&container, &params).env("SCHED_CORE", "1").output();
    if out.code != 0 {
        out.fails_with("SCHED_CORE");
        assert_eq!(fs::read_dir(format!("{home}/s")).unwrap().count(), 0, "nor is there a socket");
        return;
    }
    let answer: Value = serde_json::from_str(&out.stdout).unwrap();
    let socket = answer["address"].as_str().unwrap().strip_prefix("unix://").unwrap().to_owned();
    let who: Connected = Client::connect(socket.as_ref()).call("Connect", &Which::default()).unwrap();
    let server = orlop_tests::ProcessHandle::open(who.shim_pid as i32).unwrap();
    Client::connect(socket.as_ref()).call::<Empty>("Shutdown", &Which::default()).unwrap();
    server.reap();
}

#[test]
fn it_says_what_it_is() {
    let options = any("containerd.runc.v1.Options", &Options { io_uid: 3, ..Options::default() });
    let info = RuntimeInfo::decode(&shim::bytes(&["-info"], &options.encode(), "/".as_ref())).unwrap();
    assert_eq!((info.name.as_str(), info.options), ("io.containerd.orlop.v2", Some(options)));
    assert_eq!(RuntimeInfo::decode(&shim::bytes(&["-info"], &[], "/".as_ref())).unwrap().options, None);
    let features = info.features.unwrap();
    assert_eq!(features.type_url, "types.containerd.io/opencontainers/runtime-spec/1/features/Features");
    let features: Value = serde_json::from_slice(&features.value).unwrap();
    assert!(features["ociVersionMax"].is_string());
    assert_eq!(features["linux"]["mountExtensions"]["idmap"]["enabled"], true, "containerd asks for this");
    let io = Container::lasting();
    let other = any("x.Options", &Options::default()).encode();
    Invocation::new(shim::binary(), &io.io()).arg("-info").input(&other).output().fails_with("x.Options");
    let version = String::from_utf8(shim::bytes(&["-v"], &[], "/".as_ref())).unwrap();
    assert!(version.starts_with("containerd-shim-orlop-v2 version"));
}
