//! From the wishes of the command line to a config: what the image says, with them on top.

use std::path::Path;

use nix::unistd::{getegid, geteuid};
use orlop_command::entry::called;
use orlop_compile::{OVERLAY, OVERLAY_LOWER};
use orlop_image::tree::Tree;
use orlop_image::{ImageHandle, Overrides, Store};
use orlop_runtime::error::Doing as _;
use orlop_runtime::{ContainerId, Error, Result, Runtime, has_cgroups_of_version_1};
use orlop_seccomp::Arch;
use orlop_spec::{Hook, Linux, Mount, NamespaceKind, Process, Resources, Root, Spec};
use serde_json::value::RawValue;

use super::args::Wishes;
use super::home::{CHANGES, Home, NETWORK, ROOT, VOLUMES};
use super::mounts::Source;
use super::network::Network;
use super::security::{self, Filter};
use super::userns::{self, Claim};
use crate::images::Told as _;

/// How long a hook of ours may take, in seconds: plugins of networks ask others.
const PATIENCE: i64 = 120;

/// What a config is made for.
pub(crate) struct Making<'a> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) id: &'a ContainerId,
    pub(crate) images: &'a Store,
    pub(crate) home: &'a Home,
    pub(crate) image: &'a ImageHandle,
    pub(crate) wishes: &'a Wishes,
    /// Where the state of containers is.
    pub(crate) state: &'a Path,
}

