//! Slots: where steps find the descriptors they use, and leave those they make.

/// An index into init's table of descriptors.
///
/// Some slots are filled before init runs, by the host side, which opens what the program names; others are filled by
/// steps. The meaning of the first ones is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u8);

impl Slot {
    /// How many slots there are.
    pub const COUNT: usize = 256;
    /// The socket to the host side.
    pub const HOST: Self = Self(0);
    /// The listening socket at which `AwaitStart` waits.
    pub const START: Self = Self(1);
    /// The root of the container's file system tree, as a mount.
    pub const ROOT: Self = Self(2);
    /// A procfs mount of ours or of the container, made by us and verified by construction.
    pub const PROC: Self = Self(3);
    /// The console's terminal.
    pub const CONSOLE: Self = Self(4);
    /// The PID namespace, or a process in it, that init has to be born in before it does anything else.
    pub const BIRTH: Self = Self(5);
    /// Memory in which init writes when each step began.
    pub const TRACE: Self = Self(6);
    /// What Landlock is to allow, until it is in force.
    pub const RULESET: Self = Self(7);
    /// The socket from which the new network namespace comes, if the process was not born in it, and perhaps the IPC namespace.
    pub const NETWORK: Self = Self(8);
    /// Always empty: what steps make in it, the host side makes meanwhile (`beside` of [`Step::Mount`](crate::Step::Mount)).
    pub const BESIDE: Self = Self(9);
    /// The first slot without a fixed meaning.
    pub const FREE: Self = Self(10);
}
