//! Pods of Kubernetes: containerd's plugin for it with the runtime's shim, and the kubelet's part played by the test.
//!
//! With the engines of `hack/engines`, in `make e2e`.
use std::fs;

use orlop_tests::engine::Suite;
use orlop_tests::engine::cri::{IMAGE, Node};
use orlop_tests::{need, need_engine, on_each_suite, on_suite, runtime};
use rustix::process::Signal;
use serde_json::{Value, json};

on_each_suite!(pod, shared_processes, restart);
on_suite!(sid_with_pause, Sid, mapped_pod);
on_suite!(
    sid_without_pause,
    Sid,
    own_pod,
    own_mapped_pod,
    own_shared_processes,
    own_restart,
    own_shim_killed
);

/// Starts a node, or ends the test with SKIP.
macro_rules! node {
    ($suite:expr) => {
        node!($suite, new)
    };
    ($suite:expr, $kind:ident) => {{
        need_engine!($suite, "containerd", "ctr");
        need!(runtime::is_orlop(), "the shim is orlop's");
        Node::$kind($suite)
    }};
}

/// A pod's config.
fn pod_config(node: &Node, pid: i32) -> Value {
    let logs = node.0.room.home().join("logs");
    fs::create_dir_all(&logs).expect("a directory");
    json!({
        "metadata": {"name": "pod", "uid": node.0.room.id, "namespace": "default"}, "hostname": "pod",
        "log_directory": logs,
        "linux": {
            "cgroup_parent": format!("/{}", node.0.room.id),
            "security_context": {"namespace_options": {"pid": pid}},
        },
    })
}

/// Makes and starts a container in a pod; its id.
fn start(node: &Node, pod: &str, config: &Value, name: &str, script: &str) -> String {
    let pid = &config["linux"]["security_context"]["namespace_options"];
    let request = json!({
        "pod_sandbox_id": pod, "sandbox_config": config,
        "config": {
            "metadata": {"name": name}, "image": {"image": IMAGE}, "command": ["/bin/sh", "-c", script],
            "log_path": format!("{name}.log"),
            "linux": {
                "resources": {"memory": 64 << 20, "cpu_shares": 100},
                "security_context": {"namespace_options": pid},
            },
        },
    });
    let id = node.text("CreateContainer", &request, "container_id");
    node.call("StartContainer", &json!({"container_id": id}));
    id
}

fn exec(node: &Node, id: &str, script: &str) -> (i64, String) {
    let request = json!({"container_id": id, "cmd": ["sh", "-c", script], "timeout": 20});
    let out = node.call("ExecSync", &request);
    (out["exit_code"].as_i64().expect("a number"), out["stdout"].as_str().expect("a text").to_owned())
}

fn remove(node: &Node, pod: &str) {
    node.call("StopPodSandbox", &json!({"pod_sandbox_id": pod}));
    node.call("RemovePodSandbox", &json!({"pod_sandbox_id": pod}));
    assert_eq!(node.0.shim_sockets(), Vec::<String>::new(), "no shim is left");
    node.0.room.assert_nothing_left_of(pod);
}

const LASTING: &str = "echo started; trap 'echo bye; exit 3' TERM; while :; do sleep 1000 & wait $!; done";

/// Two containers of one pod have one shim, one network and one end each.
fn pod(suite: Suite) {
    pod_on(&node!(suite));
}

