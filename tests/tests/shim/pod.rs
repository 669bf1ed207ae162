//! The Sandbox service: pods, and containers in them as containerd's plug-in for Kubernetes makes them.

use std::collections::BTreeMap;
use std::fs;

use orlop_protobuf::Message;
use orlop_tests::command::patience;
use orlop_tests::shim::messages::{
    Create, CreateSandbox, Deleted, Dns, Empty, Ended, LinuxPod, Metrics, Options, Pid, PlatformIs,
    PodConfig, PodNamespaces, PodSecurity, Sandbox, SandboxState, Which,
};
use orlop_tests::shim::{Client, SANDBOX, Status};
use orlop_tests::{Container, Fifo, ProcessHandle, cgroup, need, shim};
use rustix::process::Signal;
use serde_json::json;

use crate::stage::{EXISTS, INVALID, NOT_FOUND, PRECONDITION, Stage, UNIMPLEMENTED, any};

/// Each container's own PID namespace, as Kubernetes has it unless it is told otherwise.
pub(crate) const SEPARATE: PodNamespaces = PodNamespaces { network: 0, pid: 1, ipc: 0, users: None };
pub(crate) const SHARED: PodNamespaces = PodNamespaces { network: 0, pid: 0, ipc: 0, users: None };

/// A shim that was started for a pod, and whoever has made its network.
pub(crate) struct Pod {
    pub(crate) stage: Stage,
    pub(crate) network: Container,
}

impl Pod {
    fn new() -> Self {
        Self::of(Stage::apart(Container::lasting()))
    }

    fn of(stage: Stage) -> Self {
        Self::in_network_of(stage, Container::lasting())
    }

    pub(crate) fn in_network_of(mut stage: Stage, network: Container) -> Self {
        network.up();
        stage.client.service = SANDBOX;
        Self { stage, network }
    }

    fn which(&self) -> Sandbox {
        Sandbox { sandbox_id: self.stage.container.id.clone(), ..Sandbox::default() }
    }

    pub(crate) fn create(&mut self, namespaces: PodNamespaces, linux: LinuxPod) -> Result<Empty, Status> {
        let request = self.request(namespaces, linux);
        self.stage.client.call("CreateSandbox", &request)
    }

    pub(crate) fn request(&self, namespaces: PodNamespaces, linux: LinuxPod) -> CreateSandbox {
        let security = Some(PodSecurity { namespaces: Some(namespaces) });
        let dns = Some(Dns { servers: vec!["10.0.0.1".into()], searches: vec!["example".into()] });
        let config = PodConfig { hostname: "mypod".into(), dns, linux: Some(LinuxPod { security, ..linux }) };
        CreateSandbox {
            sandbox_id: self.stage.container.id.clone(),
            bundle_path: self.stage.container.bundle.path().to_string_lossy().into_owned(),
            options: Some(any("runtime.v1.PodSandboxConfig", &config)),
            netns_path: format!("/proc/{}/ns/net", self.network.pid()),
        }
    }

    pub(crate) fn up(&mut self, namespaces: PodNamespaces, linux: LinuxPod) -> u32 {
        self.create(namespaces, linux).expect("it is created");
        let which = self.which();
        self.stage.client.call::<Pid>("StartSandbox", &which).expect("it is started").pid
    }

    fn state(&mut self) -> SandboxState {
        let which = self.which();
        self.stage.client.call("SandboxStatus", &which).expect("it has a state")
    }

    pub(crate) fn call<R: Message>(&mut self, method: &str) -> Result<R, Status> {
        let which = self.which();
        self.stage.client.call(method, &which)
    }

    /// A container of the pod, as containerd describes it: with the paths of a number's namespaces.
    pub(crate) fn member(&self, script: &str, pid: u32, kinds: &[&str]) -> Member {
        let mut container = Container::sh(script);
        let mut namespaces: Vec<_> = kinds
            .iter()
            .map(|kind| {
                let file = if *kind == "network" { "net" } else { kind };
                json!({ "type": kind, "path": format!("/proc/{pid}/ns/{file}") })
            })
            .collect();
        namespaces.push(json!({ "type": "mount" }));
        if !kinds.contains(&"pid") {
            namespaces.push(json!({ "type": "pid" }));
        }
        container.set("/linux/namespaces", namespaces);
        container.bundle.remove("/hostname");
        container.bundle.save();
        let stdout = Fifo::make(&container.home().join("out"));
        let client = self.stage.shim.connect();
        let which = Which { id: container.id.clone(), ..Which::default() };
        Member { container, stdout, client, which }
    }
}

/// A container of a pod.
pub(crate) struct Member {
    pub(crate) container: Container,
    pub(crate) stdout: Fifo,
    client: Client,
    which: Which,
}

