//! A visit to another PID namespace: what the caller makes meanwhile is born there.

use super::Join;
use crate::raw::Result;
use crate::{Fd, OwnedFd, process};

/// This thread's children are born in another PID namespace, until [`Visit::end`].
pub(super) struct Visit {
    own: OwnedFd,
}

impl Visit {
    /// Begins one, if a PID namespace is among the joins and the caller has the right to be there; it takes `CAP_SYS_ADMIN`
    /// both here and there (pid_namespaces(7)).
    pub(super) fn begin(joins: &[Join]) -> Option<Self> {
        let join = joins.iter().find(|join| join.kinds & libc::CLONE_NEWPID != 0)?;
        let visit = Self { own: process::pidfd_open(process::getpid()).ok()? };
        // Root of a user namespace may have a right to the other one only, and nobody is to be stranded there.
        go(visit.own.fd()).and_then(|()| go(join.fd)).ok()?;
        Some(visit)
    }

    /// Ends it: children are born in the caller's own namespace again.
    pub(super) fn end(self) -> Result<()> {
        go(self.own.fd())
    }
}

fn go(to: Fd) -> Result<()> {
    process::setns(to, libc::CLONE_NEWPID)
}