fn pod_on(node: &Node) {
    let config = pod_config(node, 1);
    let pod =
        node.text("RunPodSandbox", &json!({"config": config, "runtime_handler": "orlop"}), "pod_sandbox_id");
    let status = node.call("PodSandboxStatus", &json!({"pod_sandbox_id": pod}));
    assert_eq!(status["status"]["state"], 0, "ready");
    assert!(status["status"]["network"]["ip"].as_str().expect("a text").starts_with("10.99.0."), "{status}");
    let serve = "while :; do echo from $(hostname) | nc -l -p 80; done";
    let one = start(node, &pod, &config, "one", serve);
    let two = start(node, &pod, &config, "two", LASTING);
    assert_eq!(node.0.shim_sockets().len(), 1, "one shim");
    let ask = "until nc 127.0.0.1 80 </dev/null; do sleep 0.1; done; exit 7";
    assert_eq!(exec(node, &two, ask), (7, "from pod\n".to_owned()));
    assert_eq!(exec(node, &two, "ps | grep '[n]c -l'").0, 1, "processes are not shared");
    node.call("UpdateContainerResources", &json!({"container_id": two, "linux": {"memory": 96 << 20}}));
    let late =
        node.try_call("ExecSync", &json!({"container_id": two, "cmd": ["sleep", "100"], "timeout": 1}));
    late.fails_with("DEADLINE_EXCEEDED");

    node.call("StopContainer", &json!({"container_id": two, "timeout": 20}));
    let status = node.call("ContainerStatus", &json!({"container_id": two}));
    assert_eq!((&status["status"]["state"], &status["status"]["exit_code"]), (&json!(2), &json!(3)));
    let log = fs::read_to_string(node.0.room.home().join("logs/two.log")).expect("a log");
    assert!(log.contains("stdout F started") && log.contains("stdout F bye"), "{log}");
    assert_eq!(exec(node, &one, "exit 5").0, 5, "the other goes on");
    node.call("RemoveContainer", &json!({"container_id": two}));
    remove(node, &pod);
}

/// A pod whose containers see each other's processes; its first one is that of the pod.
fn shared_processes(suite: Suite) {
    shared_processes_on(&node!(suite));
}

fn shared_processes_on(node: &Node) {
    let config = pod_config(node, 0);
    let pod = node.text("RunPodSandbox", &json!({"config": config}), "pod_sandbox_id");
    let one = start(node, &pod, &config, "one", "exec sleep 4321");
    let two = start(node, &pod, &config, "two", LASTING);
    assert_eq!(exec(node, &two, "kill -9 $(ps | grep '[s]leep 4321' | awk '{print $1}')").0, 0);
    node.call("StopContainer", &json!({"container_id": one, "timeout": 20}));
    let status = node.call("ContainerStatus", &json!({"container_id": one}));
    assert_eq!(status["status"]["exit_code"], 137);
    remove(node, &pod);
}

/// A pod outlives containerd.
fn restart(suite: Suite) {
    restart_on(node!(suite));
}

fn restart_on(mut node: Node) {
    let config = pod_config(&node, 1);
    let pod = node.text("RunPodSandbox", &json!({"config": config}), "pod_sandbox_id");
    let one = start(&node, &pod, &config, "one", LASTING);
    let two = start(&node, &pod, &config, "two", LASTING);
    node.0.crash(Signal::KILL);
    node.0.boot();
    assert_eq!(exec(&node, &one, "exit 5").0, 5);
    node.call("StopContainer", &json!({"container_id": two, "timeout": 20}));
    let status = node.call("ContainerStatus", &json!({"container_id": two}));
    assert_eq!((&status["status"]["state"], &status["status"]["exit_code"]), (&json!(2), &json!(3)));
    remove(&node, &pod);
}

/// A pod whose root is nobody on the host, as `hostUsers: false` asks for it.
fn mapped_pod(suite: Suite) {
    mapped_pod_on(&node!(suite));
}