impl Member {
    pub(crate) fn start(&mut self) -> u32 {
        let root =
            Options { root: self.container.home().to_string_lossy().into_owned(), ..Options::default() };
        let request = Create {
            id: self.container.id.clone(),
            bundle: self.container.bundle.path().to_string_lossy().into_owned(),
            stdout: self.stdout.path().to_string_lossy().into_owned(),
            options: Some(any("containerd.runc.v1.Options", &root)),
            ..Create::default()
        };
        self.client.call::<Pid>("Create", &request).expect("it is created");
        self.client.call::<Pid>("Start", &self.which).expect("it starts").pid
    }

    pub(crate) fn end(&mut self) -> u32 {
        let status = self.client.call::<Ended>("Wait", &self.which).expect("it ends").exit_status;
        self.client.call::<Deleted>("Delete", &self.which).expect("it is deleted");
        status
    }
}

pub(crate) fn namespace(pid: u32, kind: &str) -> String {
    fs::read_link(format!("/proc/{pid}/ns/{kind}"))
        .expect("there is such a task")
        .to_string_lossy()
        .into_owned()
}

/// A field of the kernel's description of a task.
fn field(pid: u32, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("there is such a task");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the field is there");
    line.trim_start_matches(':').trim().to_owned()
}

#[test]
fn a_pod_is_namespaces_without_a_process() {
    let mut pod = Pod::new();
    let pid = pod.up(SEPARATE, LinuxPod::default());
    let shim = pod.stage.shim.process.pid() as u32;
    assert_eq!(field(pid, "Tgid"), shim.to_string(), "a thread of the shim");
    assert_eq!(namespace(pid, "net"), namespace(pod.network.pid() as u32, "net"));
    for kind in ["ipc", "uts"] {
        assert_ne!(namespace(pid, kind), namespace(shim, kind));
    }
    assert_eq!(namespace(pid, "pid"), namespace(shim, "pid"));
    let state = pod.state();
    assert_eq!((state.pid, state.state.as_str()), (pid, "SANDBOX_READY"));
    pod.call::<Empty>("PingSandbox").unwrap();
    let platform: PlatformIs = pod.call("Platform").unwrap();
    assert_eq!(platform.platform.unwrap().os, "linux");

    let kinds = ["network", "ipc", "uts"];
    let script = "hostname; readlink /proc/self/ns/ipc; readlink /proc/self/ns/net; echo $$; \
                  cat /proc/sys/net/ipv4/ip_unprivileged_port_start";
    for _ in 0..2 {
        let mut member = pod.member(script, pid, &kinds);
        member.start();
        let lines: Vec<_> = (0..5).map(|_| member.stdout.line()).collect();
        assert_eq!(lines, ["mypod", &namespace(pid, "ipc"), &namespace(pid, "net"), "1", "0"]);
        assert_eq!(member.end(), 0);
    }
    // containerd asks for this after each container: the pod stays.
    pod.stage.shim.connect().call::<Empty>("Shutdown", &Which::default()).unwrap();
    pod.call::<Empty>("PingSandbox").unwrap();

    let mut last = pod.member("echo runs; sleep 1000", pid, &kinds);
    last.start();
    assert_eq!(last.stdout.line(), "runs");
    let mut waiting = pod.stage.shim.connect();
    waiting.service = SANDBOX;
    waiting.send("WaitSandbox", &pod.which());
    pod.call::<Empty>("StopSandbox").unwrap();
    assert_eq!(waiting.answer::<Ended>().unwrap().exit_status, 0);
    assert_eq!(pod.call::<Empty>("ShutdownSandbox").unwrap_err().code, PRECONDITION, "a container is left");
    assert_eq!(last.end(), 137, "it has ended with its pod");
    assert_eq!(pod.state().state, "SANDBOX_NOTREADY");
    pod.call::<Empty>("StopSandbox").expect("twice is once");
    pod.call::<Empty>("ShutdownSandbox").unwrap();
    assert_eq!(pod.stage.shim.process.reap(), Some(0));
    assert!(!pod.stage.shim.socket.exists());
}

#[test]
fn containers_may_have_time_to_end_with_their_pod() {
    let kinds = ["network", "ipc", "uts"];
    let polite = "trap 'exit 5' TERM; echo up; while :; do sleep 1000 & wait $!; done";
    for (namespaces, script, timeout, status) in [
        (SEPARATE, polite, 1000, 5),
        (SHARED, polite, 1000, 5),
        (SEPARATE, "trap '' TERM; echo up; while :; do sleep 1000; done", 1, 137),
        (SEPARATE, polite, 0, 137),
    ] {
        let mut pod = Pod::new();
        let pid = pod.up(namespaces, LinuxPod::default());
        let mut member = pod.member(script, pid, &kinds);
        member.start();
        assert_eq!(member.stdout.line(), "up");
        let stop = Sandbox { timeout, ..pod.which() };
        pod.stage.client.call::<Empty>("StopSandbox", &stop).expect("it is stopped");
        assert_eq!(pod.state().state, "SANDBOX_NOTREADY");
        assert_eq!(member.end(), status);
    }
}

