//! Options, and what is said when a shim is started or asked what it is.

use std::collections::BTreeMap;

use super::Any;
use orlop_protobuf::messages;

messages! {
    /// runc's options (`containerd.runc.v1.Options`), which are ours too.
    RuncOptions {
        1 no_pivot_root: bool, 2 no_new_keyring: bool, 3 shim_cgroup: String, 4 io_uid: u32, 5 io_gid: u32,
        6 binary_name: String, 7 root: String, 9 systemd_cgroup: bool, 10 criu_image_path: String, 11 criu_work_path: String,
        12 task_api_address: String, 13 task_api_version: u32,
    }
    /// What Kubernetes' plug-in of containerd hands on for runtimes that it does not know (`runtimeoptions.v1.Options`).
    RuntimeOptions { 1 type_url: String, 2 config_path: String, 3 config_body: Vec<u8> }
    /// How a container is written to disk (`containerd.runc.v1.CheckpointOptions`).
    CheckpointOptions {
        1 exit: bool, 2 open_tcp: bool, 3 external_unix_sockets: bool, 4 terminal: bool, 5 file_locks: bool,
        6 empty_namespaces: Vec<String>, 7 cgroups_mode: String, 8 image_path: String, 9 work_path: String,
        10 parent_path: String,
    }
    /// Whose process one is (`containerd.runc.v1.ProcessDetails`).
    ProcessDetails { 1 exec_id: String }
    /// What containerd tells a shim that it starts, since 2.3 (`containerd.runtime.bootstrap.v1`).
    BootstrapParams {
        1 instance_id: String, 2 namespace: String, 3 log_level: i32, 4 containerd_version: String,
        5 containerd_ttrpc_address: String, 6 containerd_grpc_address: String, 7 containerd_binary: String,
        8 extensions: Vec<Extension>, 9 socket_dir: Option<String>,
    }
    /// Something besides: the runtime's options are one.
    Extension { 1 value: Option<Any> }
    /// What a shim is (`containerd.types.RuntimeInfo`).
    RuntimeInfo {
        1 name: String, 2 version: Option<RuntimeVersion>, 3 options: Option<Any>, 4 features: Option<Any>,
        5 annotations: BTreeMap<String, String>,
    }
    /// Which one.
    RuntimeVersion { 1 version: String, 2 revision: String }
}
