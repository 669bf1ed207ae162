//! Mounts that lead out of the container, and the places where a container's mounts go.
//!
//! CRIU saves the content of a tmpfs, mounts other file systems anew, and has to be told which mounts are of something
//! outside. The program that made the container says it: whatever a step bound.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use orlop_compile::{Compiled, FillWith};
use orlop_init::target;
use orlop_program::source::Source;
use orlop_program::{Slot, Step, Str};
use orlop_sys::{Fd, file};

use super::{CriuError, Message, opt, pair};
use crate::error::{Doing, Result};

/// A mount of the container, in the order of the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mounted {
    /// Where, as the config says it.
    at: PathBuf,
    /// What of the host's; `None` for a new file system.
    source: Option<PathBuf>,
}

/// All mounts of a container that were made of what the config lists.
pub(crate) fn of(compiled: &Compiled) -> Vec<Mounted> {
    let mut dirs: Vec<(Slot, PathBuf)> = Vec::new();
    let mut mounted = Vec::new();
    for step in compiled.program.steps().flatten() {
        match step {
            Step::OpenDir { path, slot } => dirs.push((slot, tidy(path))),
            Step::Mount { target, .. } => mounted.push(Mounted { at: tidy(target), source: None }),
            Step::Bind { source, target, .. } => {
                mounted.push(Mounted { at: tidy(target), source: on_host(source, compiled) });
            }
            Step::BindDevice { dir, name, source, .. } => {
                let dir = dirs.iter().rfind(|(slot, _)| *slot == dir).map(|(_, path)| path.join(tidy(name)));
                mounted.extend(dir.map(|at| Mounted { at, source: on_host(source, compiled) }));
            }
            _ => {}
        }
    }
    mounted
}

/// A path in the container that can be compared: without double slashes and one at the end.
fn tidy(path: Str<'_>) -> PathBuf {
    path_of(path).components().collect()
}

fn path_of(path: Str<'_>) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(path.bytes().to_vec()))
}

fn on_host(source: Source<'_>, compiled: &Compiled) -> Option<PathBuf> {
    match source {
        Source::Path(path) | Source::Mapped(path, ..) | Source::MappedByHost(path, _) => Some(path_of(path)),
        Source::Tree(slot) => {
            compiled.launch.fills.iter().find(|fill| fill.slot == slot).and_then(|fill| match &fill.what {
                FillWith::DetachedTree { path, .. } => Some(path.clone()),
                FillWith::Procfs | FillWith::UserNamespace(_) => None,
            })
        }
    }
}

/// Refuses mounts whose ids are mapped, which CRIU would restore without, and those among the host's, which it would save.
///
/// # Errors
///
/// [`CriuError::Unable`].
pub(crate) fn refuse(compiled: &Compiled) -> Result<()> {
    if compiled.launch.mounts_on_host {
        let what = "the container has no mount namespace, so its mounts are the host's".to_owned();
        return Err(CriuError::Unable { what }.into());
    }
    let mapped = compiled.launch.fills.iter().find_map(|fill| match &fill.what {
        FillWith::DetachedTree { id_map, .. } => id_map.as_ref(),
        FillWith::UserNamespace(id_map) => Some(id_map),
        FillWith::Procfs => None,
    });
    let Some(mapped) = mapped.or(compiled.launch.maps_by_host.first()) else { return Ok(()) };
    let what = format!("the id-mapped mount of {} would be restored without its mapping", mapped.origin);
    Err(CriuError::Unable { what }.into())
}

/// For a dump: where in the container what lies outside. CRIU saves the place in the config as its name.
///
/// # Errors
///
/// [`Error::Kernel`](crate::Error::Kernel): the container's root cannot be opened.
pub(crate) fn name_external(opts: &mut Message, mounted: &[Mounted], pid: i32) -> Result<()> {
    let root = format!("/proc/{pid}/root");
    let root: OwnedFd = File::open(&root).doing(|| format!("open {root}"))?.into();
    for mount in mounted.iter().filter(|mount| mount.source.is_some()) {
        let point = mount_point(&root, &mount.at).unwrap_or_else(|| mount.at.clone());
        opts.message(opt::EXT_MNT, &pair(point.as_os_str().as_bytes(), mount.at.as_os_str().as_bytes()));
    }
    Ok(())
}

/// Where a path leads to in the container, if there are symbolic links on the way.
fn mount_point(root: &OwnedFd, at: &Path) -> Option<PathBuf> {
    let name = std::ffi::CString::new(at.as_os_str().as_bytes()).ok()?;
    let found = file::open_path_in_root(Fd::of(root), &name).ok()?;
    std::fs::read_link(format!("/proc/self/fd/{}", found.fd().raw())).ok()
}

