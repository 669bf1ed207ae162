//! `mounts`: mounts for a container that runs.
//!
//! A short program does it, which the usual init runs inside the container. What it mounts is opened on the host and
//! handed in, as the container's root has no way there.

use std::path::Path;

use orlop_compile::{Compiled, Diagnostics, Host, compile_added_mounts, compile_removed_mounts};
use orlop_spec::{Document, Mount, MountsDocument, Status};

use crate::bundle::{refused, unreadable};
use crate::error::{Action, Error, Result};
use crate::id::ContainerId;
use crate::launch::{self, Event, Home, Request, Words};
use crate::runtime::{Container, Runtime};
use crate::{files, join, log};

/// Where mounts stand in a config; here they are a document of their own.
const IN_CONFIG: &str = "/mounts";

impl Runtime {
    /// Mounts what a document lists, an array like `mounts` of a config, in a container that runs. If one fails, those
    /// before it stay.
    ///
    /// # Errors
    ///
    /// [`Error::Config`]: mounts that make no sense, with their places such as `/0/destination`. [`Error::Step`]: one that
    /// fails. [`Error::WrongState`]: the container does not run, or is paused.
    pub fn add_mounts(&self, id: &ContainerId, file: &Path) -> Result<()> {
        self.change_mounts(id, file, |container, config, mounts, host| {
            compile_added_mounts(&config.spec, &container.saved.bundle, mounts, host)
        })
    }

    /// Unmounts what is at the destinations in a document.
    ///
    /// # Errors
    ///
    /// As [`Runtime::add_mounts`].
    pub fn remove_mounts(&self, id: &ContainerId, file: &Path) -> Result<()> {
        self.change_mounts(id, file, |_, config, mounts, host| {
            compile_removed_mounts(&config.spec, mounts, host)
        })
    }

    fn change_mounts(
        &self,
        id: &ContainerId,
        file: &Path,
        compile: impl FnOnce(&Container, &Document, &[Mount], &Host) -> std::result::Result<Compiled, Diagnostics>,
    ) -> Result<()> {
        let (name, text) = files::read_document(file)?;
        let document = MountsDocument::parse(text).map_err(|errors| unreadable(name, &errors))?;
        let container = self.load(id)?;
        let status = container.status()?;
        if !matches!(status, Status::Created | Status::Running) {
            return Err(Error::WrongState { id: id.to_string(), action: Action::Mount, status });
        }
        let config = container.config()?;
        let host = self.facts(&config.spec, None)?;
        let compiled = compile(&container, &config, &document.spec, &host)
            .map_err(|found| refused(name, "", &found).within(IN_CONFIG).located_in(&document.text))?;
        log::findings(&compiled.warnings);
        container
            .run_inside(&compiled, &config, &host)
            .map_err(|e| e.within(IN_CONFIG).located_in(&document.text))
    }
}

impl Container {
    /// Has init run a program in the container that executes nothing.
    fn run_inside(&self, compiled: &Compiled, config: &Document, host: &Host) -> Result<()> {
        let init = self.saved.process.map(|process| process.open()).transpose()?.flatten();
        let Some(init) = init else {
            let (id, status) = (self.saved.id.clone(), Status::Stopped);
            return Err(Error::WrongState { id, action: Action::Mount, status });
        };
        let cgroup = self.cgroup()?;
        let mut session = launch::launch(Request {
            compiled,
            home: Home::Cgroup(cgroup.as_ref(), self.saved.cgroups.unit.as_ref()),
            rdt: None,
            start: None,
            join: Some((&init, join::namespaces(&config.spec))),
            network: None,
            pass: join::root(&config.spec, &self.saved)?,
            stdio: None,
            privileged: host.privileged,
            trace: None,
            words: Words::new(compiled, &[]),
        })?;
        match session.next()? {
            // Dropping the session ends the process.
            Event::Ready => Ok(()),
            other => Err(Error::Died { what: "the container's init".to_owned(), how: format!("{other:?}") }),
        }
    }
}
