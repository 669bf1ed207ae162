//! What is wrong with a profile, and where.

use orlop_spec::Pointer;

use crate::bpf::MAX_INSNS;

/// A place in a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The profile as a whole.
    Profile,
    /// `defaultAction`.
    DefaultAction,
    /// `defaultErrnoRet`.
    DefaultErrnoRet,
    /// `architectures/{0}`.
    Architecture(usize),
    /// `flags/{0}`.
    Flag(usize),
    /// `listenerPath`.
    ListenerPath,
    /// `listenerMetadata`.
    ListenerMetadata,
    /// `syscalls/{0}/names`.
    Names(usize),
    /// `syscalls/{0}/names/{1}`.
    Name(usize, usize),
    /// `syscalls/{0}/action`.
    Action(usize),
    /// `syscalls/{0}/errnoRet`.
    ErrnoRet(usize),
    /// `syscalls/{0}/args`.
    Args(usize),
    /// `syscalls/{0}/args/{1}/index`.
    ArgIndex(usize, usize),
    /// `syscalls/{0}/args/{1}/op`.
    ArgOp(usize, usize),
}

impl Place {
    /// Its pointer in `config.json`.
    pub fn pointer(&self) -> Pointer {
        let new = Pointer::new;
        match *self {
            Self::Profile => new("/linux/seccomp"),
            Self::DefaultAction => new("/linux/seccomp/defaultAction"),
            Self::DefaultErrnoRet => new("/linux/seccomp/defaultErrnoRet"),
            Self::Architecture(i) => new("/linux/seccomp/architectures/{}").at(i),
            Self::Flag(i) => new("/linux/seccomp/flags/{}").at(i),
            Self::ListenerPath => new("/linux/seccomp/listenerPath"),
            Self::ListenerMetadata => new("/linux/seccomp/listenerMetadata"),
            Self::Names(i) => new("/linux/seccomp/syscalls/{}/names").at(i),
            Self::Name(i, j) => new("/linux/seccomp/syscalls/{}/names/{}").at(i).at(j),
            Self::Action(i) => new("/linux/seccomp/syscalls/{}/action").at(i),
            Self::ErrnoRet(i) => new("/linux/seccomp/syscalls/{}/errnoRet").at(i),
            Self::Args(i) => new("/linux/seccomp/syscalls/{}/args").at(i),
            Self::ArgIndex(i, j) => new("/linux/seccomp/syscalls/{}/args/{}/index").at(i).at(j),
            Self::ArgOp(i, j) => new("/linux/seccomp/syscalls/{}/args/{}/op").at(i).at(j),
        }
    }
}

/// One thing that is wrong (or, as a warning, worth knowing) about a profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", place.pointer())]
pub struct Diagnostic {
    /// Where.
    pub place: Place,
    /// What.
    pub problem: Problem,
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// An action that the specification does not know.
    #[error("unknown action {0:?}")]
    Action(String),
    /// An architecture that the specification does not know.
    #[error("unknown architecture {0:?}")]
    Architecture(String),
    /// An architecture that no machine of the native one can run, for its byte order is the other one.
    #[error("{0} has another byte order than this machine")]
    ByteOrder(&'static str),
    /// A flag that `seccomp(2)` does not know.
    #[error("unknown flag {0:?}")]
    Flag(String),
    /// An errno for an action that has no use for one; the specification demands an error.
    #[error("{0} takes no errno")]
    ErrnoUnused(String),
    /// An errno beyond 16 bits.
    #[error("errno {0} is out of range")]
    Errno(u32),
    /// An argument beyond the sixth.
    #[error("system calls have arguments 0 to 5, not {0}")]
    ArgIndex(u32),
    /// A comparison that the specification does not know.
    #[error("unknown comparison {0:?}")]
    Op(String),
    /// Notification as default action: the launch itself would wait for the agent.
    #[error(
        "SCMP_ACT_NOTIFY cannot be used as default action: the container's start would wait for the agent"
    )]
    NotifyByDefault,
    /// Notification for a call that the launch makes once the filter is on.
    #[error(
        "SCMP_ACT_NOTIFY cannot be used for the {0} syscall: the container's start would wait for the agent"
    )]
    NotifyOnLaunch(String),
    /// Notification without an agent.
    #[error("SCMP_ACT_NOTIFY needs a listenerPath")]
    NoListener,
    /// Metadata for no agent.
    #[error("listenerMetadata needs a listenerPath")]
    MetadataWithoutListener,
    /// The program would have at least this many instructions.
    #[error("the filter needs {0} instructions or more, the kernel takes {MAX_INSNS}")]
    TooLong(usize),

    /// Warning: no architecture has such a system call; the name is ignored.
    #[error("unknown system call {0:?} is ignored")]
    UnknownSyscall(String),
    /// Warning: a rule for no system call.
    #[error("a rule without names has no effect")]
    NoNames,
    /// Warning: the kernel returns 4095 instead.
    #[error("the kernel returns errno 4095 instead of {0}")]
    ErrnoClamped(u16),
    /// Warning: a part about notifications in a profile without any.
    #[error("{0} has no effect without a rule with SCMP_ACT_NOTIFY")]
    Unused(String),
    /// Warning: as runtimes on libseccomp do, conditions on one argument are alternatives.
    #[error("argument {0} has several conditions: each condition of the rule is enough")]
    Alternatives(u32),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_is_one_line_with_a_pointer() {
        let diagnostic =
            Diagnostic { place: Place::Name(2, 5), problem: Problem::UnknownSyscall("opne".into()) };
        let text = r#"/linux/seccomp/syscalls/2/names/5: unknown system call "opne" is ignored"#;
        assert_eq!(diagnostic.to_string(), text);
    }
}
