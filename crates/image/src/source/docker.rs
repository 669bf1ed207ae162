//! What `docker save` writes ([docker-save]): `manifest.json`, which names configs and layers by their files. Since Docker 25
//! the archive is an OCI image layout as well; what `manifest.json` says still holds.
//!
//! It has no manifest in the sense of the specification, so one is made of what is there.
//!
//! [docker-save]: https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md

use std::collections::BTreeMap;

use super::files::Files;
use super::{Blob, Source, choices, name_from, parse, small, verify};
use crate::digest::Digest;
use crate::document::{Descriptor, ImageConfig, Manifest, SavedImage};
use crate::error::{Error, Result};
use crate::reference::Select;

/// Opens the image that is chosen.
pub(super) fn open(files: Files, what: String, select: &Select) -> Result<Source> {
    if !files.has("manifest.json") && files.has("index.json") {
        let hint = "it is an OCI image layout: oci-archive: reads it".into();
        return Err(Error::NotFound { what: format!("{what}: manifest.json"), hint });
    }
    let saved: Vec<SavedImage> =
        parse(&small(&files, "manifest.json", &what)?, || format!("{what}: manifest.json"))?;
    let (saved, name) = choose(&saved, select, &what)?;
    let config = small(&files, &saved.config, &what)?;
    let digest = Digest::of(&config);
    if let Some(named) = digest_in(&saved.config) {
        verify(&config, &named, &format!("{what}: the config {}", saved.config))?;
    }
    let mut blobs = Vec::new();
    for file in &saved.layers {
        let (_, size) = files.open(file)?;
        // Before Docker 25 a layer's file has the name of something else, its directory.
        let digest = if file.starts_with("blobs/") { digest_in(file) } else { None };
        blobs.push(Blob { digest, size, file: file.clone() });
    }
    let manifest = manifest(&config, &digest, &blobs, &what)?;
    let documents = [(Digest::of(&manifest), manifest), (digest, config)];
    Ok(Source { name, ..Source::new(files, what, documents, blobs)? })
}

fn choose<'a>(
    images: &'a [SavedImage],
    select: &Select,
    what: &str,
) -> Result<(&'a SavedImage, Option<crate::reference::Name>)> {
    let named = |image: &'a SavedImage| (image, image.repo_tags.first().and_then(|tag| name_from(tag)));
    let found = match select {
        Select::Index(index) => images.get(*index).map(named),
        Select::Only if images.len() == 1 => images.first().map(named),
        Select::Only => None,
        Select::Tag(tag) => images.iter().find_map(|image| {
            let same = |there: &&String| *there == tag || name_from(there) == name_from(tag);
            image.repo_tags.iter().find(same).map(|tag| (image, name_from(tag)))
        }),
    };
    let there = || images.iter().flat_map(|image| image.repo_tags.clone()).collect::<Vec<_>>();
    found.ok_or_else(|| choices(select, what, &there()))
}

/// The digest in the name of a file, which is either all of it or what is before `.json`.
fn digest_in(file: &str) -> Option<Digest> {
    let name = file.rsplit('/').next()?;
    Digest::sha256(name.strip_suffix(".json").unwrap_or(name)).ok()
}

/// A manifest for what has none. Its layers are named by their diff ids.
fn manifest(config: &[u8], digest: &Digest, blobs: &[Blob], what: &str) -> Result<Vec<u8>> {
    let image: ImageConfig = parse(config, || format!("{what}: the config {digest}"))?;
    let descriptor = |media_type: &str, digest: &Digest, size| Descriptor {
        media_type: media_type.into(),
        digest: digest.clone(),
        size,
        annotations: BTreeMap::new(),
        platform: None,
    };
    let layer = "application/vnd.oci.image.layer.v1.tar";
    let layers = image.rootfs.diff_ids.iter().zip(blobs);
    let manifest = Manifest {
        schema_version: 2,
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        config: descriptor("application/vnd.oci.image.config.v1+json", digest, config.len() as u64),
        layers: layers.map(|(diff_id, blob)| descriptor(layer, diff_id, blob.size)).collect(),
        annotations: BTreeMap::new(),
    };
    serde_json::to_vec(&manifest).map_err(|e| Error::document(what, e))
}
