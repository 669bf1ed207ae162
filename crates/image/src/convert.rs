//! Image config and overrides become a runtime config ([conversion.md]).
//!
//! What is not said by either is as Docker has it: its capabilities, its masked and read-only paths, private namespaces. A
//! system call filter is not added here; whoever has a profile sets `linux.seccomp`.
//!
//! [conversion.md]: https://github.com/opencontainers/image-spec/blob/v1.1.1/conversion.md

use std::collections::BTreeMap;

use orlop_spec::default::USUAL_CAPABILITIES;
use orlop_spec::{Capabilities, IdMapping, Process, Root, Spec, User, default_spec};

use crate::document::{Execution, ImageConfig};
use crate::error::{Error, Result};
use crate::tree::Tree;
use crate::users;

/// What is masked besides what `orlop spec` masks: what tells of other containers by timing or by power.
const ALSO_MASKED: [&str; 2] = ["/proc/interrupts", "/sys/devices/virtual/powercap"];
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What whoever runs an image wants otherwise than the image says. `Default` changes nothing.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Instead of the image's `Cmd`, unless empty.
    pub command: Vec<String>,
    /// Instead of the image's `Entrypoint`; its `Cmd` then does not count either. An empty one takes it away.
    pub entrypoint: Option<Vec<String>>,
    /// Variables, each `NAME=value`, besides the image's or instead of those of the same name.
    pub env: Vec<String>,
    /// `user`, `uid`, `user:group`, … instead of the image's `User`.
    pub user: Option<String>,
    /// Further groups, by name or number.
    pub groups: Vec<String>,
    /// The working directory.
    pub working_dir: Option<String>,
    /// The host name.
    pub hostname: Option<String>,
    /// The signal that asks the program to end.
    pub stop_signal: Option<String>,
    /// Annotations, besides the image's labels or instead of those of the same name.
    pub annotations: BTreeMap<String, String>,
    /// Whether there is a terminal; `TERM` is set then.
    pub terminal: bool,
    /// Whether the root file system is read-only.
    pub read_only: bool,
    /// Whether set-user-id programs give no more rights.
    pub no_new_privileges: bool,
    /// The ids that root in the container is for the host, if that is not root: then a user namespace has them.
    pub rootless: Option<(u32, u32)>,
}

/// The runtime config for an image, with the root file system at `rootfs`.
///
/// `tree` is where names of users are looked up: [`Tree::of`] an image's layers, or [`Tree::open`] of a directory. The
/// config has a cgroup namespace, which belongs out where cgroups of version 1 are, as with `orlop spec`. Volumes are left to
/// the caller ([`volumes`]), and so is the working directory, which has to be made if it is missing, as runtimes do.
///
/// # Errors
///
/// There is nothing to run. A user or group is not in the image. What the image says makes no sense.
pub fn runtime_spec(image: &ImageConfig, tree: &Tree, overrides: &Overrides) -> Result<Spec> {
    let config = &image.config;
    let mut spec = default_spec(overrides.rootless.is_some());
    let user = users::find(tree, overrides.user.as_deref().unwrap_or(&config.user), &overrides.groups)?;
    spec.process = Some(process(config, user, overrides)?);
    spec.root = Some(Root { path: "rootfs".into(), readonly: overrides.read_only });
    if let Some(hostname) = &overrides.hostname {
        spec.hostname.clone_from(hostname);
    }
    spec.annotations = annotations(image, overrides);
    if let Some(linux) = &mut spec.linux {
        linux.masked_paths.extend(ALSO_MASKED.map(str::to_owned));
        if let Some((uid, gid)) = overrides.rootless {
            let map = |host_id| vec![IdMapping { container_id: 0, host_id, size: 1 }];
            (linux.uid_mappings, linux.gid_mappings) = (map(uid), map(gid));
        }
    }
    Ok(spec)
}

