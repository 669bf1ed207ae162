//! `kill`: signals for a container.

use orlop_cgroups::Cgroup;
use orlop_spec::{NamespaceKind, Status};
use orlop_sys::Fd;
use orlop_sys::process::{pidfd_open, pidfd_send_signal};

use crate::criu;
use crate::error::{Action, Doing, Error, Result};
use crate::id::ContainerId;
use crate::runtime::{Container, Runtime};

impl Runtime {
    /// Sends a signal to the container's process, or to all of its processes.
    ///
    /// Where the container has no PID namespace of its own, whose end would take everything with it, SIGKILL goes to the
    /// whole cgroup, even if the first process has ended.
    ///
    /// # Errors
    ///
    /// [`Error::WrongState`]: it has ended ("container not running", as engines expect).
    pub fn kill(&self, id: &ContainerId, signal: i32, all: bool) -> Result<()> {
        let container = self.load(id)?;
        let sent = container.kill(signal, all);
        if signal == libc::SIGKILL {
            // Who saves it would keep what is dead, and wait for the rest.
            criu::record::kill(&container.dir)?;
        }
        sent
    }
}

/// How long the parent of a process that has ended may take to wait for it, in milliseconds.
const REAPING: u8 = 50;

impl Container {
    fn kill(&self, signal: i32, all: bool) -> Result<()> {
        let cgroup = self.cgroup()?;
        if let (true, Some(cgroup)) = (all, &cgroup) {
            return signal_all(cgroup, signal);
        }
        // Found out first: after the signal, whoever waits for the container may delete it at once.
        let Some(cgroup) = cgroup.filter(|_| signal == libc::SIGKILL) else {
            return self.signal(signal);
        };
        if self.owns_pid_namespace()? {
            self.signal(signal)?;
            return Ok(cgroup.thaw_killed()?);
        }
        let others = !cgroup.procs()?.is_empty();
        let sent = self.signal(signal);
        cgroup.kill_and_thaw()?;
        if others { Ok(()) } else { sent }
    }

    fn signal(&self, signal: i32) -> Result<()> {
        let stopped =
            || Error::WrongState { id: self.saved.id.clone(), action: Action::Kill, status: Status::Stopped };
        let Some(process) = self.saved.process else { return Err(stopped()) };
        let Some(pidfd) = process.open()? else {
            // Podman, told that it is not running, looks at once whether its process is gone, and gives up if it is not.
            process.await_reaping(REAPING.into())?;
            return Err(stopped());
        };
        match pidfd_send_signal(Fd::of(&pidfd), signal) {
            Err(e) if e.is(libc::ESRCH) => Err(stopped()),
            sent => sent.doing(|| format!("send signal {signal} to process {}", process.pid)).map_err(|e| {
                e.with_hint(
                    "where a security module such as AppArmor forbids it, `orlop delete --force` still works",
                )
            }),
        }
    }

    /// One that it joined does not end with its first process.
    fn owns_pid_namespace(&self) -> Result<bool> {
        let config = self.config()?;
        let namespaces = config.spec.linux.as_ref().map_or(&[][..], |linux| &linux.namespaces);
        Ok(namespaces.iter().any(|one| one.kind == NamespaceKind::Pid && one.path.is_empty()))
    }
}

/// Signals every process of a cgroup.
fn signal_all(cgroup: &Cgroup, signal: i32) -> Result<()> {
    if signal == libc::SIGKILL {
        return Ok(cgroup.kill_and_thaw()?);
    }
    for pid in cgroup.procs()? {
        // Between listing and opening a process may end, and its number may go to another, which then is not in
        // the list of this cgroup any more: so look again before the signal.
        let Ok(pidfd) = pidfd_open(pid) else { continue };
        if !cgroup.procs()?.contains(&pid) {
            continue;
        }
        match pidfd_send_signal(pidfd.fd(), signal) {
            Err(e) if !e.is(libc::ESRCH) => {
                return Err(e).doing(|| format!("send signal {signal} to process {pid}"));
            }
            _ => {}
        }
    }
    Ok(())
}
