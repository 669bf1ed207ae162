//! The messages of containerd that tests need, and of the protocol that carries them.

use std::collections::BTreeMap;

use orlop_protobuf::messages;

messages! {
    /// A message, and which one.
    Any { 1 type_url: String, 2 value: Vec<u8> }
    /// A call.
    Request { 1 service: String, 2 method: String, 3 payload: Vec<u8>, 4 timeout_nano: i64 }
    /// Its answer.
    Response { 1 status: Option<Status>, 2 payload: Vec<u8> }
    /// Why it failed.
    Status { 1 code: i32, 2 message: String }
    /// What a shim is told at its start.
    BootstrapParams {
        1 instance_id: String, 2 namespace: String, 3 log_level: i32, 5 containerd_ttrpc_address: String, 6 containerd_grpc_address: String,
        8 extensions: Vec<Extension>, 9 socket_dir: Option<String>,
    }
    /// Options, for instance.
    Extension { 1 value: Option<Any> }
    /// Options.
    Options {
        1 no_pivot_root: bool, 2 no_new_keyring: bool, 3 shim_cgroup: String, 4 io_uid: u32, 5 io_gid: u32,
        6 binary_name: String, 7 root: String, 9 systemd_cgroup: bool, 10 criu_image_path: String, 11 criu_work_path: String,
    }
    /// Options of a runtime that containerd does not know.
    Generic { 1 type_url: String, 2 config_path: String, 3 config_body: Vec<u8> }
    /// What a shim is.
    RuntimeInfo { 1 name: String, 3 options: Option<Any>, 4 features: Option<Any> }
    /// Make a container.
    Create {
        1 id: String, 2 bundle: String, 3 rootfs: Vec<Mount>, 4 terminal: bool, 5 stdin: String, 6 stdout: String, 7 stderr: String,
        8 checkpoint: String, 10 options: Option<Any>,
    }
    /// A file system for its root.
    Mount { 1 kind: String, 2 source: String, 3 target: String, 4 options: Vec<String> }
    /// Write a container to disk.
    Checkpoint { 1 id: String, 2 path: String, 3 options: Option<Any> }
    /// How.
    CheckpointOptions {
        1 exit: bool, 6 empty_namespaces: Vec<String>, 7 cgroups_mode: String, 8 image_path: String, 9 work_path: String,
    }
    /// Add a process.
    Exec {
        1 id: String, 2 exec_id: String, 3 terminal: bool, 4 stdin: String, 5 stdout: String, 6 stderr: String, 7 spec: Option<Any>,
    }
    /// Which process: Start, Delete, State, Wait, Pids, Pause, Resume, Stats, Connect, Shutdown.
    Which { 1 id: String, 2 exec_id: String }
    /// Send a signal.
    Kill { 1 id: String, 2 exec_id: String, 3 signal: u32, 4 all: bool }
    /// Close standard input.
    CloseIo { 1 id: String, 2 exec_id: String, 3 stdin: bool }
    /// Tell the size of a terminal.
    Resize { 1 id: String, 2 exec_id: String, 3 width: u32, 4 height: u32 }
    /// Change the limits.
    Update { 1 id: String, 2 resources: Option<Any> }
    /// The answer of Create and Start.
    Pid { 1 pid: u32 }
    /// The answer of Wait.
    Ended { 1 exit_status: u32, 2 exited_at: Option<Timestamp> }
    /// A moment, since 1970.
    Timestamp { 1 seconds: i64, 2 nanos: i32 }
    /// The answer of Delete.
    Deleted { 1 pid: u32, 2 exit_status: u32, 3 exited_at: Option<Timestamp> }
    /// The answer of State.
    State { 1 id: String, 3 pid: u32, 4 status: i32, 9 exit_status: u32, 10 exited_at: Option<Timestamp>, 11 exec_id: String }
    /// The answer of Pids.
    Pids { 1 processes: Vec<ProcessInfo> }
    /// A process, and if it was added, its name.
    ProcessInfo { 1 pid: u32, 2 info: Option<Any> }
    /// That name.
    ProcessDetails { 1 exec_id: String }
    /// The answer of Connect.
    Connected { 1 shim_pid: u32, 2 task_pid: u32 }
    /// The answer of Stats.
    Stats { 1 stats: Option<Any> }
    /// No answer.
    Empty {}
    /// What carries an event.
    Forward { 1 envelope: Option<Envelope> }
    /// An event on its way.
    Envelope { 2 namespace: String, 3 topic: String, 4 event: Option<Any> }
    /// It was written to disk.
    Checkpointed { 1 container_id: String, 2 checkpoint: String }
    /// The end of a process.
    Exit { 1 container_id: String, 2 id: String, 3 pid: u32, 4 exit_status: u32 }

    /// Make a pod.
    CreateSandbox {
        1 sandbox_id: String, 2 bundle_path: String, 4 options: Option<Any>, 5 netns_path: String,
    }
    /// Which pod, and in StopSandbox how long to wait: StartSandbox, Platform, StopSandbox, WaitSandbox, SandboxStatus,
    /// PingSandbox, ShutdownSandbox, SandboxMetrics.
    Sandbox { 1 sandbox_id: String, 2 timeout: u32 }
    /// The answer of SandboxStatus.
    SandboxState { 1 sandbox_id: String, 2 pid: u32, 3 state: String, 4 info: BTreeMap<String, String> }
    /// The answer of Platform.
    PlatformIs { 1 platform: Option<Platform> }
    /// A platform.
    Platform { 1 os: String, 2 architecture: String }
    /// The answer of SandboxMetrics.
    Metrics { 1 metrics: Option<Metric> }
    /// A usage.
    Metric { 2 id: String, 3 data: Option<Any> }
    /// A pod in Kubernetes' words.
    PodConfig { 2 hostname: String, 4 dns: Option<Dns>, 8 linux: Option<LinuxPod> }
    /// Who knows names.
    Dns { 1 servers: Vec<String>, 2 searches: Vec<String> }
    /// Its part for Linux.
    LinuxPod { 1 cgroup_parent: String, 2 security: Option<PodSecurity>, 3 sysctls: BTreeMap<String, String> }
    /// What it shares.
    PodSecurity { 1 namespaces: Option<PodNamespaces> }
    /// Which namespaces are the pod's (0), the container's (1), the node's (2).
    PodNamespaces { 1 network: i32, 2 pid: i32, 3 ipc: i32, 5 users: Option<PodUsers> }
    /// Whose its user namespace is, and which ids it has.
    PodUsers { 1 mode: i32, 2 uids: Vec<PodIds>, 3 gids: Vec<PodIds> }
    /// Some of them.
    PodIds { 1 host_id: u32, 2 container_id: u32, 3 length: u32 }
}