fn process(config: &Execution, user: User, overrides: &Overrides) -> Result<Process> {
    let cwd = overrides.working_dir.as_ref().unwrap_or(&config.working_dir);
    if !cwd.is_empty() && !cwd.starts_with('/') {
        return Err(Error::usage(format!("working directory {cwd:?}"), "it is not absolute"));
    }
    let all: Vec<String> = USUAL_CAPABILITIES.map(str::to_owned).into();
    // Others than root get what they have by executing programs, if at all.
    let held = if user.uid == 0 { all.clone() } else { Vec::new() };
    Ok(Process {
        terminal: overrides.terminal,
        args: arguments(config, overrides)?,
        env: environment(config, overrides)?,
        cwd: if cwd.is_empty() { "/".into() } else { cwd.clone() },
        capabilities: Some(Capabilities {
            bounding: all,
            effective: held.clone(),
            permitted: held,
            ..Capabilities::default()
        }),
        no_new_privileges: overrides.no_new_privileges,
        user,
        ..Process::default()
    })
}

/// The entrypoint and what follows it: Docker's rules.
fn arguments(config: &Execution, overrides: &Overrides) -> Result<Vec<String>> {
    let entrypoint = overrides.entrypoint.as_ref().unwrap_or(&config.entrypoint);
    // The image's Cmd are arguments for the image's own entrypoint.
    let command = match &overrides.entrypoint {
        None if overrides.command.is_empty() => &config.cmd,
        _ => &overrides.command,
    };
    let arguments: Vec<_> = entrypoint.iter().chain(command).cloned().collect();
    if arguments.first().is_none_or(String::is_empty) {
        return Err(Error::usage("the image", "it names no program to run, so one has to be given"));
    }
    Ok(arguments)
}

/// The image's variables, then those that are asked for; of one name the last one, where the first was.
fn environment(config: &Execution, overrides: &Overrides) -> Result<Vec<String>> {
    let mut variables: Vec<String> = Vec::new();
    let name = |variable: &str| variable.split_once('=').map(|(name, _)| name.to_owned());
    let term = overrides.terminal.then(|| "TERM=xterm".to_owned());
    let usual = [PATH.to_owned()].into_iter().chain(term);
    for variable in usual.chain(config.env.iter().cloned()).chain(overrides.env.iter().cloned()) {
        let own = name(&variable).filter(|name| !name.is_empty());
        let own =
            own.ok_or_else(|| Error::usage(format!("variable {variable:?}"), "it should read NAME=value"))?;
        match variables.iter_mut().find(|other| name(other).as_ref() == Some(&own)) {
            Some(other) => *other = variable,
            None => variables.push(variable),
        }
    }
    Ok(variables)
}

/// What the image says of itself; its labels; what is asked for: the later counts.
fn annotations(image: &ImageConfig, overrides: &Overrides) -> BTreeMap<String, String> {
    let ports: Vec<_> = image.config.exposed_ports.keys().map(String::as_str).collect();
    let stop_signal = overrides.stop_signal.as_ref().unwrap_or(&image.config.stop_signal);
    let own = [
        ("os", image.platform.os.as_str()),
        ("architecture", &image.platform.architecture),
        ("variant", &image.platform.variant),
        ("author", &image.author),
        ("created", &image.created),
        ("stopSignal", stop_signal),
        ("exposedPorts", &ports.join(",")),
    ];
    let own = own.into_iter().filter(|(_, value)| !value.is_empty());
    let mut annotations: BTreeMap<String, String> =
        own.map(|(key, value)| (format!("org.opencontainers.image.{key}"), value.to_owned())).collect();
    annotations.extend(image.config.labels.clone());
    if let Some(signal) = &overrides.stop_signal {
        annotations.insert("org.opencontainers.image.stopSignal".into(), signal.clone());
    }
    annotations.extend(overrides.annotations.clone());
    annotations
}

/// The directories that the image wants to be volumes, absolute in the container.
///
/// # Errors
///
/// One of them is not absolute, or has `..` in it.
pub fn volumes(image: &ImageConfig) -> Result<Vec<String>> {
    let volumes = image.config.volumes.keys().map(|path| {
        let inside = path.starts_with('/') && !path.split('/').any(|part| part == "..");
        let wrong = || Error::usage(format!("volume {path:?}"), "it is not an absolute path without ..");
        inside.then(|| path.clone()).ok_or_else(wrong)
    });
    volumes.collect()
}

#[cfg(test)]
mod tests;
