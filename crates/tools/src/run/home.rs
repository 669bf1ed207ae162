//! A container's own directory: its bundle, what it changes, its files in `/etc`, its own volumes. It is made by `run`, and
//! taken away when the container is deleted, by a hook of its config (`commands/hook.rs`).

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use orlop_image::Store;
use orlop_runtime::error::Doing as _;
use orlop_runtime::{ContainerId, Error, Result};
use orlop_spec::IdMapping;
use serde::Deserialize as _;
use serde_json::Value;

use crate::images::Told as _;

/// Taken away again unless it is kept.
pub(crate) struct Home {
    path: PathBuf,
    kept: bool,
    /// Tells [`sweep`] that somebody is at it.
    _lock: Flock<File>,
}

/// In the directory of the store: those of containers, and volumes with a name.
const CONTAINERS: &str = "containers";
pub(crate) const VOLUMES: &str = "volumes";
/// Where the root file system appears: an empty directory, over which the overlay lies.
pub(crate) const ROOT: &str = "rootfs";
/// Where changes go.
pub(crate) const CHANGES: &str = "changes";
/// The network that it is connected to.
pub(crate) const NETWORK: &str = "network.json";

impl Home {
    /// Makes it; there must be none.
    ///
    /// # Errors
    ///
    /// There is a container with this id, or what is left of one; the kernel's answer.
    pub(crate) fn make(store: &Path, id: &ContainerId) -> Result<Self> {
        let all = store.join(CONTAINERS);
        let made = DirBuilder::new().mode(0o700).recursive(true).create(&all);
        made.doing(|| format!("make {}", all.display()))?;
        let path = all.join(id.as_str());
        let making = lock(store)?;
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                let path = path.display();
                return Err(Error::usage(format!(
                    "there is a container {id} already, or what is left of one, in {path}: `orlop delete {id}`, or another \
                     --name"
                )));
            }
            made => made.doing(|| format!("make {}", path.display()))?,
        }
        let own = File::open(&path).doing(|| format!("open {}", path.display()))?;
        let own = Flock::lock(own, FlockArg::LockExclusive).map_err(|(_, errno)| errno);
        let home = Self { _lock: own.doing(|| format!("lock {}", path.display()))?, path, kept: false };
        drop(making);
        home.directory(ROOT, 0o755)?;
        home.directory(CHANGES, 0o700)?;
        Ok(home)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a directory in it.
    pub(crate) fn directory(&self, name: &str, mode: u32) -> Result<PathBuf> {
        let path = self.path.join(name);
        let made = DirBuilder::new().mode(mode).recursive(true).create(&path);
        made.doing(|| format!("make {}", path.display()))?;
        Ok(path)
    }

    /// Writes a file in it.
    pub(crate) fn file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        let doing = || format!("write {}", path.display());
        let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path);
        file.doing(doing)?.write_all(text.as_bytes()).doing(doing)?;
        Ok(path)
    }

    /// The container is there, and takes it away when it is deleted.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // The first failure is on its way to the caller.
        if !self.kept {
            remove(&self.path).ok();
        }
    }
}

/// Takes it away, and lets go of its image. It may be gone already.
///
/// # Errors
///
/// The kernel's answer.
pub(crate) fn remove(path: &Path) -> Result<()> {
    orlop_image::remove_tree(path).told()?;
    let store = path.parent().and_then(Path::parent);
    store.map_or(Ok(()), |store| Store::open(Some(store)).and_then(|store| store.unpin(path)).told())
}

/// What containers have mounted from the host: ids and paths.
///
/// # Errors
///
/// The kernel's answer.
pub(crate) fn mounted(store: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut all = Vec::new();
    for (id, config) in configs(store)? {
        let mounts = config.get("mounts").and_then(Value::as_array);
        let sources = mounts.into_iter().flatten().filter_map(|mount| mount.get("source")?.as_str());
        all.extend(sources.map(|source| (id.clone(), PathBuf::from(source))));
    }
    Ok(all)
}

/// The ids of the host that containers have: of users, and of groups.
///
/// # Errors
///
/// The kernel's answer.
pub(crate) fn ids(store: &Path) -> Result<(Vec<IdMapping>, Vec<IdMapping>)> {
    let (mut users, mut groups) = (Vec::new(), Vec::new());
    for (_, config) in configs(store)? {
        for (all, name) in [(&mut users, "uidMappings"), (&mut groups, "gidMappings")] {
            let own = config.get("linux").and_then(|linux| linux.get(name));
            all.extend(own.and_then(|own| Vec::<IdMapping>::deserialize(own).ok()).into_iter().flatten());
        }
    }
    Ok((users, groups))
}

