//! The Sandbox service (`containerd.runtime.sandbox.v1`), and what Kubernetes says of a pod (`runtime.v1`).

use std::collections::BTreeMap;

use super::{Any, Mount, Timestamp};
use orlop_protobuf::messages;

messages! {
    /// Make a sandbox, which is not started yet.
    CreateSandboxRequest {
        1 sandbox_id: String, 2 bundle_path: String, 3 rootfs: Vec<Mount>, 4 options: Option<Any>, 5 netns_path: String,
        6 annotations: BTreeMap<String, String>,
    }
    /// Which one: StartSandbox, Platform, WaitSandbox, PingSandbox, ShutdownSandbox, SandboxMetrics.
    SandboxRequest { 1 sandbox_id: String }
    /// End it; how many seconds its containers may take to end by themselves.
    StopSandboxRequest { 1 sandbox_id: String, 2 timeout_secs: u32 }
    /// Whose namespaces are the pod's.
    StartSandboxResponse { 1 pid: u32, 2 created_at: Option<Timestamp>, 3 spec: Option<Any> }
    /// For what containers are to be made.
    PlatformResponse { 1 platform: Option<Platform> }
    /// `linux`, and what Go calls the processor.
    Platform { 1 os: String, 2 architecture: String, 3 variant: String, 4 os_version: String }
    /// How it ended.
    WaitSandboxResponse { 1 exit_status: u32, 2 exited_at: Option<Timestamp> }
    /// Ask for everything.
    SandboxStatusRequest { 1 sandbox_id: String, 2 verbose: bool }
    /// Everything.
    SandboxStatusResponse {
        1 sandbox_id: String, 2 pid: u32, 3 state: String, 4 info: BTreeMap<String, String>, 5 created_at: Option<Timestamp>,
        6 exited_at: Option<Timestamp>, 7 extra: Option<Any>,
    }
    /// What the pod has used.
    SandboxMetricsResponse { 1 metrics: Option<Metric> }
    /// A usage at a time (`containerd.types.Metric`).
    Metric { 1 timestamp: Option<Timestamp>, 2 id: String, 3 data: Option<Any> }

    /// A pod, as Kubernetes describes it; of that, what concerns its namespaces and names.
    PodSandboxConfig { 2 hostname: String, 4 dns_config: Option<DnsConfig>, 8 linux: Option<LinuxPodSandboxConfig> }
    /// Who knows names.
    DnsConfig { 1 servers: Vec<String>, 2 searches: Vec<String>, 3 options: Vec<String> }
    /// Its part for Linux.
    LinuxPodSandboxConfig {
        1 cgroup_parent: String, 2 security_context: Option<LinuxSandboxSecurityContext>, 3 sysctls: BTreeMap<String, String>,
    }
    /// What it shares.
    LinuxSandboxSecurityContext { 1 namespace_options: Option<NamespaceOption> }
    /// Which namespaces are the pod's (0), each container's (1), the node's (2), or those of a certain container (3).
    NamespaceOption {
        1 network: i32, 2 pid: i32, 3 ipc: i32, 4 target_id: String, 5 userns_options: Option<UserNamespace>,
    }
    /// The pod's user namespace (0), or the node's (2).
    UserNamespace { 1 mode: i32, 2 uids: Vec<IdMapping>, 3 gids: Vec<IdMapping> }
    /// Ids of it, and which they are on the node.
    IdMapping { 1 host_id: u32, 2 container_id: u32, 3 length: u32 }
}
