//! Processes that join a container: where `exec` and hooks inside the container begin.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::errno::Errno;
use orlop_cgroups::Cgroup;
use orlop_compile::{HookOptions, HookTime, Host};
use orlop_program::Slot;
use orlop_spec::{Hook, NamespaceKind, Spec, Status};
use orlop_sys::spawn::Child;

use crate::agent;
use crate::bundle::refused;
use crate::error::{Doing, Error, Result};
use crate::hooks::Streams;
use crate::launch::{self, Event, Home, Request, Words};
use crate::state::{ContainerState, StateFile};

/// Standard input, output and error of a hook.
const STREAMS: [Slot; 3] = [Slot::FREE, Slot(Slot::FREE.0 + 1), Slot(Slot::FREE.0 + 2)];

/// The namespaces that are the container's own or that it joined (`CLONE_NEW…`): those a new process must join to be in
/// the same ones. The others are the caller's.
pub(crate) fn namespaces(spec: &Spec) -> i32 {
    let listed = spec.linux.as_ref().map_or(&[][..], |linux| &linux.namespaces);
    listed.iter().map(|namespace| flag(&namespace.kind)).fold(0, |all, flag| all | flag)
}

const fn flag(kind: &NamespaceKind) -> i32 {
    match kind {
        NamespaceKind::Pid => libc::CLONE_NEWPID,
        NamespaceKind::Network => libc::CLONE_NEWNET,
        NamespaceKind::Mount => libc::CLONE_NEWNS,
        NamespaceKind::Ipc => libc::CLONE_NEWIPC,
        NamespaceKind::Uts => libc::CLONE_NEWUTS,
        NamespaceKind::User => libc::CLONE_NEWUSER,
        NamespaceKind::Cgroup => libc::CLONE_NEWCGROUP,
        NamespaceKind::Time => libc::CLONE_NEWTIME,
        NamespaceKind::Unknown(_) => 0,
    }
}

/// What to pass to a process that joins a container: its root, if that does not come with its mount namespace.
///
/// # Errors
///
/// [`Error::Kernel`]: the root cannot be opened, or the container has ended.
pub(crate) fn root(spec: &Spec, state: &StateFile) -> Result<Vec<(Slot, OwnedFd)>> {
    let Some(process) = state.process.filter(|_| namespaces(spec) & libc::CLONE_NEWNS == 0) else {
        return Ok(Vec::new());
    };
    let path = format!("/proc/{}/root", process.pid);
    let doing = || format!("open {path}");
    let root =
        File::options().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(&path).doing(doing)?;
    // Only now: the number could have been another's by the time it was opened.
    if process.open()?.is_none() {
        return Err(Errno::ESRCH).doing(doing);
    }
    Ok(vec![(Slot::ROOT, root.into())])
}

/// A container that hooks run in.
#[derive(Clone, Copy)]
pub(crate) struct Inside<'a> {
    /// Its config.
    pub(crate) spec: &'a Spec,
    /// What it is known by so far.
    pub(crate) state: &'a StateFile,
    /// Its cgroup.
    pub(crate) cgroup: Option<&'a Cgroup>,
    /// What the compiler needs to know.
    pub(crate) host: &'a Host,
}

/// Starts hooks inside the container: in its namespaces and its cgroup, with the root that its process has at that time.
///
/// A hook is a process like any other here: a short program, run by the same init.
pub(crate) fn hook_spawner<'a>(
    inside: Inside<'a>,
    when: HookTime<'a>,
) -> impl FnMut(&Hook, Streams) -> Result<Child> {
    move |hook, streams| {
        let doing = || format!("start {} in the container", hook.path);
        let process = inside.state.process.map(|process| process.open()).transpose()?.flatten();
        let init = process.ok_or(Errno::ESRCH).doing(doing)?;
        let options = HookOptions { id: &inside.state.id, streams: STREAMS, when };
        let compiled = orlop_compile::compile_hook(inside.spec, hook, inside.host, &options)
            .map_err(|found| refused(Path::new(&hook.path), "", &found))?;
        let args = [hook.path.clone()];
        let mut pass: Vec<_> =
            STREAMS.into_iter().zip([streams.stdin, streams.stdout, streams.stderr]).collect();
        // Before that, the root is still the host's.
        if matches!(when, HookTime::Starting) {
            pass.extend(root(inside.spec, inside.state)?);
        }
        let mut session = launch::launch(Request {
            compiled: &compiled,
            home: Home::Cgroup(inside.cgroup, inside.state.cgroups.unit.as_ref()),
            rdt: None,
            start: None,
            join: Some((&init, namespaces(inside.spec))),
            network: None,
            pass,
            stdio: None,
            privileged: false,
            trace: None,
            words: Words::new(&compiled, &args),
        })?;
        loop {
            match session.next()? {
                Event::Running => return session.release(),
                Event::SeccompListener(number) => {
                    if let Some(agent) = &compiled.launch.seccomp_agent {
                        let told = ContainerState::new(inside.state.clone(), Status::Created).to_oci();
                        agent::hand_over(agent, number, session.pidfd(), session.pid(), told)?;
                    }
                    session.proceed()?;
                }
                other => {
                    let what = format!("the hook {}", hook.path);
                    return Err(Error::Died { what, how: format!("{other:?}") });
                }
            }
        }
    }
}
