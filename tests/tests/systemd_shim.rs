//! The shim with `SystemdCgroup`: a node whose kubelet has systemd make the cgroups.
use orlop_protobuf::Message as _;
use orlop_tests::shim::messages::{
    Any, Create, Deleted, Empty, Ended, Exec, Kill, Options, Pid, Pids, Stats, Update, Which,
};
use orlop_tests::shim::{self, Client, Shim};
use orlop_tests::systemd::show;
use orlop_tests::{Container, ProcessHandle, cgroup, command, need_systemd};
use rustix::process::Signal;
use serde_json::json;

/// A container with its shim, and the unit that it is to have. Dropped in this order.
struct Stage {
    client: Client,
    shim: Shim,
    container: Container,
    unit: String,
}

impl Stage {
    /// Created as containerd's plug-in for Kubernetes does it.
    fn created() -> Self {
        let mut container = Container::lasting();
        container.global("--systemd-cgroup");
        container.set("/linux/resources", json!({ "pids": { "limit": 33 } }));
        container.set("/linux/cgroupsPath", format!("system.slice:cri:{}", container.id));
        let root = container.home().to_string_lossy().into_owned();
        let options = Options { root, systemd_cgroup: true, ..Options::default() };
        let type_url = "containerd.runc.v1.Options".into();
        let options = Any { type_url, value: options.encode() };
        let shim = Shim::start_as(&container, |params| {
            params.extensions[0].value = Some(options.clone());
        });
        let create = Create {
            id: container.id.clone(),
            bundle: container.bundle.path().to_string_lossy().into_owned(),
            options: Some(options),
            ..Create::default()
        };
        let mut client = shim.connect();
        client.call::<Pid>("Create", &create).expect("it is created");
        let unit = format!("cri-{}.scope", container.id);
        Self { client, shim, container, unit }
    }

    fn which(&self) -> Which {
        Which { id: self.container.id.clone(), ..Which::default() }
    }

    fn call<R: orlop_protobuf::Message>(&mut self, method: &str) -> R {
        let which = self.which();
        self.client.call(method, &which).unwrap_or_else(|refused| panic!("{method}: {refused:?}"))
    }
}

#[test]
fn a_container_of_the_shim_lives_and_dies_in_a_scope() {
    need_systemd!();
    let mut stage = Stage::created();
    let pid = stage.call::<Pid>("Start").pid;
    let place = cgroup::unified_directory(pid as i32).expect("version 2 is mounted");
    assert!(place.ends_with(format!("system.slice/{}", stage.unit)), "{}", place.display());
    assert_eq!(show(&stage.unit, "TasksMax"), "33");
    let spec = json!({ "args": ["sleep", "1000"], "cwd": "/", "user": { "uid": 0, "gid": 0 }, "env": ["PATH=/bin"] });
    let spec = Some(Any { type_url: "Process".into(), value: spec.to_string().into_bytes() });
    let exec = Exec { exec_id: "x".into(), spec, ..Exec::default() };
    let exec = Exec { id: stage.container.id.clone(), ..exec };
    stage.client.call::<Empty>("Exec", &exec).expect("it is added");
    let added = Which { exec_id: "x".into(), ..stage.which() };
    let added = stage.client.call::<Pid>("Start", &added).expect("it starts").pid;
    assert_eq!(cgroup::unified_directory(added as i32), Some(place));
    assert!(stage.call::<Pids>("Pids").processes.iter().any(|process| process.pid == added));
    assert!(stage.call::<Stats>("Stats").stats.is_some());

    let value = json!({ "pids": { "limit": 44 } }).to_string().into_bytes();
    let resources = Some(Any { type_url: "LinuxResources".into(), value });
    let update = Update { id: stage.container.id.clone(), resources };
    stage.client.call::<Empty>("Update", &update).expect("it is updated");
    assert_eq!(show(&stage.unit, "TasksMax"), "44");
    stage.call::<Empty>("Pause");
    stage.call::<Empty>("Resume");

    let kill = Kill { id: stage.container.id.clone(), signal: 9, all: true, ..Kill::default() };
    stage.client.call::<Empty>("Kill", &kill).expect("it is killed");
    assert_eq!(stage.call::<Ended>("Wait").exit_status, 137);
    assert_eq!(stage.call::<Deleted>("Delete").exit_status, 137);
    assert_eq!(show(&stage.unit, "LoadState"), "not-found");
}

#[test]
fn what_a_dead_shim_left_in_a_scope_is_taken_away() {
    need_systemd!();
    let mut stage = Stage::created();
    let pid = stage.call::<Pid>("Start").pid;
    let init = ProcessHandle::open(pid as i32).expect("it runs");
    assert_eq!(show(&stage.unit, "ActiveState"), "active");
    stage.shim.process.signal(Signal::KILL).expect("it runs");
    assert!(stage.shim.process.wait(command::patience()));
    let bundle = stage.container.bundle.path();
    let named = bundle.to_string_lossy();
    let arguments = ["-namespace", "state", "-id", &stage.container.id, "-bundle", &named, "delete"];
    let deleted = Deleted::decode(&shim::bytes(&arguments, &[], bundle)).expect("an answer");
    assert_eq!((deleted.pid, deleted.exit_status), (pid, 137));
    assert!(init.wait(command::patience()));
    assert_eq!(show(&stage.unit, "LoadState"), "not-found");
}
