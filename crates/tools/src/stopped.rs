//! The root file system of a container that does not run, as it would be seen inside: without what is mounted in it.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{getegid, geteuid};
use orlop_runtime::error::Doing as _;
use orlop_runtime::{ContainerState, Error, Result};
use orlop_spec::{IdMapping, NamespaceKind, Spec};
use orlop_sys::{Fd, mount, process};

use crate::commands::diff;

/// The root of a container, as `O_PATH`; of an overlay, a mount that nobody else sees and that goes with the descriptor.
/// `path` is what is wanted in it. And whom its root's files belong to there.
///
/// # Errors
///
/// The path is in something that is only there while the container runs; the kernel's answer.
pub(crate) fn root(state: &ContainerState, path: &str) -> Result<(OwnedFd, (u32, u32))> {
    let spec = spec(&state.bundle)?;
    if let Some(mount) = spec.mounts.iter().find(|mount| Path::new(path).starts_with(&mount.destination)) {
        let (id, at) = (&state.id, &mount.destination);
        let message = format!("container {id}: it does not run, so nothing is mounted at {at} in it");
        return Err(Error::usage(if mount.source.starts_with('/') {
            format!("{message}: {} is what would be there", mount.source)
        } else {
            message
        }));
    }
    if !state.annotations.contains_key(orlop_compile::OVERLAY) {
        return Ok((open(&state.rootfs)?, mapped(&spec)));
    }
    let (upper, lowers) = diff::layers(state)?;
    let in_user_namespace =
        spec.linux.iter().flat_map(|linux| &linux.namespaces).any(|space| space.kind == NamespaceKind::User);
    if !geteuid().is_root() {
        own_namespaces()?;
    }
    let mounted = overlay(&upper, &lowers, in_user_namespace);
    // Its directories have the owners that they are seen with inside, or are all of the caller, who is root here.
    Ok((mounted.doing(|| format!("mount the root of container {}", state.id))?, (0, 0)))
}

/// Who root in a container is, by its config.
fn mapped(spec: &Spec) -> (u32, u32) {
    let of = |mappings: &[IdMapping]| {
        let root = mappings.iter().find(|mapping| mapping.container_id == 0);
        root.map_or(0, |mapping| mapping.host_id)
    };
    spec.linux.as_ref().map_or((0, 0), |linux| (of(&linux.uid_mappings), of(&linux.gid_mappings)))
}

fn spec(bundle: &Path) -> Result<Spec> {
    let path = bundle.join("config.json");
    let text = std::fs::read(&path).doing(|| format!("read {}", path.display()))?;
    serde_json::from_slice(&text).map_err(|e| Error::State { path, why: e.to_string() })
}

/// Opens a directory, as `O_PATH`.
///
/// # Errors
///
/// The kernel's answer.
pub(crate) fn open(path: &Path) -> Result<OwnedFd> {
    directory(path).doing(|| format!("open {}", path.display()))
}

fn directory(path: &Path) -> std::io::Result<OwnedFd> {
    let opened = File::options().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(path);
    opened.map(OwnedFd::from)
}

/// Who is not root may mount in namespaces of their own, where they are.
fn own_namespaces() -> Result<()> {
    let (uid, gid) = (geteuid(), getegid());
    let doing = || "make a user namespace".to_owned();
    process::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS).doing(doing)?;
    let maps = [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {uid} 1")),
        ("gid_map", format!("0 {gid} 1")),
    ];
    maps.iter().try_for_each(|(file, text)| std::fs::write(format!("/proc/self/{file}"), text)).doing(doing)
}

/// A mount of an overlay. Its notes are where the container's own overlay has them: in a user namespace in `user.` attributes.
fn overlay(upper: &Path, lowers: &[PathBuf], user_attributes: bool) -> std::io::Result<OwnedFd> {
    let fault = |e: orlop_sys::Error| std::io::Error::from_raw_os_error(e.errno());
    let context = mount::fsopen(c"overlay").map_err(fault)?;
    let set = |key, value: Option<&str>| {
        let value = value.map(CString::new).transpose()?;
        mount::fsconfig(Fd::of(&context), key, value.as_deref()).map_err(fault)
    };
    // A value is shorter than 256 bytes, so directories are named by descriptor.
    let opened = lowers.iter().map(|lower| directory(lower)).collect::<std::io::Result<Vec<_>>>()?;
    let names: Vec<String> = opened.iter().map(|dir| format!("/proc/self/fd/{}", dir.as_raw_fd())).collect();
    for (number, name) in names.iter().enumerate() {
        match set(c"lowerdir+", Some(name)) {
            // Before Linux 6.5, all at once.
            Err(e) if number == 0 && e.raw_os_error() == Some(libc::EINVAL) => {
                set(c"lowerdir", Some(&names.join(":")))?;
                break;
            }
            added => added?,
        }
    }
    let changes = directory(upper.parent().unwrap_or(upper))?;
    let within = format!("/proc/self/fd/{}", changes.as_raw_fd());
    set(c"upperdir", Some(&format!("{within}/upper")))?;
    set(c"workdir", Some(&format!("{within}/work")))?;
    if user_attributes || !geteuid().is_root() {
        set(c"userxattr", None)?;
    }
    mount::fsconfig_create(Fd::of(&context)).map_err(fault)?;
    mount::fsmount(Fd::of(&context), 0).map(Into::into).map_err(fault)
}
