//! Volumes with a name: directories that outlive containers.

use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use orlop_runtime::error::Doing as _;
use orlop_runtime::{Error, Result};
use serde::Serialize;

/// In a volume's directory: what is mounted.
const DATA: &str = "data";

/// A volume.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Volume {
    pub(crate) name: String,
    /// What is mounted.
    pub(crate) mountpoint: PathBuf,
    /// The containers that mount it.
    pub(crate) used_by: Vec<String>,
}

/// The directory that is mounted for a volume, which is made if it is missing.
///
/// # Errors
///
/// The kernel's answer.
pub(crate) fn ensure(volumes: &Path, name: &str) -> Result<PathBuf> {
    let data = volumes.join(name).join(DATA);
    let doing = || format!("make the volume {name}, {}", data.display());
    // Nobody but root finds a way to what containers keep there.
    DirBuilder::new().mode(0o700).recursive(true).create(volumes.join(name)).doing(doing)?;
    match DirBuilder::new().mode(0o755).create(&data) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        made => made.doing(doing)?,
    }
    Ok(data)
}

/// The directory of a volume for a container: one that is empty begins with what `fill` puts there.
///
/// # Errors
///
/// The kernel's answer, or `fill`'s.
pub(crate) fn fill(path: &Path, fill: impl FnOnce(&OwnedFd) -> Result<()>) -> Result<()> {
    let doing = || format!("look at the volume {}", path.display());
    let dir = File::open(path).doing(doing)?;
    // Of two containers that begin at once, one fills it.
    let locked = Flock::lock(dir, FlockArg::LockExclusive).map_err(|(_, errno)| errno).doing(doing)?;
    if std::fs::read_dir(path).doing(doing)?.next().is_some() {
        return Ok(());
    }
    fill(&locked.try_clone().doing(doing)?.into())
}

/// All of them, by name.
///
/// # Errors
///
/// The kernel's answer.
pub(crate) fn all(store: &Path) -> Result<Vec<Volume>> {
    let volumes = store.join(super::run::home::VOLUMES);
    let doing = || format!("read {}", volumes.display());
    let entries = match std::fs::read_dir(&volumes) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.doing(doing)?,
    };
    let used = super::run::home::mounted(store)?;
    let mut all = Vec::new();
    for entry in entries {
        let entry = entry.doing(doing)?;
        let (name, mountpoint) = (entry.file_name().to_string_lossy().into_owned(), entry.path().join(DATA));
        let used_by = used.iter().filter(|(_, path)| *path == mountpoint).map(|(id, _)| id.clone()).collect();
        all.push(Volume { name, mountpoint, used_by });
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

/// The volume with this name.
///
/// # Errors
///
/// There is none; the kernel's answer.
pub(crate) fn find(store: &Path, name: &str) -> Result<Volume> {
    let found = all(store)?.into_iter().find(|volume| volume.name == name);
    found.ok_or_else(|| Error::usage(format!("there is no volume {name:?}")))
}

/// Removes a volume that no container uses, with all that is in it.
///
/// # Errors
///
/// There is none, a container uses it, or the kernel's answer.
pub(crate) fn remove(store: &Path, name: &str) -> Result<()> {
    let volume = find(store, name)?;
    if !volume.used_by.is_empty() {
        return Err(Error::usage(format!("volume {name}: in use by {}", volume.used_by.join(", "))));
    }
    let path = store.join(super::run::home::VOLUMES).join(name);
    std::fs::remove_dir_all(&path).doing(|| format!("remove {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_made_once_listed_and_removed() {
        let store = tempfile::tempdir().unwrap();
        assert!(all(store.path()).unwrap().is_empty());
        let volumes = store.path().join("volumes");
        let data = ensure(&volumes, "b").unwrap();
        let filled = std::cell::Cell::new(0);
        let count = || {
            let one_more = |_: &OwnedFd| {
                filled.set(filled.get() + 1);
                Ok(())
            };
            fill(&data, one_more).unwrap();
        };
        count();
        std::fs::write(data.join("file"), "").unwrap();
        count();
        assert_eq!(filled.get(), 1, "only one that is empty");
        assert_eq!(ensure(&volumes, "b").unwrap(), data);
        ensure(&volumes, "a").unwrap();
        let names: Vec<_> = all(store.path()).unwrap().into_iter().map(|volume| volume.name).collect();
        assert_eq!(names, ["a", "b"]);
        remove(store.path(), "b").unwrap();
        assert!(!volumes.join("b").exists() && remove(store.path(), "b").is_err());
        let home = store.path().join("containers/web");
        std::fs::create_dir_all(&home).unwrap();
        let mount = serde_json::json!({"mounts": [{"source": volumes.join("a/data")}]});
        std::fs::write(home.join("config.json"), mount.to_string()).unwrap();
        assert_eq!(find(store.path(), "a").unwrap().used_by, ["web"]);
        assert!(remove(store.path(), "a").is_err());
    }
}
