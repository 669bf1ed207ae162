//! From a source to layers and a name.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};

use super::images::{LayerFile, file_of};
use super::{ImageHandle, Store};
use crate::digest::Digest;
use crate::error::{Doing as _, Error, Result};
use crate::layer::{self, Job};
use crate::platform::Platform;
use crate::progress::{Part, Progress};
use crate::reference::{Name, Reference};
use crate::source::{Layer, Source};
use crate::unpack::{Limits, Options};

/// How to import.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// What the image has to run on; this machine, if nothing else is asked for.
    pub platform: Platform,
    /// What is too much.
    pub limits: Limits,
    /// How many layers are unpacked at once.
    pub jobs: usize,
    /// Whether layers are written out before they get their names, so that they are whole after a crash of the machine.
    pub sync: bool,
}

impl Default for ImportOptions {
    fn default() -> Self {
        let jobs = thread::available_parallelism().map_or(1, usize::from);
        Self { platform: Platform::host(), limits: Limits::default(), jobs, sync: true }
    }
}

/// A layer that is missing, where it is made.
struct Missing<'a> {
    /// Its place among the layers.
    part: usize,
    layer: &'a Layer,
    temporary: String,
    /// So that nobody else unpacks it, too.
    _lock: Flock<File>,
}

impl Store {
    /// The image that a reference leads to: one that has a name here is found, others are imported first, without a
    /// name that [`Store::images`] would list.
    ///
    /// # Errors
    ///
    /// As [`Store::import`] and [`Store::image`].
    pub fn ensure(
        &self,
        reference: &Reference,
        options: &ImportOptions,
        progress: &dyn Progress,
    ) -> Result<ImageHandle> {
        match reference {
            Reference::Name(name) => self.image(name),
            _ => self.bring(&Source::open(reference, &options.platform)?, None, options, progress),
        }
    }

    /// Imports an image, under this name or the one that the source has for it.
    ///
    /// # Errors
    ///
    /// Neither has a name. What is read is not what its digest says, is refused, or cannot be written.
    pub fn import(
        &self,
        source: &Source,
        name: Option<&Name>,
        options: &ImportOptions,
        progress: &dyn Progress,
    ) -> Result<ImageHandle> {
        let none = || Error::usage(source.what(), "it has no name of its own, so one has to be given");
        let name = name.or(source.name.as_ref()).ok_or_else(none)?;
        self.bring(source, Some(name), options, progress)
    }

    fn bring(
        &self,
        source: &Source,
        name: Option<&Name>,
        options: &ImportOptions,
        progress: &dyn Progress,
    ) -> Result<ImageHandle> {
        let lock = self.share()?;
        let missing = self.missing(source, progress)?;
        let made = self.unpack_all(source, &missing, options, progress);
        let made =
            made.and_then(|()| if options.sync && !missing.is_empty() { self.place.sync() } else { Ok(()) });
        for layer in &missing {
            if made.is_ok() {
                self.place.rename(&layer.temporary, &layer_dir(&layer.layer.diff_id))?;
            } else {
                // What is left of it gc finds.
                self.place.remove(&layer.temporary).ok();
            }
        }
        made?;
        for (digest, bytes) in [&source.manifest, &source.config] {
            self.place.write(&format!("blobs/{}", file_of(digest)), bytes)?;
        }
        if let Some(name) = name {
            self.name(name, &source.manifest.0, &source.config.0, source.what())?;
        }
        let mut handle = self.handle(&source.manifest.0, lock)?;
        handle.name = name.map(ToString::to_string);
        Ok(handle)
    }

    /// The layers that are not there, each locked and with a directory to make it in.
    fn missing<'a>(&self, source: &'a Source, progress: &dyn Progress) -> Result<Vec<Missing<'a>>> {
        // In the order of their digests, so that two importers never wait for each other; each layer once.
        let mut wanted: BTreeMap<&Digest, (usize, &Layer)> = BTreeMap::new();
        for (part, layer) in source.layers.iter().enumerate() {
            wanted.entry(&layer.diff_id).or_insert((part, layer));
        }
        let mut missing = Vec::new();
        for (diff_id, (part, layer)) in wanted {
            let dir = layer_dir(diff_id);
            if self.place.has(&dir)? {
                continue;
            }
            let lock = self.place.lock(&format!("locks/{}", file_of(diff_id)), FlockArg::LockExclusive)?;
            // Whoever had the lock may have brought it.
            if !self.place.has(&dir)? {
                missing.push(Missing { part, layer, temporary: self.place.make_temporary()?, _lock: lock });
            }
        }
        let present = |part| !missing.iter().any(|layer| layer.part == part);
        let parts = source.layers.iter().enumerate().map(|(part, layer)| Part {
            diff_id: layer.diff_id.clone(),
            size: Some(layer.size),
            present: present(part),
        });
        progress.begin(&parts.collect::<Vec<_>>());
        // Large ones first: what is left at the end is done by one thread alone.
        missing.sort_by_key(|layer| std::cmp::Reverse(layer.layer.size));
        Ok(missing)
    }

    /// Unpacks layers, several at once; the first error ends it.
    fn unpack_all(
        &self,
        source: &Source,
        missing: &[Missing<'_>],
        options: &ImportOptions,
        progress: &dyn Progress,
    ) -> Result<()> {
        let next = AtomicUsize::new(0);
        let failed = Mutex::new(None);
        let work = || {
            while let Some(layer) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(e) = self.unpack_one(source, layer, options, progress) {
                    next.store(missing.len(), Ordering::Relaxed);
                    failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(e);
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..options.jobs.clamp(1, missing.len().max(1)) {
                scope.spawn(work);
            }
            work();
        });
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn unpack_one(
        &self,
        source: &Source,
        missing: &Missing<'_>,
        options: &ImportOptions,
        progress: &dyn Progress,
    ) -> Result<()> {
        let Missing { part, layer, temporary, .. } = missing;
        let tree = self.new_tree(temporary)?;
        let job = Job {
            what: format!("{}: the layer {}", source.what(), layer.digest.as_ref().unwrap_or(&layer.diff_id)),
            blob: source.layer(layer)?,
            digest: layer.digest.as_ref(),
            size: layer.size,
            diff_id: &layer.diff_id,
            advance: &|bytes| progress.advance(*part, bytes),
        };
        let how = Options { limits: options.limits, owners: self.owners, mark: self.mark, whiteouts: true };
        let unpacked = layer::unpack(job, tree, &how)?;
        for text in unpacked.warnings.texts() {
            progress.warn(&format!("layer {}: {text}", layer.diff_id.short()));
        }
        self.write(
            &format!("{temporary}/layer.json"),
            &LayerFile { implicit: unpacked.implicit, bytes: unpacked.bytes },
        )?;
        progress.done(*part);
        Ok(())
    }

    /// Makes the directory that a layer is unpacked into.
    fn new_tree(&self, temporary: &str) -> Result<std::os::fd::OwnedFd> {
        let doing = || format!("make {}/tree", self.path().join(temporary).display());
        let dir = self.place.directory(temporary)?;
        match mkdirat(&dir, "tree", Mode::S_IRWXU) {
            Err(Errno::EEXIST) => return Err(super::failed(doing(), Errno::EEXIST)),
            made => made.doing(doing)?,
        }
        openat(&dir, "tree", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
            .doing(doing)
    }
}

/// Where a layer is in the store.
fn layer_dir(diff_id: &Digest) -> String {
    format!("layers/{}", file_of(diff_id))
}
