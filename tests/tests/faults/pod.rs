//! Faults at the system calls of the shim while it answers calls of its Sandbox service.
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use orlop_protobuf::Message as _;
use orlop_tests::campaign::{Extent, ShimCampaign};
use orlop_tests::shim::messages::{
    Any, CreateSandbox, Dns, Empty, LinuxPod, PodConfig, PodNamespaces, PodSecurity, Sandbox,
};
use orlop_tests::shim::{Client, SANDBOX};
use orlop_tests::{Container, need, runtime};

/// The first process is that of all containers of the pod; without one, a thread of the shim has its namespaces.
const WITH_PROCESS: PodNamespaces = PodNamespaces { network: 0, pid: 0, ipc: 0, users: None };
const WITH_THREAD: PodNamespaces = PodNamespaces { pid: 1, ..WITH_PROCESS };

/// The shim while it answers these calls, about a pod that it has brought so far before.
fn pod(name: &str, namespaces: &PodNamespaces, before: &[&str], calls: &[&str]) {
    need!(runtime::is_orlop(), "the shim is ours");
    // The mounts of a pod are the host's. Others who make mount namespaces meanwhile would have copies of them, so this thread,
    // and who is started by it, has a host of its own.
    thread::scope(|scope| {
        let alone = || {
            unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).expect("root may");
            let slave = MsFlags::MS_REC | MsFlags::MS_SLAVE;
            mount(None::<&str>, "/", None::<&str>, slave, None::<&str>).expect("root may");
            strike(name, namespaces, before, calls);
        };
        scope.spawn(alone).join().expect("no bad end");
    });
}

fn strike(name: &str, namespaces: &PodNamespaces, before: &[&str], calls: &[&str]) {
    let (container, network) = (Container::lasting(), Container::lasting());
    network.up();
    let request = request(&container, &network, namespaces);
    let set_up = |client: &mut Client| {
        client.service = SANDBOX;
        for method in before {
            assert!(call(client, method, &request), "{method}");
        }
    };
    let calls = |client: &mut Client| calls.iter().all(|method| call(client, method, &request));
    let campaign = ShimCampaign { name, container: &container, set_up: &set_up, calls: &calls, pod: true };
    campaign.run(Extent::of_slow(12));
}

fn request(container: &Container, network: &Container, namespaces: &PodNamespaces) -> CreateSandbox {
    let security = Some(PodSecurity { namespaces: Some(namespaces.clone()) });
    let linux = Some(LinuxPod { security, ..LinuxPod::default() });
    let dns = Some(Dns { servers: vec!["10.0.0.1".into()], searches: vec!["example".into()] });
    let config = PodConfig { hostname: "mypod".into(), dns, linux };
    CreateSandbox {
        sandbox_id: container.id.clone(),
        bundle_path: container.bundle.path().to_string_lossy().into_owned(),
        options: Some(Any { type_url: "runtime.v1.PodSandboxConfig".into(), value: config.encode() }),
        netns_path: format!("/proc/{}/ns/net", network.pid()),
    }
}

/// One call about the pod; whether it succeeds.
fn call(client: &mut Client, method: &str, request: &CreateSandbox) -> bool {
    let pod = Sandbox { sandbox_id: request.sandbox_id.clone(), ..Sandbox::default() };
    let answer = match method {
        "CreateSandbox" => client.try_call::<Empty>(method, request),
        _ => client.try_call(method, &pod),
    };
    answer.is_some_and(|answer| answer.is_ok())
}

#[test]
fn pod_start() {
    pod("pod start", &WITH_PROCESS, &[], &["CreateSandbox", "StartSandbox"]);
}

#[test]
fn pod_stop() {
    let calls = ["PingSandbox", "SandboxStatus", "Platform", "StopSandbox", "WaitSandbox", "ShutdownSandbox"];
    pod("pod stop", &WITH_PROCESS, &["CreateSandbox", "StartSandbox"], &calls);
}

/// A pod without a process, from its beginning to its end.
#[test]
fn pod_of_a_thread() {
    let calls = ["CreateSandbox", "StartSandbox", "SandboxStatus", "StopSandbox", "ShutdownSandbox"];
    pod("pod of a thread", &WITH_THREAD, &[], &calls);
}