impl Making<'_> {
    /// The config; files that it names are made. What it claims is its own once it is written.
    ///
    /// # Errors
    ///
    /// A wish cannot be had; the kernel's answer.
    pub(crate) fn config(&self) -> Result<(Spec, Claim)> {
        let wishes = self.wishes;
        let rootless = (!geteuid().is_root()).then(|| (geteuid().as_raw(), getegid().as_raw()));
        let overrides = Overrides {
            command: wishes.command.clone(),
            // An empty one is none.
            entrypoint: wishes.entrypoint.as_ref().map(|program| {
                Some(program).filter(|program| !program.is_empty()).cloned().into_iter().collect()
            }),
            env: wishes.env.clone(),
            user: wishes.user.clone(),
            groups: wishes.groups.clone(),
            working_dir: wishes.workdir.clone(),
            hostname: Some(self.hostname().to_owned()),
            stop_signal: wishes.stop_signal.clone(),
            annotations: wishes.annotations.iter().cloned().collect(),
            terminal: wishes.terminal,
            read_only: wishes.read_only,
            no_new_privileges: wishes.security.no_new_privileges,
            rootless,
        };
        let tree = Tree::of(self.image).told()?;
        let mut spec = orlop_image::runtime_spec(&self.image.config, &tree, &overrides).told()?;
        self.root(&mut spec);
        let mut process = spec.process.take().unwrap_or_default();
        let mut linux = spec.linux.take().unwrap_or_default();
        self.process(&mut process)?;
        self.linux(&mut linux, &mut process)?;
        let claim = wishes.ids.apply(&mut linux, self.images.path())?;
        self.mounts(&mut spec.mounts, &linux)?;
        (spec.process, spec.linux) = (Some(process), Some(linux));
        self.hooks(&mut spec)?;
        Ok((spec, claim))
    }

    fn hostname(&self) -> &str {
        self.wishes.hostname.as_deref().unwrap_or(self.id.as_str())
    }

    fn root(&self, spec: &mut Spec) {
        spec.root = Some(Root { path: ROOT.to_owned(), readonly: self.wishes.read_only });
        let layers: Vec<_> = self.image.layers.iter().map(|layer| layer.display().to_string()).collect();
        let changes = self.home.path().join(CHANGES).display().to_string();
        spec.annotations.insert(OVERLAY.to_owned(), changes);
        spec.annotations.insert(OVERLAY_LOWER.to_owned(), layers.join(":"));
    }

    fn process(&self, process: &mut Process) -> Result<()> {
        let wishes = self.wishes;
        if !process.env.iter().any(|variable| variable.starts_with("HOSTNAME=")) {
            process.env.push(format!("HOSTNAME={}", self.hostname()));
        }
        process.rlimits.clone_from(&wishes.ulimits);
        process.oom_score_adj = wishes.oom_score_adj;
        let names = security::capabilities(&wishes.cap_add, &wishes.cap_drop)
            .map_err(|e| Error::usage(format!("--cap-add, --cap-drop: {e}")))?;
        process.capabilities = Some(security::sets(names, process.user.uid == 0));
        Ok(())
    }

    fn linux(&self, linux: &mut Linux, process: &mut Process) -> Result<()> {
        let wishes = self.wishes;
        if has_cgroups_of_version_1() {
            linux.namespaces.retain(|namespace| namespace.kind != NamespaceKind::Cgroup);
        }
        wishes.security.apply(process, linux);
        linux.seccomp = self.filter(process)?;
        linux.sysctl.extend(wishes.sysctls.iter().cloned());
        let resources = linux.resources.get_or_insert_with(Resources::default);
        wishes.limits.apply(resources).map_err(Error::usage)?;
        for device in &wishes.devices {
            security::device(device, linux).map_err(|e| Error::usage(format!("--device {device}: {e}")))?;
        }
        wishes.network.apply(&mut linux.namespaces, self.runtime)
    }

    fn filter(&self, process: &Process) -> Result<Option<Box<RawValue>>> {
        let text = match &self.wishes.security.filter {
            Filter::None => return Ok(None),
            Filter::File(file) => {
                std::fs::read_to_string(file).doing(|| format!("read the seccomp profile {file}"))?
            }
            Filter::Standard => {
                let held = process.capabilities.iter().flat_map(|sets| &sets.bounding).map(String::as_str);
                let Some(native) = Arch::host() else { return Ok(None) };
                serde_json::json!(orlop_seccomp::standard(held, native)).to_string()
            }
        };
        let wrong = |e: serde_json::Error| Error::usage(format!("the seccomp profile is not JSON: {e}"));
        RawValue::from_string(text).map(Some).map_err(wrong)
    }

    fn mounts(&self, mounts: &mut Vec<Mount>, linux: &Linux) -> Result<()> {
        if let Some(bytes) = self.wishes.shm_size {
            for mount in mounts.iter_mut().filter(|mount| mount.destination == "/dev/shm") {
                mount.options.retain(|option| !option.starts_with("size="));
                mount.options.push(format!("size={bytes}"));
            }
        }
        let has = |kind| linux.namespaces.iter().any(|namespace| namespace.kind == kind);
        if has(NamespaceKind::User) {
            userns::sys(mounts, has(NamespaceKind::Network));
        }
        // What is ours and the container's, in its own ids.
        let mapped = geteuid().is_root() && has(NamespaceKind::User);
        let first = mounts.len();
        self.files(mounts, linux)?;
        if mapped {
            mounts[first..].iter_mut().for_each(in_its_ids);
        }
        for (number, wish) in self.wishes.mounts.iter().enumerate() {
            let path = match &wish.source {
                Source::Memory(_) => None,
                Source::Anonymous => Some(self.home.directory(&format!("volumes/{number}"), 0o755)?),
                Source::Volume(name) => {
                    Some(crate::volumes::ensure(&self.images.path().join(VOLUMES), name)?)
                }
                Source::Host { path, make } => Some(host_path(path, *make)?),
            };
            let is_volume = matches!(wish.source, Source::Anonymous | Source::Volume(_));
            if let (Some(path), true, true) = (&path, is_volume, wish.copy) {
                crate::volumes::fill(path, |to| {
                    self.images.copy_directory(self.image, &wish.target, to).told().map(drop)
                })?;
            }
            let mut mount = wish.mount(path.as_deref());
            if is_volume && mapped {
                in_its_ids(&mut mount);
            }
            mounts.push(mount);
        }
        Ok(())
    }

    /// The files about names, unless the user mounts others there.
    fn files(&self, mounts: &mut Vec<Mount>, linux: &Linux) -> Result<()> {
        let of_host = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let own = linux.namespaces.iter().any(|namespace| namespace.kind == NamespaceKind::Network);
        let files = [
            ("hostname", format!("{}\n", self.hostname())),
            ("hosts", self.wishes.names.hosts_file()),
            ("resolv.conf", self.wishes.names.resolv_conf(&of_host, !own)),
        ];
        for (file, text) in files {
            let destination = format!("/etc/{file}");
            if self.wishes.mounts.iter().any(|wish| wish.target == destination) {
                continue;
            }
            let path = self.home.file(file, &text)?;
            mounts.push(Mount {
                destination,
                kind: "bind".to_owned(),
                source: path.display().to_string(),
                options: ["bind", "rprivate"].map(str::to_owned).to_vec(),
                ..Mount::default()
            });
        }
        Ok(())
    }

    /// What is to happen when it starts and when it is deleted, by this program.
    fn hooks(&self, spec: &mut Spec) -> Result<()> {
        let own = std::env::current_exe().doing(|| "find this program".to_owned())?;
        let hook = |what: &str| Hook {
            path: own.display().to_string(),
            args: [called(), "hook", what]
                .iter()
                .map(ToString::to_string)
                .chain([
                    self.home.path().display().to_string(),
                    self.state.join(self.id.as_str()).display().to_string(),
                ])
                .collect(),
            env: ["PATH", "CNI_PATH", "NETCONFPATH"]
                .iter()
                .filter_map(|name| std::env::var(name).ok().map(|value| format!("{name}={value}")))
                .collect(),
            timeout: Some(PATIENCE),
        };
        if let Network::Cni(name) = &self.wishes.network {
            let network = crate::cni::find(name)?;
            if !self.wishes.ports.is_empty() && !network.maps_ports() {
                return Err(Error::usage(format!(
                    "--publish: network {name} has no plugin for ports, such as portmap"
                )));
            }
            let wanted = crate::commands::hook::Connection::wanted(name, &self.wishes.ports);
            self.home.file(NETWORK, &wanted.to_text())?;
            spec.hooks.create_runtime.push(hook("connect"));
            spec.hooks.poststop.push(hook("disconnect"));
        }
        spec.hooks.poststop.push(hook("remove"));
        Ok(())
    }
}

/// The files of a mount have the owners in the container that they have outside.
fn in_its_ids(mount: &mut Mount) {
    mount.options.push("idmap".to_owned());
}

/// Where a bind mount comes from; with `-v`, a directory is made if there is nothing, as Docker does.
fn host_path(path: &str, make: bool) -> Result<std::path::PathBuf> {
    let absolute = std::path::absolute(path).doing(|| format!("find {path}"))?;
    if make && !absolute.exists() {
        std::fs::create_dir_all(&absolute).doing(|| format!("make {}", absolute.display()))?;
    }
    Ok(absolute)
}