fn mapped_pod_on(node: &Node) {
    const FIRST: u32 = 300_000;
    // Processes are each container's, or shared. (With the node's network containerd 2.1 ends itself.)
    for pid in [1, 0] {
        let mut config = pod_config(node, pid);
        let map = json!([{"host_id": FIRST, "container_id": 0, "length": 65536}]);
        config["linux"]["security_context"]["namespace_options"]["userns_options"] =
            json!({"mode": 0, "uids": map, "gids": map});
        let pod = node.text("RunPodSandbox", &json!({"config": config}), "pod_sandbox_id");
        let one = start(node, &pod, &config, "one", LASTING);
        let two = start(node, &pod, &config, "two", "while :; do echo from two | nc -l -p 80; done");
        // Its files are its root's, be they of the image, of the pod, or new; and it is root over its network.
        let script = "stat -c '%u:%g %n' /bin /bin/busybox /etc/hostname /etc/resolv.conf; \
                      echo >/new && stat -c '%u:%g %n' /new; echo shared >/dev/shm/word; \
                      readlink /proc/self/ns/user; awk '{print $1, $2, $3}' /proc/self/uid_map";
        let (code, said) = exec(node, &one, script);
        let lines: Vec<&str> = said.lines().collect();
        assert!(code == 0 && lines[..5].iter().all(|line| line.starts_with("0:0 ")), "{said}");
        assert_eq!(lines.last(), Some(&format!("0 {FIRST} 65536").as_str()), "{said}");
        let ask = "cat /dev/shm/word; until nc 127.0.0.1 80 </dev/null; do sleep 0.1; done; readlink /proc/self/ns/user";
        let (code, other) = exec(node, &two, ask);
        assert!(code == 0 && other.starts_with("shared\nfrom two\nuser:"), "{other}");
        assert!(said.contains(other.lines().last().expect("a line")), "one user namespace: {said}{other}");
        let request = json!({"container_id": one, "timeout": 20});
        node.call("StopContainer", &request);
        let status = node.call("ContainerStatus", &json!({"container_id": one}));
        assert_eq!(status["status"]["exit_code"], 3);
        remove(node, &pod);
    }
}

/// The same without a pause container: the first process of the pod holds its namespaces.
fn own_mapped_pod(suite: Suite) {
    mapped_pod_on(&node!(suite, without_pause));
}

/// The same without a pause container: a thread of the shim holds the pod's namespaces.
fn own_pod(suite: Suite) {
    let node = node!(suite, without_pause);
    let pod = node.text("RunPodSandbox", &json!({"config": pod_config(&node, 1)}), "pod_sandbox_id");
    let list = ["--namespace", "k8s.io", "tasks", "list", "--quiet"];
    let tasks = node.0.room.command("ctr").arg("--address").arg(node.0.socket()).args(list).ok();
    assert_eq!(tasks.stdout, "", "the pod is no container");
    let config = pod_config(&node, 1);
    let one = start(&node, &pod, &config, "one", LASTING);
    let two = start(&node, &pod, &config, "two", LASTING);
    assert_eq!(exec(&node, &one, "cat /etc/hostname; echo shared >/dev/shm/word"), (0, "pod\n".to_owned()));
    assert_eq!(exec(&node, &two, "cat /dev/shm/word; test -e /etc/resolv.conf"), (0, "shared\n".to_owned()));
    remove(&node, &pod);
    pod_on(&node);
}

/// Here somebody has to be the first process.
fn own_shared_processes(suite: Suite) {
    shared_processes_on(&node!(suite, without_pause));
}

fn own_restart(suite: Suite) {
    restart_on(node!(suite, without_pause));
}

/// containerd hears of it, and everything can be taken away.
fn own_shim_killed(suite: Suite) {
    let node = node!(suite, without_pause);
    for pid in [1, 0] {
        let config = pod_config(&node, pid);
        let pod = node.text("RunPodSandbox", &json!({"config": config}), "pod_sandbox_id");
        start(&node, &pod, &config, "one", LASTING);
        node.0.room.command("sh").args(["-c", "kill -9 $(pidof containerd-shim-orlop-v2)"]).ok();
        // containerd takes its time to see that the containers have ended too; the kubelet asks again as well.
        let request = json!({"pod_sandbox_id": pod});
        let mut methods = ["StopPodSandbox", "RemovePodSandbox"].into_iter().cycle().take(40);
        assert!(
            methods.any(|method| node.try_call(method, &request).code == 0 && method == "RemovePodSandbox")
        );
        assert_eq!(node.0.shim_sockets(), Vec::<String>::new(), "no shim is left");
        node.0.room.assert_nothing_left_of(&pod);
    }
}
