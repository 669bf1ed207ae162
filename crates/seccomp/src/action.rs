//! What a filter decides: the actions of `seccomp(2)` and the values that a program returns for them.

/// A decision about one system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Kill the process (`SCMP_ACT_KILL_PROCESS`).
    KillProcess,
    /// Kill the thread (`SCMP_ACT_KILL` and `SCMP_ACT_KILL_THREAD`).
    KillThread,
    /// Send `SIGSYS`.
    Trap,
    /// Fail with this errno.
    Errno(u16),
    /// Ask the agent at the other end of the notification file descriptor.
    Notify,
    /// Stop for a tracer, which gets these 16 bits of data; without a tracer the call fails with `ENOSYS`.
    Trace(u16),
    /// Allow and log.
    Log,
    /// Allow.
    Allow,
}

/// `EPERM`, the errno where a profile names none.
const EPERM: u16 = 1;
/// `ENOSYS` (38 nearly everywhere; the machines that differ are in [`enosys`]).
const ENOSYS: u16 = 38;

/// A system call that does not exist fails so on `arch`.
pub(crate) fn enosys(arch: crate::Arch) -> Action {
    use crate::Arch;
    Action::Errno(match arch {
        Arch::Mips | Arch::Mipsel | Arch::Mips64 | Arch::Mipsel64 | Arch::Mips64n32 | Arch::Mipsel64n32 => 89,
        Arch::Parisc | Arch::Parisc64 => 251,
        _ => ENOSYS,
    })
}

impl Action {
    /// The action that a profile calls `name`, with the profile's `errnoRet`. The second value says whether the action
    /// has a use for an errno at all.
    pub(crate) fn from_oci(name: &str, errno: Option<u16>) -> Option<(Self, bool)> {
        let data = errno.unwrap_or(EPERM);
        Some(match name {
            "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => (Self::KillThread, false),
            "SCMP_ACT_KILL_PROCESS" => (Self::KillProcess, false),
            "SCMP_ACT_TRAP" => (Self::Trap, false),
            "SCMP_ACT_ERRNO" => (Self::Errno(data), true),
            "SCMP_ACT_TRACE" => (Self::Trace(data), true),
            "SCMP_ACT_ALLOW" => (Self::Allow, false),
            "SCMP_ACT_LOG" => (Self::Log, false),
            "SCMP_ACT_NOTIFY" => (Self::Notify, false),
            _ => return None,
        })
    }

    /// The value that a program returns for it (`SECCOMP_RET_*`, `linux/seccomp.h`).
    pub fn to_return(self) -> u32 {
        match self {
            Self::KillProcess => 0x8000_0000,
            Self::KillThread => 0,
            Self::Trap => 0x0003_0000,
            Self::Errno(errno) => 0x0005_0000 | u32::from(errno),
            Self::Notify => 0x7fc0_0000,
            Self::Trace(data) => 0x7ff0_0000 | u32::from(data),
            Self::Log => 0x7ffc_0000,
            Self::Allow => 0x7fff_0000,
        }
    }

    /// What the kernel does when a program returns `value`. Values that it does not know kill the process.
    pub fn from_return(value: u32) -> Self {
        let data = value as u16;
        match value & 0xffff_0000 {
            0 => Self::KillThread,
            0x0003_0000 => Self::Trap,
            0x0005_0000 => Self::Errno(data),
            0x7fc0_0000 => Self::Notify,
            0x7ff0_0000 => Self::Trace(data),
            0x7ffc_0000 => Self::Log,
            0x7fff_0000 => Self::Allow,
            _ => Self::KillProcess,
        }
    }

    /// Whether it lets the call happen, perhaps after a word with a tracer or the log.
    pub(crate) fn is_permissive(self) -> bool {
        matches!(self, Self::Allow | Self::Log | Self::Trace(_))
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::KillProcess => write!(f, "kill process"),
            Self::KillThread => write!(f, "kill thread"),
            Self::Trap => write!(f, "trap"),
            Self::Errno(errno) => write!(f, "errno {errno}"),
            Self::Notify => write!(f, "notify"),
            Self::Trace(data) => write!(f, "trace {data}"),
            Self::Log => write!(f, "log"),
            Self::Allow => write!(f, "allow"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn return_values_round_trip() {
        use Action::*;
        for action in [KillProcess, KillThread, Trap, Errno(38), Notify, Trace(0xffff), Log, Allow] {
            assert_eq!(Action::from_return(action.to_return()), action);
        }
        assert_eq!(Action::from_return(0x1234_0000), KillProcess);
    }
}
