//! A directory that any runtime can run: `config.json` and `rootfs`.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, mkdirat};
use orlop_spec::{Mount, Spec};
use orlop_sys::Fd;

use crate::convert::{Overrides, runtime_spec, volumes};
use crate::error::{Doing as _, Error, Result};
use crate::file;
use crate::progress::Progress;
use crate::store::{ImageHandle, Store};
use crate::tree::Tree;

const OPEN: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// Makes a bundle of an image in a directory that is empty or not there yet. `adapt` may change the config before it is
/// written: a cgroup namespace or a system call filter depend on the host.
///
/// Nobody but the owner may enter the directory: images have set-user-id programs in them. `config.json` is written last, so
/// that a bundle with one is complete.
///
/// # Errors
///
/// What [`runtime_spec`] says. The directory is not empty, or cannot be written to; what was made in it is removed then.
pub fn create(
    store: &Store,
    image: &ImageHandle,
    dir: &Path,
    overrides: &Overrides,
    adapt: impl FnOnce(&mut Spec),
    progress: &dyn Progress,
) -> Result<()> {
    let mut spec = runtime_spec(&image.config, &Tree::of(image)?, overrides)?;
    let volumes = volumes(&image.config)?;
    adapt(&mut spec);
    let doing = || format!("make the bundle {}", dir.display());
    std::fs::DirBuilder::new().mode(0o700).recursive(true).create(dir).doing(doing)?;
    let fd = open(dir, OPEN, Mode::empty()).doing(doing)?;
    if !file::names(&fd).doing(doing)?.is_empty() {
        return Err(Error::usage(format!("bundle {}", dir.display()), "the directory is not empty"));
    }
    nix::sys::stat::fchmod(&fd, Mode::S_IRWXU).doing(doing)?;
    let made = fill(store, image, &fd, &mut spec, &volumes, progress);
    if made.is_err() {
        // As far as that is possible: the first error is what counts.
        for name in file::names(&fd).unwrap_or_default() {
            file::remove_all(&fd, &name).ok();
        }
    }
    made
}

fn fill(
    store: &Store,
    image: &ImageHandle,
    bundle: &OwnedFd,
    spec: &mut Spec,
    volumes: &[String],
    progress: &dyn Progress,
) -> Result<()> {
    let root = make(bundle, "rootfs")?;
    for text in store.flatten(image, &root)?.texts() {
        progress.warn(&text);
    }
    if let Some(process) = &spec.process {
        directory(&root, &process.cwd)?;
    }
    if !volumes.is_empty() {
        let parent = make(bundle, "volumes")?;
        for (number, volume) in volumes.iter().enumerate() {
            spec.mounts.push(make_volume(&root, &parent, number, volume)?);
        }
    }
    let text = orlop_spec::default::to_text(spec).map_err(|e| Error::document("config.json", e))?;
    let doing = || "write config.json".to_owned();
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR | Mode::S_IRGRP | Mode::S_IROTH;
    let mut config = File::from(openat(bundle, "config.json", flags, mode).doing(doing)?);
    config.write_all(text.as_bytes()).doing(doing)
}

/// A volume is a directory beside the root, with what the image has there.
fn make_volume(root: &OwnedFd, parent: &OwnedFd, number: usize, volume: &str) -> Result<Mount> {
    let inside = directory(root, volume)?;
    let name = number.to_string();
    crate::flatten::copy_directory(&inside, &make(parent, &name)?)?;
    Ok(Mount {
        destination: volume.into(),
        kind: "bind".into(),
        source: format!("volumes/{name}"),
        options: ["rbind", "rprivate", "nodev"].map(str::to_owned).into(),
        ..Mount::default()
    })
}

/// Makes a directory that only its owner may enter.
fn make(parent: &OwnedFd, name: &str) -> Result<OwnedFd> {
    let doing = || format!("make the directory {name} of the bundle");
    match mkdirat(parent, name, Mode::S_IRWXU) {
        Err(Errno::EEXIST) | Ok(()) => {}
        made => made.doing(doing)?,
    }
    openat(parent, name, OPEN | OFlag::O_NOFOLLOW, Mode::empty()).doing(doing)
}

/// A directory of the root file system, made if it is missing; links lead where they lead in the container.
fn directory(root: &OwnedFd, path: &str) -> Result<OwnedFd> {
    orlop_init::target::directory(Fd::of(root), path.as_bytes(), 0o755)
        .map(Into::into)
        .doing(|| format!("make the directory {path} in the root file system"))
}
