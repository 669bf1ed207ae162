//! A pod's namespaces with a process in them: the first of the PID namespace that its containers share. It is a container as
//! any other, so that limits, kernel parameters and `delete` after the shim's death are as for any other; its only program is
//! [`orlop_runtime::first_process`].

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use orlop_runtime::{ContainerId, CreateOptions, Held, Runtime};
use serde_json::{Value, json};

use super::wanted::Wanted;
use crate::messages::Mount;
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
    let words = ["mode=755", "size=1m", "nosuid", "nodev"].map(str::to_owned).to_vec();
    let tmpfs = Mount { kind: "tmpfs".into(), source: "tmpfs".into(), options: words, ..Mount::default() };
    rootfs::mount_all(&[tmpfs], &root)?;
    let started = write(bundle, &root, &config(id, &root, options, wanted)).and_then(|()| {
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

fn config(id: &ContainerId, root: &Path, options: &TaskOptions, wanted: &Wanted) -> Value {
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
