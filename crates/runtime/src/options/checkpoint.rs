//! What `checkpoint` and `restore` take.

use std::path::PathBuf;

/// What both take: where the images are, and what CRIU shall put up with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CriuOptions {
    /// The directory of the images.
    pub image_path: PathBuf,
    /// The directory of CRIU's logs and temporary files; absent is the directory of the images.
    pub work_path: Option<PathBuf>,
    /// Connections of TCP are part of it.
    pub tcp_established: bool,
    /// Unix sockets may be connected to processes outside the container.
    pub ext_unix_sk: bool,
    /// Its terminal may belong to a session outside the container.
    pub shell_job: bool,
    /// File locks are part of it.
    pub file_locks: bool,
    /// Which of its cgroups' properties are part of it; absent is CRIU's own default, which is soft.
    pub cgroups: Option<CgroupsMode>,
    /// Pages are freed in the images of earlier dumps as they are replaced, or in the images as they are restored.
    pub auto_dedup: bool,
    /// Memory pages follow later, when they are needed (userfaultfd(2)).
    pub lazy_pages: bool,
    /// How CRIU holds connections back while processes are stopped; absent is CRIU's own default.
    pub network_lock: Option<NetworkLock>,
}

/// How far CRIU takes care of cgroups, as its `--manage-cgroups` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupsMode {
    /// Not at all: all processes are in the container's cgroup afterwards.
    Ignore = 0,
    /// Cgroups that are missing are made and get the properties of the checkpoint.
    Soft = 3,
    /// All cgroups get the properties of the checkpoint.
    Full = 4,
    /// There must be no such cgroups, and they get the properties of the checkpoint.
    Strict = 5,
}

/// What holds connections back while processes are stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkLock {
    /// The program `iptables-restore`.
    Iptables = 1,
    /// A table of nftables.
    Nftables = 2,
    /// Nothing.
    Skip = 3,
}

/// What `checkpoint` takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointOptions {
    /// What `restore` takes too.
    pub criu: CriuOptions,
    /// The images of an earlier dump, relative to those of this one.
    pub parent_path: Option<PathBuf>,
    /// The container goes on afterwards.
    pub leave_running: bool,
    /// Only its memory, and it goes on afterwards: for a later checkpoint that has less to do.
    pub pre_dump: bool,
    /// Connections of TCP that are being made are left out.
    pub tcp_skip_in_flight: bool,
    /// Files that have no name any more get one for the time until `restore`.
    pub link_remap: bool,
    /// Where the memory pages go: address and port.
    pub page_server: Option<(String, u16)>,
    /// A descriptor that a byte is written to once pages can be asked for.
    pub status_fd: Option<i32>,
}

/// What `restore` takes besides what `create` and `run` do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreOptions {
    /// What `checkpoint` takes too.
    pub criu: CriuOptions,
    /// Connections of TCP are closed.
    pub tcp_close: bool,
    /// The profile of the security module, as type and name: `apparmor:docker-default`.
    pub lsm_profile: Option<String>,
    /// The security context of mounts.
    pub lsm_mount_context: Option<String>,
}