/// For restoring: what of the host is behind those names.
pub(crate) fn supply_external(opts: &mut Message, mounted: &[Mounted]) {
    for Mounted { at, source } in mounted {
        if let Some(source) = source {
            opts.message(opt::EXT_MNT, &pair(at.as_os_str().as_bytes(), source.as_os_str().as_bytes()));
        }
    }
}

/// Makes the places that mounts go to where they are missing, as `create` does: in the root file system, or in what is
/// bound there. A file system that CRIU makes anew has its own.
///
/// # Errors
///
/// [`Error::Kernel`](crate::Error::Kernel).
pub(crate) fn make_places(rootfs: &Path, mounted: &[Mounted]) -> Result<()> {
    for (index, mount) in mounted.iter().enumerate() {
        let Some((below, inside)) = place(rootfs, &mounted[..index], &mount.at) else { continue };
        let doing = || format!("make the mount point {} in {}", inside.display(), below.display());
        let root: OwnedFd = File::open(&below).doing(doing)?.into();
        let inside_bytes = inside.as_os_str().as_bytes();
        let is_directory = mount.source.as_ref().is_none_or(|source| source.is_dir());
        let made = if is_directory {
            target::directory(Fd::of(&root), inside_bytes, 0o755)
        } else {
            target::file_or_new(Fd::of(&root), inside_bytes)
        };
        made.doing(doing)?;
    }
    Ok(())
}

/// Makes a directory in the root file system, if it is missing.
///
/// # Errors
///
/// [`Error::Kernel`](crate::Error::Kernel).
pub(crate) fn make_directory(rootfs: &Path, inside: &Path) -> Result<()> {
    let doing = || format!("make the directory {} in {}", inside.display(), rootfs.display());
    let root: OwnedFd = File::open(rootfs).doing(doing)?.into();
    target::directory(Fd::of(&root), inside.as_os_str().as_bytes(), 0o755).map(drop).doing(doing)
}

/// The directory of the host and the path in it where a mount goes; `None` if it goes to a new file system.
fn place(rootfs: &Path, before: &[Mounted], at: &Path) -> Option<(PathBuf, PathBuf)> {
    // What was mounted last is on top.
    for mount in before.iter().rev() {
        if let Ok(inside) = at.strip_prefix(&mount.at) {
            let is_over_it = inside.as_os_str().is_empty();
            return match &mount.source {
                Some(source) if !is_over_it => Some((source.clone(), inside.to_owned())),
                _ => None,
            };
        }
    }
    let inside = at.components().filter(|part| !matches!(part, Component::RootDir)).collect();
    Some((rootfs.to_owned(), inside))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use orlop_compile::{Fill, Launch, MountIdMap, Origin, UserNamespace};
    use orlop_program::Builder;

    #[test]
    fn a_mapping_that_would_be_lost_is_refused() {
        let compiled = |id_map: Option<MountIdMap>| {
            let what = FillWith::DetachedTree { path: "/srv".into(), recursive: false, id_map, locked: None };
            let fills = vec![Fill { slot: Slot::FREE, what, origin: Origin::Rule("") }];
            let program = Builder::default().finish().unwrap();
            Compiled { program, launch: Launch { fills, ..Launch::default() }, warnings: Vec::new() }
        };
        assert!(refuse(&compiled(None)).is_ok());
        let namespace = UserNamespace::Of("/proc/1/ns/user".into());
        let id_map = MountIdMap { namespace, recursive: false, origin: Origin::Rule("/mounts/1") };
        let refused = refuse(&compiled(Some(id_map)));
        assert!(matches!(refused, Err(Error::Criu(CriuError::Unable { .. }))));
    }

    #[test]
    fn mount_points_are_made_where_the_mount_below_them_is() {
        let rootfs = Path::new("/b/rootfs");
        let mount =
            |at: &str, source: Option<&str>| Mounted { at: at.into(), source: source.map(PathBuf::from) };
        let before = [mount("/tmp", None), mount("/data", Some("/host")), mount("/data/c", None)];
        let at = |path: &str| place(rootfs, &before, Path::new(path));
        let some = |dir: &str, inside: &str| Some((PathBuf::from(dir), PathBuf::from(inside)));
        assert_eq!(at("/etc/hosts"), some("/b/rootfs", "etc/hosts"));
        assert_eq!(at("/tmpfile"), some("/b/rootfs", "tmpfile"));
        assert_eq!(at("/tmp/a"), None, "CRIU saves what is in a tmpfs");
        assert_eq!(at("/data/a/b"), some("/host", "a/b"));
        assert_eq!(at("/data/c/d"), None);
        assert_eq!(at("/data"), None, "it is there");
    }
}
