//! What `create` would do with a bundle, found out without doing any of it.

use std::path::PathBuf;

use orlop_compile::{Compiled, Host, Mode};
use orlop_spec::{Document, Spec};

use crate::bundle::{Bundle, refused};
use crate::error::Result;
use crate::facts;
use crate::id::ContainerId;
use crate::liveness::Process;
use crate::options::CreateOptions;
use crate::order::compile;
use crate::runtime::Runtime;

/// A bundle with its compiled program.
#[derive(Debug)]
pub struct Planned {
    /// The bundle's directory, absolute.
    pub bundle: PathBuf,
    /// The file of the config.
    pub file: PathBuf,
    /// The config.
    pub config: Document,
    /// The facts that it was compiled with.
    pub host: Host,
    /// The program, and what the host side does around it.
    pub compiled: Compiled,
}

impl Runtime {
    /// Compiles a bundle as `create` does. Facts about this machine may be replaced by others before.
    ///
    /// # Errors
    ///
    /// As [`Runtime::create`], as far as it compiles; nothing is opened but the config.
    pub fn plan(
        &self,
        id: &ContainerId,
        options: &CreateOptions,
        replace: &mut dyn FnMut(&Spec, &mut Host),
    ) -> Result<Planned> {
        let manager = self.settings.cgroup_manager;
        let mut facts_of = |spec: &Spec| {
            let mut host = self.facts(spec, None)?;
            if options.no_pivot {
                host.kernel_views = facts::kernel_views()?;
            }
            replace(spec, &mut host);
            Result::Ok(host)
        };
        let order = (id, options, Mode::Create);
        let scratch = self.store.root().join(id.as_str());
        let bundle = Bundle::load(
            options,
            None,
            |_| (),
            |spec, path| {
                let host = facts_of(spec).ok()?;
                compile(spec, path, &host, order, manager, &scratch).err()
            },
        )?;
        let host = facts_of(&bundle.config.spec)?;
        let compiled = compile(&bundle.config.spec, &bundle.path, &host, order, manager, &scratch)
            .map_err(|found| bundle.refused(&found))?;
        Ok(Planned { bundle: bundle.path, file: bundle.file, config: bundle.config, host, compiled })
    }

    /// The first process of a container; `None` if there is none, or it has ended.
    ///
    /// # Errors
    ///
    /// [`Error::NotExist`](crate::Error::NotExist).
    pub fn first_process_of(&self, id: &ContainerId) -> Result<Option<Process>> {
        let process = self.load(id)?.saved.process;
        process.map_or(Ok(None), |process| Ok(process.is_alive()?.then_some(process)))
    }

    /// Compiles the config that a container was made with, and the limits that `update` gave it.
    ///
    /// # Errors
    ///
    /// [`Error::NotExist`](crate::Error::NotExist), [`Error::State`](crate::Error::State); and the config may be one that could
    /// not be had any more.
    pub fn plan_again(&self, id: &ContainerId) -> Result<Planned> {
        let container = self.load(id)?;
        let (config, bundle) = (container.config()?, container.saved.bundle.clone());
        let host = self.facts(&config.spec, None)?;
        let options = CreateOptions::default();
        let order = (id, &options, Mode::Create);
        let file = container.dir.config_path();
        let scratch = self.store.root().join(id.as_str());
        let compiled = compile(&config.spec, &bundle, &host, order, self.settings.cgroup_manager, &scratch)
            .map_err(|found| refused(&file, &config.text, &found))?;
        Ok(Planned { bundle, file, config, host, compiled })
    }
}
