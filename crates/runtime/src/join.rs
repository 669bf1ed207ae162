//! Processes that join a container: where `exec` and hooks inside the container begin.

use orlop_cgroups::Cgroup;
use orlop_compile::{Compiled, Launch, Origin};
use orlop_program::{Builder, List, Slot, Step, Str};
use orlop_spec::{Hook, NamespaceKind, Spec};
use orlop_sys::spawn::Child;

use crate::error::{Doing, Error, Result};
use crate::hooks::Streams;
use crate::launch::{self, Event, Request, Words};
use crate::liveness::Process;

const INPUT: Slot = Slot::FREE;
const OUTPUT: Slot = Slot(Slot::FREE.0 + 1);
const ERROR: Slot = Slot(Slot::FREE.0 + 2);

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

/// Starts hooks inside the container: in its namespaces and its cgroup, with the root that its process has at that time.
///
/// A hook is a process like any other here: a short program, run by the same init.
pub(crate) fn hook_spawner<'a>(
    spec: &'a Spec,
    container: Option<Process>,
    cgroup: Option<&'a Cgroup>,
) -> impl FnMut(&Hook, Streams) -> Result<Child> + use<'a> {
    move |hook, streams| {
        let doing = || format!("start {} in the container", hook.path);
        let process = container.map(|process| process.open()).transpose()?.flatten();
        let init = process.ok_or(nix::errno::Errno::ESRCH).doing(doing)?;
        let kinds = namespaces(spec);
        let compiled = program(hook, kinds)?;
        let args = [hook.path.clone()];
        let mut session = launch::launch(Request {
            compiled: &compiled,
            cgroup,
            cgroup_dir: None,
            start: None,
            join: Some((&init, kinds)),
            pass: vec![(INPUT, streams.stdin), (OUTPUT, streams.stdout), (ERROR, streams.stderr)],
            stdio: None,
            privileged: false,
            words: Words::new(&compiled, &args),
        })?;
        match session.next()? {
            Event::Running => session.release(),
            other => Err(Error::Died { what: format!("the hook {}", hook.path), how: format!("{other:?}") }),
        }
    }
}

/// What init does to become the hook.
fn program(hook: &Hook, kinds: i32) -> Result<Compiled> {
    let mut builder = Builder::default();
    let mut step =
        |step: Step<'_>| builder.push(step, Origin::Spec("config.md#posix-platform-hooks"), "A hook.");
    step(Step::NewSession {});
    for (from, to) in [(INPUT, 0), (OUTPUT, 1), (ERROR, 2)] {
        step(Step::Redirect { from, to });
    }
    let path = [Str::from(&hook.path)];
    step(Step::Locate { candidates: List::from(&path[..]) });
    step(Step::CloseFrom { first: 3 });
    let args: Vec<Str<'_>> =
        if hook.args.is_empty() { path.to_vec() } else { hook.args.iter().map(Str::from).collect() };
    let env: Vec<Str<'_>> = hook.env.iter().map(Str::from).collect();
    step(Step::Exec { args: List::from(&args[..]), env: List::from(&env[..]) });
    let program = builder
        .finish()
        .map_err(|_| Error::usage(format!("hook {}: a string holds a NUL byte", hook.path)))?;
    let become_root = kinds & libc::CLONE_NEWUSER != 0;
    Ok(Compiled { program, launch: Launch { become_root, ..Launch::default() }, warnings: Vec::new() })
}
