//! `update`: new limits for a container that runs.

use std::path::Path;

use orlop_compile::{Update, compile_update};
use orlop_spec::{Document, IntelRdt, Resources, ResourcesDocument, Status};
use serde_json::Value;

use crate::bundle::{refused, unreadable};
use crate::error::{Action, Error, Result};
use crate::id::ContainerId;
use crate::options::{ResourcesSource, Schemas};
use crate::rdt::NewShares;
use crate::runtime::{Container, Runtime};
use crate::state::CgroupPaths;
use crate::{files, log};

impl Runtime {
    /// Changes limits of a container. If one is refused, the others are taken back.
    ///
    /// # Errors
    ///
    /// [`Error::Config`]: values that make no sense, with their places such as `/memory/limit`. [`Error::Cgroup`]: the
    /// kernel does not take one. [`Error::WrongState`]: the container has ended.
    pub fn update(&self, id: &ContainerId, source: &ResourcesSource) -> Result<()> {
        self.update_with(id, source, &Schemas::default())
    }

    /// Changes limits of a container, and its shares of caches and memory bandwidth.
    ///
    /// # Errors
    ///
    /// As [`Runtime::update`]; [`Error::Kernel`] if the kernel does not take the shares.
    pub fn update_with(&self, id: &ContainerId, source: &ResourcesSource, schemas: &Schemas) -> Result<()> {
        let (file, change) = read(source)?;
        // Two changes at once would each forget the other's.
        let _lock = self.store.find(id)?.lock_for_changes()?;
        let mut container = self.load(id)?;
        let status = container.status()?;
        if !matches!(status, Status::Created | Status::Running | Status::Paused) {
            return Err(Error::WrongState { id: id.to_string(), action: Action::Update, status });
        }
        let config = container.config()?;
        let host = self.facts(&config.spec, None)?;
        let update = compile_update(&config.spec, &change.spec, &host)
            .map_err(|found| refused(file, &change.text, &found))?;
        let shares = NewShares::of(schemas, &config.spec, host, id.as_str())?;
        log::findings(&update.warnings);
        let Some(shares) = shares else { return self.apply(&mut container, &config, &update, None) };
        let old = shares.give(&mut container)?;
        self.apply(&mut container, &config, &update, Some(&shares.config))
            .inspect_err(|_| shares.take_back(&mut container, &old))
    }

    fn apply(
        &self,
        container: &mut Container,
        config: &Document,
        update: &Update,
        rdt: Option<&IntelRdt>,
    ) -> Result<()> {
        let mut cgroup = container.own_cgroup()?;
        let mut settings = update.settings.clone();
        if container.saved.cgroups.unit.is_some() {
            // Before systemd hears of it, which writes limits without asking what is used.
            cgroup.check(&settings)?;
        }
        container.tell_unit(&mut settings, update.devices.as_ref())?;
        // Controllers of version 1 that were not in use so far make the cgroup larger. That is saved before, so that nothing is
        // lost if we are killed.
        let unit = container.saved.cgroups.unit.clone();
        let paths = CgroupPaths { unit, ..CgroupPaths::of(&cgroup.location_with(self.layout()?, &settings)) };
        if paths != container.saved.cgroups {
            container.saved.cgroups = paths;
            container.dir.write_state(&container.saved)?;
        }
        cgroup.update(self.layout()?, &settings)?;
        if let Some(devices) = &update.devices {
            cgroup.set_devices(devices)?;
        }
        container.keep(config, &update.resources, rdt)
    }
}

impl Container {
    /// Writes the limits into the copy of the config, where the next command finds them.
    fn keep(&self, config: &Document, resources: &Resources, rdt: Option<&IntelRdt>) -> Result<()> {
        let state = |e: serde_json::Error| Error::State { path: self.dir.config_path(), why: e.to_string() };
        // As a tree, so that what the types do not know stays in it.
        let mut tree: Value = serde_json::from_str(&config.text).map_err(state)?;
        tree["linux"]["resources"] = serde_json::to_value(resources).map_err(state)?;
        if let Some(rdt) = rdt {
            tree["linux"]["intelRdt"] = serde_json::to_value(rdt).map_err(state)?;
        }
        self.dir.write_config(tree.to_string().as_bytes())
    }
}

/// The new limits, with their text and the name of their file, if they are from one.
fn read(source: &ResourcesSource) -> Result<(&Path, ResourcesDocument)> {
    match source {
        ResourcesSource::Args(resources) => {
            let document = ResourcesDocument { text: String::new(), spec: (**resources).clone() };
            Ok((Path::new("update"), document))
        }
        ResourcesSource::File(path) => {
            let (name, text) = files::read_document(path)?;
            let parsed = ResourcesDocument::parse(text).map_err(|errors| unreadable(name, &errors))?;
            Ok((name, parsed))
        }
    }
}
