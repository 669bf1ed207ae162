//! `try`: an isolated container without a bundle or an image, on a throw-away copy of the host's own root.

use std::cell::{Cell, OnceCell};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use orlop_compile::{Mode, OVERLAY};
use orlop_spec::default::USUAL_CAPABILITIES;
use orlop_spec::{
    Capabilities, Cpu, Document, Linux, Memory, NamespaceKind, Pids, Process, Resources, Spec, default_spec,
};

use crate::bundle::Bundle;
use crate::error::{Error, Result};
use crate::id::ContainerId;
use crate::options::{CreateOptions, NetMode, RunOptions, TryOptions};
use crate::order::Order;
use crate::runtime::Runtime;

/// One period of CPU bandwidth control, in microseconds.
const CPU_PERIOD: u32 = 100_000;

impl Runtime {
    /// Runs a command, or an interactive shell, in a new container whose root is an overlay over the host's own, or over
    /// another directory: everything can be changed, nothing of it stays. The result is the exit status.
    ///
    /// # Errors
    ///
    /// As [`Runtime::run`].
    pub fn try_it(&self, options: &TryOptions) -> Result<i32> {
        let id = ContainerId::new(&format!("try-{}", std::process::id()))?;
        let spec = options.spec();
        let text = orlop_spec::default::to_text(&spec)
            .map_err(|e| Error::usage(format!("write the config of the container: {e}")))?;
        // Everything that `run` does to a bundle it does to this one: it is read back from its text.
        let config = Document::parse(text).map_err(|e| Error::usage(e.to_string()))?;
        let create = CreateOptions::default();
        let bundle = Bundle { path: PathBuf::from("/"), file: PathBuf::from("(orlop try)"), config };
        let order = Order {
            id: &id,
            bundle,
            options: &create,
            mode: Mode::Run,
            cgroups: self.settings.cgroup_manager,
            notifies: false,
            trace: None,
            held: None,
            supervised: None,
            foreground: OnceCell::default(),
            network: Cell::default(),
        };
        self.run_order(&order, &RunOptions::default())
    }
}

impl TryOptions {
    fn spec(&self) -> Spec {
        let mut spec = default_spec(false);
        if let Some(root) = &mut spec.root {
            let lower = self.rootfs.as_deref().unwrap_or(Path::new("/"));
            // Relative to the caller's directory, and not to a bundle, which there is none of.
            let lower = std::path::absolute(lower).unwrap_or_else(|_| lower.to_owned());
            root.path = lower.to_string_lossy().into_owned();
            root.readonly = self.read_only;
        }
        spec.annotations.insert(OVERLAY.to_owned(), "tmpfs".to_owned());
        if let Some(hostname) = &self.hostname {
            spec.hostname.clone_from(hostname);
        }
        if let Some(process) = &mut spec.process {
            self.change_process(process);
        }
        if let Some(linux) = &mut spec.linux {
            self.change_linux(linux);
        }
        spec
    }

    fn change_process(&self, process: &mut Process) {
        process.terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        process.args = if self.command.is_empty() { shell() } else { self.command.clone() };
        // The terminal's name is the only thing of the caller's environment that a container needs.
        process.env.retain(|variable| !variable.starts_with("TERM="));
        process.env.push(format!("TERM={}", std::env::var("TERM").unwrap_or_else(|_| "xterm".to_owned())));
        process.env.extend(self.env.iter().cloned());
        let as_root = self.user.is_none_or(|(uid, _)| uid == 0);
        if let Some((uid, gid)) = self.user {
            (process.user.uid, process.user.gid) = (uid, gid);
        }
        let names: Vec<String> = USUAL_CAPABILITIES.iter().map(ToString::to_string).collect();
        // Another user than root starts with none, as after any change of user.
        let own = if as_root { names.clone() } else { Vec::new() };
        process.capabilities = Some(Capabilities {
            bounding: names,
            effective: own.clone(),
            permitted: own,
            ..Capabilities::default()
        });
        // A machine's hard limit may be lower than the default, and this is about trying, not about limits.
        process.rlimits.clear();
    }

    fn change_linux(&self, linux: &mut Linux) {
        if self.net == NetMode::Host {
            linux.namespaces.retain(|namespace| namespace.kind != NamespaceKind::Network);
        }
        let resources = linux.resources.get_or_insert_with(Resources::default);
        if let Some(bytes) = self.memory {
            let limit = i64::try_from(bytes).unwrap_or(i64::MAX);
            resources.memory = Some(Memory { limit: Some(limit), ..Memory::default() });
        }
        if let Some(cpus) = self.cpus {
            let quota = (cpus * f64::from(CPU_PERIOD)).round() as i64;
            resources.cpu =
                Some(Cpu { quota: Some(quota), period: Some(CPU_PERIOD.into()), ..Cpu::default() });
        }
        if let Some(limit) = self.pids {
            resources.pids = Some(Pids { limit: Some(limit) });
        }
    }
}

/// An interactive shell: bash where it is, as it has a better line editor.
fn shell() -> Vec<String> {
    let best = if Path::new("/bin/bash").exists() { "/bin/bash" } else { "/bin/sh" };
    vec![best.to_owned()]
}
