//! What `checkpoint` and `restore` ask for alike.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use orlop_compile::OVERLAY;
use orlop_spec::Spec;

use super::error::with_log;
use super::{Criu, CriuError, Message, Version, opt};
use crate::error::{Doing, Error, Result};
use crate::options::{CriuOptions, NetworkLock};

/// The annotation of runc's that names a configuration file of CRIU's.
const CONFIG_ANNOTATION: &str = "org.criu.config";
/// Configuration files that are used without the annotation: ours if it exists, else the one that runc's users have.
const CONFIG_FILES: [&str; 2] = ["/etc/criu/orlop.conf", "/etc/criu/runc.conf"];

/// CRIU logs what it does, not only what fails: errors are hard to understand without.
const LOG_LEVEL: u32 = 4;

/// The directories of CRIU's files, held open: it takes them as descriptors of ours.
#[derive(Debug)]
pub(crate) struct Directories {
    pub(crate) images: File,
    work: Option<File>,
    log: PathBuf,
}

impl Directories {
    /// Makes them where they are missing and `make` says so.
    ///
    /// # Errors
    ///
    /// [`CriuError::Images`].
    pub(crate) fn open(options: &CriuOptions, make: bool, log: &str) -> Result<Self> {
        let images = directory(&options.image_path, make)?;
        let work = options.work_path.as_deref().map(|path| directory(path, true)).transpose()?;
        let of_log = options.work_path.as_ref().unwrap_or(&options.image_path);
        Ok(Self { images, work, log: of_log.join(log) })
    }

    /// An error of CRIU's, with what its log says.
    pub(crate) fn explain(&self, error: Error) -> Error {
        with_log(error, self.log.clone())
    }
}

fn directory(path: &Path, make: bool) -> Result<File> {
    let bad = |e: std::io::Error| CriuError::Images { path: path.to_owned(), why: e.to_string() };
    if make {
        // The images, which hold all of the container's memory, are their owner's alone. But a process that is restored in
        // a user namespace looks for some in here.
        DirBuilder::new().recursive(true).mode(0o711).create(path).map_err(bad)?;
    }
    let opened = File::options().read(true).custom_flags(libc::O_DIRECTORY).open(path);
    Ok(opened.map_err(bad)?)
}

/// Options of both. A version that lacks one would not say so, hence the checks.
///
/// # Errors
///
/// [`CriuError::TooOld`], [`CriuError::Unable`].
pub(crate) fn common(
    criu: &Criu,
    options: &CriuOptions,
    directories: &Directories,
    spec: &Spec,
) -> Result<Message> {
    let mut opts = Message::default();
    opts.number(opt::IMAGES_DIR_FD, directories.images.as_raw_fd() as u32);
    if let Some(work) = &directories.work {
        opts.number(opt::WORK_DIR_FD, work.as_raw_fd() as u32);
    }
    let log = directories.log.file_name().unwrap_or_default();
    opts.number(opt::LOG_LEVEL, LOG_LEVEL).text(opt::LOG_FILE, log.as_bytes());
    if let Some(file) = config_file(spec) {
        opts.text(opt::CONFIG_FILE, file);
    }
    opts.flag(opt::NOTIFY_SCRIPTS, true)
        .flag(opt::ORPHAN_PTS_MASTER, true)
        // What is mounted from a host whose mounts are shared is a slave of the host's mount.
        .flag(opt::EXT_MASTERS, true)
        .flag(opt::TCP_ESTABLISHED, options.tcp_established)
        .flag(opt::EXT_UNIX_SK, options.ext_unix_sk)
        .flag(opt::SHELL_JOB, options.shell_job)
        .flag(opt::FILE_LOCKS, options.file_locks)
        .flag(opt::AUTO_DEDUP, options.auto_dedup)
        .flag(opt::LAZY_PAGES, options.lazy_pages)
        // As with runc, interfaces are the business of whoever made them; for hooks there is a time in `restore`.
        .number(opt::EMPTY_NS, libc::CLONE_NEWNET as u32);
    if let Some(lock) = options.network_lock {
        if lock == NetworkLock::Skip {
            criu.needs(Version(3, 19, 0), "--network-lock skip")?;
        }
        opts.number(opt::NETWORK_LOCK, lock as u32);
    }
    if options.lazy_pages && !criu.features()?.lazy_pages {
        let what = "--lazy-pages: CRIU cannot do it on this kernel, whose userfaultfd(2) lacks what it needs";
        return Err(CriuError::Unable { what: what.to_owned() }.into());
    }
    Ok(opts)
}

/// The configuration file, whose settings override ours. An annotation that is empty asks for none.
fn config_file(spec: &Spec) -> Option<&str> {
    match spec.annotations.get(CONFIG_ANNOTATION) {
        Some(file) => Some(file.as_str()).filter(|file| !file.is_empty()),
        None => CONFIG_FILES.into_iter().find(|file| Path::new(file).exists()),
    }
}

/// Whether CRIU may be asked at all: it does much that only root may do.
///
/// # Errors
///
/// [`Error::Usage`].
pub(crate) fn check_root(command: &str) -> Result<()> {
    if nix::unistd::geteuid().is_root() && !crate::store::in_user_namespace() {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{command} needs the host's root: CRIU looks into processes and makes them anew"
    )))
}

/// Whether CRIU can deal with the container's root file system: it binds a directory, and makes no overlay.
///
/// # Errors
///
/// [`Error::Usage`].
pub(crate) fn check_overlay(command: &str, annotations: &BTreeMap<String, String>) -> Result<()> {
    if !annotations.contains_key(OVERLAY) {
        return Ok(());
    }
    Err(Error::usage(format!("{command}: the root is an overlay, which CRIU cannot make anew ({OVERLAY})")))
}

/// The directory of an earlier dump, which CRIU takes relative to the images only.
///
/// # Errors
///
/// [`Error::Usage`], [`CriuError::Images`].
pub(crate) fn check_parent(images: &Path, parent: &Path) -> Result<()> {
    if parent.is_absolute() {
        return Err(Error::usage("--parent-path must be relative to --image-path"));
    }
    let path = images.join(parent);
    let metadata = path.metadata().doing(|| format!("--parent-path: look at {}", path.display()))?;
    if metadata.is_dir() {
        return Ok(());
    }
    Err(CriuError::Images { path, why: "--parent-path is no directory".to_owned() }.into())
}
