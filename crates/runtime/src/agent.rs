//! The agent of a system call filter: it is sent the notification descriptor, and decides about the calls that the filter
//! leaves to it (`config-linux.md#seccomp`, `listenerPath`).
//!
//! Init says the descriptor's number and waits; we take a copy out of init with pidfd_getfd(2) and pass it on. So the only
//! call that init makes under the filter before the agent can answer is write(2).

use orlop_compile::SeccompAgent;
use orlop_spec::state::ContainerProcessState;
use orlop_spec::{Spec, State};
use orlop_sys::{Fd, process};

use crate::error::{Doing, Result};
use crate::socket;

/// Hands the notification descriptor of a process's filter over to the agent. `number` is the descriptor's in the process.
///
/// # Errors
///
/// [`Error::Kernel`](crate::Error::Kernel): nobody listens on the socket, or we may not look into the process.
pub(crate) fn hand_over(
    agent: &SeccompAgent,
    number: i32,
    pidfd: Fd,
    pid: i32,
    container: State,
) -> Result<()> {
    const PLACE: &str = "/linux/seccomp/listenerPath";
    let what = "take the notification descriptor out of the container's init";
    let listener = process::pidfd_getfd(pidfd, number).doing(|| what.to_owned()).map_err(|e| {
        e.at(PLACE)
            .with_hint("this needs the right to trace init: kernel.yama.ptrace_scope must be less than 3")
    })?;
    let stream =
        socket::connect(&agent.path, "failed to connect with seccomp agent").map_err(|e| e.at(PLACE))?;
    let state = ContainerProcessState {
        oci_version: orlop_spec::VERSION.to_owned(),
        fds: vec!["seccompFd".to_owned()],
        pid: pid.into(),
        metadata: agent.metadata.clone(),
        state: container,
    };
    let text = serde_json::to_vec(&state).unwrap_or_default();
    socket::send_with(&listener, &stream, &text, "send the notification descriptor to the seccomp agent")
}

/// The agent that a config names, whose filter the compiler has found to be good.
pub(crate) fn of(spec: &Spec) -> Option<SeccompAgent> {
    let raw = spec.linux.as_ref()?.seccomp.as_ref()?;
    let seccomp = orlop_spec::seccomp::parse(raw).ok()?;
    Some(SeccompAgent { path: seccomp.listener_path.into(), metadata: seccomp.listener_metadata })
}
