//! A container's changes become an image: a layer on top of those that it was made of.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use serde_json::{Value, json};

use super::images::pin_file;
use super::{ImageHandle, ImportOptions, Pin, Store};
use crate::digest::Digest;
use crate::error::{Doing as _, Error, Result};
use crate::pack::pack;
use crate::progress::Progress;
use crate::reference::Name;
use crate::save::pack_into;
use crate::source::Source;

/// What the new image's history says of its last layer.
#[derive(Clone, Debug, Default)]
pub struct Authorship {
    /// When, as RFC 3339.
    pub created: String,
    /// By whom.
    pub author: String,
    /// Why.
    pub comment: String,
    /// By which command.
    pub created_by: String,
}

/// The archive of the new layer, in a directory of its own until it is imported.
const LAYER: &str = "layer";

impl Store {
    /// Makes an image of another one and of what an overlay over it has changed: the overlay's upper directory, which nobody
    /// should write to meanwhile.
    ///
    /// # Errors
    ///
    /// Something cannot be read or written.
    pub fn commit(
        &self,
        (image, upper): (&ImageHandle, &Path),
        name: &Name,
        about: &Authorship,
        options: &ImportOptions,
        progress: &dyn Progress,
    ) -> Result<ImageHandle> {
        let temporary = self.place.make_temporary()?;
        let made = self
            .on_top(image, upper, about, &self.path().join(&temporary))
            .and_then(|source| self.import(&source, Some(name), options, progress));
        // What is left of it gc finds.
        let removed = self.place.remove(&temporary);
        made.and_then(|made| removed.map(|()| made))
    }

    fn on_top(
        &self,
        image: &ImageHandle,
        upper: &Path,
        about: &Authorship,
        directory: &Path,
    ) -> Result<Source> {
        let doing = || format!("pack the changes in {}", upper.display());
        let tree =
            open(upper, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).doing(doing)?;
        let file = File::create_new(directory.join(LAYER)).doing(doing)?;
        let (digest, file) = pack_into(file, |to| pack(&tree, &BTreeSet::new(), to).map(drop))?;
        let size = file.metadata().doing(doing)?.len();
        let (manifest, config) = self.raw_documents(image)?;
        let config = with_layer(&config, about, &digest).ok_or_else(|| broken(image, "config"))?;
        let manifest =
            with_blob(&manifest, &config, &digest, size).ok_or_else(|| broken(image, "manifest"))?;
        let documents = [manifest, config].map(|bytes| (Digest::of(&bytes), bytes));
        Source::on_top(directory, documents, (LAYER, digest, size))
    }

    /// The image that an owner keeps, as [`Store::pin`] has noted it.
    ///
    /// # Errors
    ///
    /// It keeps none, or something cannot be read.
    pub fn pinned(&self, owner: &Path) -> Result<ImageHandle> {
        let lock = self.share()?;
        let pin: Pin = self.parse(&pin_file(owner))?.ok_or_else(|| Error::NotFound {
            what: format!("the image of {}", owner.display()),
            hint: "only containers of `orlop run IMAGE` have one".into(),
        })?;
        self.handle(&pin.manifest, lock)
    }
}

fn broken(image: &ImageHandle, what: &str) -> Error {
    Error::document(format!("the {what} of the image {}", image.id), "it is not as the specification has it")
}

/// The config with another layer, and a line of history about it.
fn with_layer(config: &[u8], about: &Authorship, diff_id: &Digest) -> Option<Vec<u8>> {
    let mut config: Value = serde_json::from_slice(config).ok()?;
    config["created"] = json!(about.created);
    config.pointer_mut("/rootfs/diff_ids")?.as_array_mut()?.push(json!(diff_id));
    let mut line = json!({"created": about.created, "created_by": about.created_by});
    for (key, value) in [("author", &about.author), ("comment", &about.comment)] {
        if !value.is_empty() {
            line[key] = json!(value);
        }
    }
    match config.get_mut("history") {
        Some(Value::Array(history)) => history.push(line),
        _ => config["history"] = json!([line]),
    }
    serde_json::to_vec(&config).ok()
}

/// The manifest with another layer, and of this config.
fn with_blob(manifest: &[u8], config: &[u8], digest: &Digest, size: u64) -> Option<Vec<u8>> {
    let mut manifest: Value = serde_json::from_slice(manifest).ok()?;
    let of_docker =
        manifest.get("mediaType").and_then(Value::as_str).is_some_and(|kind| kind.contains("docker"));
    let kind = if of_docker {
        "application/vnd.docker.image.rootfs.diff.tar"
    } else {
        "application/vnd.oci.image.layer.v1.tar"
    };
    let described = manifest.get_mut("config")?;
    (described["digest"], described["size"]) = (json!(Digest::of(config)), json!(config.len()));
    let layers = manifest.get_mut("layers")?.as_array_mut()?;
    layers.push(json!({"mediaType": kind, "digest": digest, "size": size}));
    serde_json::to_vec(&manifest).ok()
}
