//! A pod's namespaces with a process in them: the first of the PID namespace that its containers share. It is a container as
//! any other, so that limits, kernel parameters and `delete` after the shim's death are as for any other; its only program is
//! [`orlop_runtime::first_process`].

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use orlop_runtime::{ContainerId, CreateOptions, Held, Runtime};
use orlop_sys::Fd;
use orlop_sys::process::owner;
use serde_json::{Value, json};

use super::wanted::{Users, Wanted};
use crate::messages::Mount;
use crate::messages::sandbox::IdMapping;
use crate::rootfs;
use crate::settings::TaskOptions;
use crate::stdio::{Addresses, Whose, failed};
use crate::ttrpc::Result;

/// The directory in the sandbox's bundle that is the bundle of its process.
const BUNDLE: &str = "first";
/// The program in its root.
const PROGRAM: &str = "first-process";
/// As containerd's own have it: the kernel is to end whatever is in the pod before.
const SCORE: i32 = -998;

/// Makes it and starts it.
///
/// # Errors
///
/// As with any container; nothing is left behind.
pub(super) fn start(
    runtime: &Runtime,
    id: &ContainerId,
    (bundle, options, wanted): (&Path, &TaskOptions, &Wanted),
    whose: &Whose,
) -> Result<Held> {
    let root = bundle.join("rootfs");
    // In memory, as what the bundle lies on may be mounted without the right to execute.
    let mut words = ["mode=755", "size=1m", "nosuid", "nodev"].map(str::to_owned).to_vec();
    if let Some((user, group)) = wanted.users.as_ref().and_then(Users::root) {
        // What a container has in its root, its own root makes.
        words.extend([format!("uid={user}"), format!("gid={group}")]);
    }
    let tmpfs = Mount { kind: "tmpfs".into(), source: "tmpfs".into(), options: words, ..Mount::default() };
    rootfs::mount_all(&[tmpfs], &root)?;
    let started = userns_of(wanted).and_then(|userns| {
        write(bundle, &root, &config(id, &root, options, wanted, userns.as_ref()))?;
        let create = CreateOptions {
            bundle: bundle.join(BUNDLE),
            pid_file: Some(bundle.join("init.pid")),
            no_pivot: options.no_pivot,
            no_new_keyring: options.no_new_keyring,
            ..CreateOptions::default()
        };
        let (stdio, _) = Addresses::default().open(whose)?;
        let held = runtime.create_held(id, &create, &stdio)?;
        runtime.start(id).inspect_err(|_| {
            runtime.delete(id, true).ok();
        })?;
        Ok(held)
    });
    // The process has it in a mount namespace of its own.
    rootfs::unmount_all(&root).map_err(failed(format!("unmount {}", root.display())))?;
    started
}

/// Ends it, and takes away what is left of it. It can be repeated.
///
/// # Errors
///
/// As with any container.
pub(super) fn end(runtime: &Runtime, id: &ContainerId, bundle: &Path) -> Result<()> {
    runtime.delete(id, true)?;
    let root = bundle.join("rootfs");
    rootfs::unmount_all(&root).map_err(failed(format!("unmount {}", root.display())))
}

/// The user namespace that the pod's network was made in, if the pod has one and a network: it has to be root over that.
fn userns_of(wanted: &Wanted) -> Result<Option<OwnedFd>> {
    let (Some(_), Some(network)) = (&wanted.users, &wanted.network) else { return Ok(None) };
    let doing = || format!("find the user namespace of the pod's network, {}", network.display());
    let file = fs::File::open(network).map_err(failed(doing()))?;
    owner(Fd::of(&file)).map(|userns| Some(userns.into())).map_err(failed(doing()))
}

fn write(bundle: &Path, root: &Path, config: &Value) -> Result<()> {
    let own = bundle.join(BUNDLE);
    fs::create_dir_all(&own).map_err(failed(format!("make {}", own.display())))?;
    fs::write(own.join("config.json"), config.to_string()).map_err(failed("write the config of the pod"))?;
    let program = root.join(PROGRAM);
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o755).open(&program);
    file.and_then(|mut file| file.write_all(orlop_runtime::first_process()))
        .map_err(failed(format!("write {}", program.display())))
}

fn config(
    id: &ContainerId,
    root: &Path,
    options: &TaskOptions,
    wanted: &Wanted,
    userns: Option<&OwnedFd>,
) -> Value {
    let mut namespaces = vec![json!({ "type": "mount" })];
    let own = [(wanted.shares_pids, "pid"), (wanted.own_ipc, "ipc"), (wanted.own_uts, "uts")];
    namespaces.extend(own.iter().filter(|(own, _)| *own).map(|(_, kind)| json!({ "type": kind })));
    namespaces.extend(wanted.network.iter().map(|path| json!({ "type": "network", "path": path })));
    let mut sysctls = wanted.sysctls.clone();
    sysctls.extend(wanted.usual_sysctls().map(|(name, value)| (name.to_owned(), value.to_owned())));
    let mut config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "args": [format!("/{PROGRAM}")], "cwd": "/", "user": { "uid": 0, "gid": 0 }, "noNewPrivileges": true,
        },
        "root": { "path": root, "readonly": true },
        "linux": {
            "namespaces": namespaces,
            "sysctl": sysctls,
            "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
        },
    });
    if let Some(users) = &wanted.users {
        let mut namespace = json!({ "type": "user" });
        if let Some(userns) = userns {
            // It has no other path.
            namespace["path"] = format!("/proc/self/fd/{}", userns.as_raw_fd()).into();
        }
        if let Some(namespaces) = config["linux"]["namespaces"].as_array_mut() {
            namespaces.push(namespace);
        }
        let maps = |ids: &[IdMapping]| {
            let map = |ids: &IdMapping| json!({ "containerID": ids.container_id, "hostID": ids.host_id, "size": ids.length });
            ids.iter().map(map).collect::<Value>()
        };
        config["linux"]["uidMappings"] = maps(&users.uids);
        config["linux"]["gidMappings"] = maps(&users.gids);
    }
    if wanted.own_uts && !wanted.hostname.is_empty() {
        config["hostname"] = wanted.hostname.as_str().into();
    }
    if may_lower_scores() {
        config["process"]["oomScoreAdj"] = SCORE.into();
    }
    if let Some(path) = options.cgroup_below(&wanted.cgroup_parent, id.as_str()) {
        config["linux"]["cgroupsPath"] = path.into();
    }
    config
}

/// Lowering the score takes a right that a containerd in a container may not have.
fn may_lower_scores() -> bool {
    const CAP_SYS_RESOURCE: u32 = 24;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> CAP_SYS_RESOURCE & 1 == 1)
}