#[test]
fn the_containers_of_a_pod_share_files() {
    let mut pod = Pod::new();
    let pid = pod.up(SEPARATE, LinuxPod::default());
    let kinds = ["network", "ipc", "uts"];
    let script = "cat /etc/hostname /etc/resolv.conf; echo shared >/dev/shm/word";
    let mut one = pod.member(script, pid, &kinds);
    one.start();
    let lines: Vec<_> = (0..3).map(|_| one.stdout.line()).collect();
    assert_eq!(lines, ["mypod", "search example", "nameserver 10.0.0.1"]);
    assert_eq!(one.end(), 0);
    let mut two = pod.member("cat /dev/shm/word; test -e /etc/hosts", pid, &kinds);
    two.start();
    assert_eq!(two.stdout.line(), "shared");
    assert_eq!(two.end(), 0);
    let shm = pod.stage.container.bundle.path().join("pod/shm");
    let shim = pod.stage.shim.process.pid();
    let mounted = || {
        let mounts = fs::read_to_string(format!("/proc/{shim}/mountinfo")).unwrap();
        mounts.contains(&shm.to_string_lossy().into_owned())
    };
    assert!(mounted());
    pod.call::<Empty>("StopSandbox").unwrap();
    assert!(!mounted());

    // Who describes no pod has containers as they are described.
    let mut pod = Pod::new();
    let bundle_path = pod.stage.container.bundle.path().to_string_lossy().into_owned();
    let sandbox_id = pod.stage.container.id.clone();
    let bare = CreateSandbox { sandbox_id, bundle_path, ..CreateSandbox::default() };
    pod.stage.client.call::<Empty>("CreateSandbox", &bare).unwrap();
    let pid = pod.call::<Pid>("StartSandbox").unwrap().pid;
    let mut alone = pod.member("ls -A /dev/shm; ls /etc/resolv.conf", pid, &["ipc", "uts"]);
    alone.start();
    assert_ne!(alone.end(), 0);
}

#[test]
fn containers_that_see_each_others_processes_have_a_first_process() {
    let mut pod = Pod::new();
    let asked = [("kernel.shm_rmid_forced", "1"), ("net.ipv4.ip_unprivileged_port_start", "99")];
    let sysctls = BTreeMap::from(asked.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let pid = pod.up(SHARED, LinuxPod { sysctls, ..LinuxPod::default() });
    assert_eq!(field(pid, "NSpid").split_whitespace().last(), Some("1"));
    assert_eq!(namespace(pid, "net"), namespace(pod.network.pid() as u32, "net"));
    // An orphan of the container's is the first process's, which has none that has ended.
    let script = "(sleep 1000 & echo $!); cd /proc/sys; cat kernel/shm_rmid_forced; hostname; echo $$; \
                  cat net/ipv4/ip_unprivileged_port_start net/ipv4/ping_group_range";
    let mut member = pod.member(script, pid, &["network", "ipc", "uts", "pid"]);
    member.start();
    let lines: Vec<_> = (0..6).map(|_| member.stdout.line()).collect();
    assert_eq!(&lines[1..3], ["1", "mypod"]);
    assert_ne!(lines[3], "1");
    assert_eq!(&lines[4..], ["99", "0\t2147483647"]);
    assert_eq!(member.end(), 0);
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    assert_eq!(children.trim(), "", "the container's last process was killed with it, and is not a zombie");

    let first = ProcessHandle::open(pid as i32).unwrap();
    pod.stage.client.send("WaitSandbox", &pod.which());
    first.signal(Signal::KILL).unwrap();
    assert_eq!(pod.stage.client.answer::<Ended>().unwrap().exit_status, 137);
    assert_eq!(pod.state().state, "SANDBOX_NOTREADY");
    pod.call::<Empty>("ShutdownSandbox").unwrap();
    assert_eq!(pod.stage.shim.process.reap(), Some(0));
    pod.stage.container.assert_no_leaks();
}

#[test]
fn a_first_process_ends_with_its_pod_or_after_a_dead_shim() {
    let mut pod = Pod::new();
    let pid = pod.up(SHARED, LinuxPod::default());
    let first = ProcessHandle::open(pid as i32).unwrap();
    pod.call::<Empty>("ShutdownSandbox").expect("it is stopped before");
    assert_eq!(pod.stage.shim.process.reap(), Some(0));
    assert!(first.ended());
    drop(pod);

    // Its mounts are the host's, as with containerd.
    let mut pod = Pod::of(Stage::new(Container::lasting()));
    let pid = pod.up(SHARED, LinuxPod::default());
    let first = ProcessHandle::open(pid as i32).unwrap();
    pod.stage.shim.process.signal(Signal::KILL).unwrap();
    assert!(pod.stage.shim.process.wait(patience()));
    assert!(!first.ended());
    let shm = pod.stage.container.bundle.path().join("pod/shm");
    let (id, bundle) = (pod.stage.container.id.clone(), pod.stage.container.bundle.path().to_owned());
    let arguments = ["-namespace", "state", "-id", &id, "-bundle", &bundle.to_string_lossy(), "delete"];
    let deleted = Deleted::decode(&shim::bytes(&arguments, &[], &bundle)).unwrap();
    assert_eq!((deleted.pid, deleted.exit_status), (pid, 137));
    assert!(first.wait(patience()));
    assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains(&*shm.to_string_lossy()));
}

