//! `start`: lets a created container become its program.

use std::os::fd::OwnedFd;

use orlop_program::message::{Failed, MAX, Message};
use orlop_spec::{Spec, Status};

use crate::error::{Action, Answer, Error, Result};
use crate::hooks::{self, Kind};
use crate::id::ContainerId;
use crate::runtime::{Container, Runtime};
use crate::state::ContainerState;
use crate::{join, launch};

impl Runtime {
    /// Starts a created container.
    ///
    /// # Errors
    ///
    /// [`Error::WrongState`]: it was started before, or has ended. [`Error::Exec`]: its program cannot be executed.
    /// [`Error::Hook`]: a `startContainer` hook failed, which ends the container.
    pub fn start(&self, id: &ContainerId) -> Result<()> {
        let container = self.load(id)?;
        let status = container.status()?;
        let refused = |status| Error::WrongState { id: id.to_string(), action: Action::Start, status };
        if status != Status::Created {
            return Err(refused(status));
        }
        let config = container.config()?;
        let Some(socket) = container.dir.connect_start()? else { return Err(refused(Status::Running)) };
        // From here on the container waits for us alone: if we die, it sees that and ends.
        container.dir.remove_start()?;
        let spec = &config.spec;
        let cgroup = container.cgroup()?;
        let told = |status| ContainerState::new(container.saved.clone(), status).to_oci();
        let inside = &mut join::hook_spawner(
            spec,
            container.saved.process,
            (cgroup.as_ref(), container.saved.cgroups.unit.as_ref()),
        );
        hooks::run(&spec.hooks.start_container, Kind::StartContainer, &told(Status::Created), inside)?;
        container.let_go(&socket, spec)?;
        let on_host = &mut hooks::on_host(Some(&container.saved.bundle));
        hooks::run(&spec.hooks.poststart, Kind::Poststart, &told(Status::Running), on_host)
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
                Ok(Message::Executing) => executing = true,
                Ok(Message::Failed(failed)) => return Err(not_started(&failed, spec)),
                _ if executing => return Ok(()),
                _ => return Err(self.not_started_by_us()?),
            }
        }
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
        "execve" => Error::Exec { program, errno: answer.errno, pointer: Some("/process/args/0".to_owned()) },
        call => Error::Step {
            step: "start the container's program".to_owned(),
            answer,
            pointer: (call == "seccomp").then(|| "/linux/seccomp".to_owned()),
            detail: String::new(),
            hint: None,
        },
    }
}
