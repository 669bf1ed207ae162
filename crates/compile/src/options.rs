//! What the command line says, besides the config.

use crate::Filter;
use orlop_program::Slot;
use std::path::Path;

/// What the program ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Wait for `start`, then execute.
    Create,
    /// Execute at once.
    Run,
}

/// For `create` and `run`.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The container's id.
    pub id: &'a str,
    /// The bundle's directory, absolute: relative paths of the config start there.
    pub bundle: &'a Path,
    /// What the program ends with.
    pub mode: Mode,
    /// Move the root over the host's instead of pivot_root(2).
    pub no_pivot: bool,
    /// Stay in the caller's session keyring.
    pub no_new_keyring: bool,
    /// How many descriptors from 3 on the container's process inherits, after the sockets.
    pub preserve_fds: u32,
    /// How many listening sockets from 3 on it inherits (sd_listen_fds(3)).
    pub listen_fds: u32,
    /// Init stays as the first process, and the config's program is its child.
    pub stay: bool,
    /// The cgroup is made by systemd.
    pub systemd_cgroup: bool,
    /// There is none: the container stays in the caller's.
    pub no_cgroup: bool,
    /// An empty directory of ours where an overlay is attached until the root is switched.
    pub scratch: &'a Path,
}

/// For a hook that runs in the container.
#[derive(Clone, Copy, Debug)]
pub struct HookOptions<'a> {
    /// The container's id.
    pub id: &'a str,
    /// Where its standard input, output and error are.
    pub streams: [Slot; 3],
    /// When it runs.
    pub when: HookTime<'a>,
}

/// When a hook runs in the container.
#[derive(Clone, Copy, Debug)]
pub enum HookTime<'a> {
    /// While the root, which is here, is not yet switched (`createContainer`).
    Creating(&'a Path),
    /// Right before the container's program (`startContainer`).
    Starting,
}

/// For `exec`.
#[derive(Clone, Copy, Debug)]
pub struct ExecOptions<'a> {
    /// The container's id.
    pub id: &'a str,
    /// Stay in the caller's session keyring.
    pub no_new_keyring: bool,
    /// How many descriptors from 3 on the process inherits.
    pub preserve_fds: u32,
    /// The system call filter that the container's own process has, if it is known: the config's need not be compiled again.
    pub filter: Option<&'a Filter>,
}