#[test]
fn a_pod_that_nobody_knows_any_more_ends() {
    let mut pod = Pod::new();
    pod.up(SEPARATE, LinuxPod::default());
    // A new containerd that knows nothing of it takes the bundle away.
    let bundle = pod.stage.container.bundle.path().to_owned();
    let (id, path) = (pod.stage.container.id.clone(), bundle.to_string_lossy().into_owned());
    shim::bytes(&["-namespace", "state", "-id", &id, "-bundle", &path, "delete"], &[], &bundle);
    fs::rename(&bundle, bundle.with_file_name("gone")).unwrap();
    pod.stage.client.close();
    assert_eq!(pod.stage.shim.process.reap(), Some(0));
    fs::rename(bundle.with_file_name("gone"), &bundle).unwrap();
}

#[test]
fn a_pod_with_a_cgroup_knows_what_it_has_used() {
    need!(cgroup::unified_directory(1).is_some(), "no cgroup2 file system is mounted here");
    let mut pod = Pod::new();
    let parent = format!("{}-pod", pod.stage.container.id);
    let _parent = Parent(parent.clone());
    let linux = LinuxPod { cgroup_parent: format!("/{parent}"), ..LinuxPod::default() };
    let pid = pod.up(SHARED, linux);
    let directory = cgroup::unified_directory(pid as i32).unwrap();
    assert!(directory.ends_with(format!("{parent}/{}", pod.stage.container.id)), "{}", directory.display());
    let metrics: Metrics = pod.call("SandboxMetrics").unwrap();
    let metric = metrics.metrics.unwrap();
    assert_eq!(metric.id, pod.stage.container.id);
    assert!(metric.data.unwrap().type_url.starts_with("io.containerd.cgroups.v"));
    pod.call::<Empty>("StopSandbox").unwrap();
}

/// The cgroup of a pod, which is whoever's who named it: us.
struct Parent(String);

impl Drop for Parent {
    fn drop(&mut self) {
        for directory in cgroup::named(&self.0) {
            fs::remove_dir(directory).ok();
        }
    }
}

#[test]
fn pods_that_make_no_sense_are_refused() {
    let mut pod = Pod::new();
    assert_eq!(pod.call::<Empty>("PingSandbox").unwrap_err().code, NOT_FOUND);
    assert_eq!(pod.call::<Empty>("StartSandbox").unwrap_err().code, NOT_FOUND);
    assert_eq!(pod.call::<Empty>("UpdateSandbox").unwrap_err().code, UNIMPLEMENTED);
    let host = PodNamespaces { network: 2, ..SEPARATE };
    assert_eq!(pod.create(host, LinuxPod::default()).unwrap_err().code, INVALID, "two networks");
    // What containerd does with a shim whose pod was refused.
    pod.call::<Empty>("ShutdownSandbox").unwrap();
    assert_eq!(pod.stage.shim.process.reap(), Some(0));

    let mut pod = Pod::new();
    let sysctls = BTreeMap::from([("kernel.panic".to_owned(), "1".to_owned())]);
    pod.create(SEPARATE, LinuxPod { sysctls, ..LinuxPod::default() }).unwrap();
    assert_eq!(pod.create(SEPARATE, LinuxPod::default()).unwrap_err().code, EXISTS);
    let refused = pod.call::<Pid>("StartSandbox").unwrap_err();
    assert_eq!(refused.code, INVALID);
    assert!(refused.message.contains("kernel.panic"), "{refused:?}");
    assert_eq!(pod.call::<Metrics>("SandboxMetrics").unwrap_err().code, NOT_FOUND);
    pod.call::<Empty>("ShutdownSandbox").expect("what was never started can be ended");
    assert_eq!(pod.stage.shim.process.reap(), Some(0));
}