/// Keeps other containers from being made until it is dropped, as far as they ask.
///
/// # Errors
///
/// The kernel's answer.
pub(crate) fn lock(store: &Path) -> Result<Flock<File>> {
    let path = store.join(CONTAINERS);
    let doing = || format!("lock {}", path.display());
    Flock::lock(File::open(&path).doing(doing)?, FlockArg::LockExclusive)
        .map_err(|(_, errno)| errno)
        .doing(doing)
}

/// Removes what is left of containers: of those that were never made, as somebody was killed before, and, if `all` is true,
/// also of those that have a config, but that no runtime knows any more, with what they have changed. Their names.
///
/// # Errors
///
/// The kernel's answer.
pub(crate) fn sweep(store: &Path, all: bool) -> Result<Vec<String>> {
    let containers = store.join(CONTAINERS);
    let doing = || format!("read {}", containers.display());
    let entries = match std::fs::read_dir(&containers) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.doing(doing)?,
    };
    let _making = lock(store)?;
    let mut swept = Vec::new();
    for entry in entries {
        let entry = entry.doing(doing)?;
        let Ok(dir) = File::open(entry.path()) else { continue };
        // Whoever has the lock is making it.
        let Ok(_unused) = Flock::lock(dir, FlockArg::LockExclusiveNonblock) else { continue };
        let left = match std::fs::read(entry.path().join("config.json")) {
            Err(e) if e.kind() == ErrorKind::NotFound => true,
            text => all && !serde_json::from_slice(&text.doing(doing)?).is_ok_and(|config| is_known(&config)),
        };
        if left {
            remove(&entry.path())?;
            swept.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    swept.sort();
    Ok(swept)
}

/// Whether the state of a container is where its own hook looks for it.
fn is_known(config: &Value) -> bool {
    let hooks = config.pointer("/hooks/poststop").and_then(Value::as_array);
    let arguments = hooks.into_iter().flatten().filter_map(|hook| hook.get("args")?.as_array());
    let mut states = arguments.filter_map(|arguments| arguments.last()?.as_str());
    states.any(|state| Path::new(state).exists())
}

/// The configs of all containers.
fn configs(store: &Path) -> Result<Vec<(String, Value)>> {
    let containers = store.join(CONTAINERS);
    let doing = || format!("read {}", containers.display());
    let entries = match std::fs::read_dir(&containers) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.doing(doing)?,
    };
    let mut all = Vec::new();
    for entry in entries {
        let entry = entry.doing(doing)?;
        let id = entry.file_name().to_string_lossy().into_owned();
        // One that is just being made has none yet, or not all of it.
        let Ok(text) = std::fs::read(entry.path().join("config.json")) else { continue };
        all.extend(serde_json::from_slice(&text).ok().map(|config| (id, config)));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_once_and_gone_unless_it_is_kept() {
        let store = tempfile::tempdir().unwrap();
        Store::open(Some(store.path())).unwrap();
        let id = ContainerId::new("web").unwrap();
        let home = Home::make(store.path(), &id).unwrap();
        let path = home.path().to_owned();
        assert!(path.join(ROOT).is_dir() && Home::make(store.path(), &id).is_err());
        assert_eq!(sweep(store.path(), true).unwrap(), [""; 0], "it is being made");
        home.file("hosts", "a").unwrap();
        assert!(home.file("hosts", "b").is_err());
        drop(home);
        assert!(!path.exists());
        Home::make(store.path(), &id).unwrap().keep();
        assert_eq!(sweep(store.path(), false).unwrap(), ["web"], "nobody has come to its config");
        let state = store.path().join("state");
        let hook = serde_json::json!({"hooks": {"poststop": [{"args": ["hook", "remove", &path, &state]}]}});
        let again = Home::make(store.path(), &id).unwrap();
        again.file("config.json", &hook.to_string()).unwrap();
        again.keep();
        std::fs::create_dir(&state).unwrap();
        assert_eq!(sweep(store.path(), true).unwrap(), [""; 0], "it is known");
        std::fs::remove_dir(&state).unwrap();
        assert_eq!(sweep(store.path(), false).unwrap(), [""; 0], "what it has changed may be wanted");
        assert_eq!(sweep(store.path(), true).unwrap(), ["web"]);
        Home::make(store.path(), &id).unwrap().keep();
        assert!(path.exists());
        remove(&path).unwrap();
        remove(&path).unwrap();
    }
}
