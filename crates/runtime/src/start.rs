//! `start`: lets a created container become its program.

use std::os::fd::OwnedFd;

use orlop_compile::HookTime;
use orlop_program::message::{Failed, MAX, Message};
use orlop_spec::{Spec, Status};
use orlop_sys::{Fd, process};

use crate::error::{Action, Answer, Error, Result};
use crate::hooks::{self, Kind};
use crate::id::ContainerId;
use crate::join::Inside;
use crate::notify::Relay;
use crate::runtime::{Container, Runtime};
use crate::state::ContainerState;
use crate::{agent, join, launch};

impl Runtime {
    /// Starts a created container.
    ///
    /// # Errors
    ///
    /// [`Error::WrongState`]: it was started before, or has ended. [`Error::Exec`]: its program cannot be executed.
    /// [`Error::Hook`]: a `startContainer` or `poststart` hook failed, which ends the container.
    pub fn start(&self, id: &ContainerId) -> Result<()> {
        let container = self.load(id)?;
        let status = container.status()?;
        let refused = |status| Error::WrongState { id: id.to_string(), action: Action::Start, status };
        if status != Status::Created {
            return Err(refused(status));
        }
        let config = container.config()?;
        let relay = Relay::listen(&container.dir)?;
        let Some(socket) = container.dir.connect_start()? else { return Err(refused(Status::Running)) };
        // From here on the container waits for us alone: if we die, it sees that and ends.
        container.dir.remove_start()?;
        let spec = &config.spec;
        let cgroup = container.cgroup()?;
        let told = |status| ContainerState::new(container.saved.clone(), status).to_oci();
        let host = self.facts(spec, None)?;
        let inside = Inside { spec, state: &container.saved, cgroup: cgroup.as_ref(), host: &host };
        let spawn = &mut join::hook_spawner(inside, HookTime::Starting);
        hooks::run(&spec.hooks.start_container, Kind::StartContainer, &told(Status::Created), spawn)?;
        container.let_go(&socket, spec)?;
        let on_host = &mut hooks::on_host(Some(&container.saved.bundle));
        hooks::run(&spec.hooks.poststart, Kind::Poststart, &told(Status::Running), on_host)
            .map_err(|e| container.ended_by(e))?;
        let process = container.saved.process.map(|process| process.open()).transpose()?.flatten();
        match (relay, process) {
            (Some(relay), Some(process)) => {
                relay.run(&process, container.saved.process.map_or(0, |process| process.pid))
            }
            _ => Ok(()),
        }
    }
}

impl Container {
    /// Says the word to init, and waits until it has become the container's program.
    fn let_go(&self, socket: &OwnedFd, spec: &Spec) -> Result<()> {
        launch::say_the_word(socket)?;
        let mut buffer = [0; MAX];
        let mut executing = false;
        loop {
            let (n, _) = launch::hear(socket, &mut buffer)?;
            match Message::read(&buffer[..n]) {
                Ok(Message::SeccompListener(number)) => {
                    self.hand_over_filter(number, spec)?;
                    launch::say_the_word(socket)?;
                }
                Ok(Message::Executing) => executing = true,
                Ok(Message::Failed(failed)) => return Err(not_started(&failed, spec)),
                _ if executing => return Ok(()),
                _ => return Err(self.not_started_by_us()?),
            }
        }
    }

    /// Hands the notification descriptor of the filter over to the config's agent. Without one that answers, init might wait
    /// for it for ever: then it is killed.
    fn hand_over_filter(&self, number: i32, spec: &Spec) -> Result<()> {
        let init =
            self.saved.process.map(|process| process.open().map(|fd| (process.pid, fd))).transpose()?;
        let Some((agent, (pid, Some(pidfd)))) = agent::of(spec).zip(init) else {
            return self.not_started_by_us().and_then(Err);
        };
        let told = ContainerState::new(self.saved.clone(), Status::Created).to_oci();
        let pidfd = Fd::of(&pidfd);
        agent::hand_over(&agent, number, pidfd, pid, told).inspect_err(|_| {
            // It may be gone already.
            process::pidfd_send_signal(pidfd, libc::SIGKILL).ok();
        })
    }

    /// Init hung up on us: somebody else was faster, or it is dead.
    fn not_started_by_us(&self) -> Result<Error> {
        let status = self.status()?;
        Ok(match status {
            Status::Stopped => Error::Died {
                what: "the container's init".to_owned(),
                how: "it was killed before it could execute the container's program".to_owned(),
            },
            _ => Error::WrongState { id: self.saved.id.clone(), action: Action::Start, status },
        })
    }
}

/// Only what comes after waiting can fail here: the filter, and exec itself.
fn not_started(failed: &Failed<'_>, spec: &Spec) -> Error {
    let answer = Answer::from(orlop_sys::Error::new(failed.call, failed.errno));
    let args = spec.process.as_ref().map(|process| &process.args);
    let program = args.and_then(|args| args.first()).cloned().unwrap_or_default();
    match answer.call {
        "execve" => Error::Exec { program, errno: answer.errno, pointer: Some("/process/args/0".into()) },
        call => Error::Step {
            step: "start the container's program".to_owned(),
            answer,
            pointer: (call == "seccomp").then(|| "/linux/seccomp".into()),
            detail: String::new(),
            hint: None,
        },
    }
}
