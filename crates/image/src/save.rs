//! An imported image becomes an archive again, as `docker save` writes it since version 25: an OCI image layout, with a
//! `manifest.json` for those who do not know layouts.
//!
//! The store keeps layers unpacked, so their archives are made anew, and have other digests than those that were imported:
//! the same files under another name. Saving twice gives the same bytes.

use std::fs::File;
use std::io::{self, Seek as _, Write};

use serde_json::{Value, json};

use crate::digest::{Algorithm, Digest, Digesting};
use crate::error::{Doing as _, Error, Result};
use crate::store::{ImageHandle, Store};
use crate::tar::write::Writer;
use crate::tar::{Entry, Kind};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Writes an image as an archive; `name` is what it is to be called where it is loaded.
///
/// # Errors
///
/// Something of the image cannot be read, or the archive not be written.
pub fn save(store: &Store, image: &ImageHandle, name: &str, to: &mut dyn Write) -> Result<()> {
    let mut archive = Archive(Writer::new(to));
    archive.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    archive.directory("blobs/")?;
    archive.directory("blobs/sha256/")?;
    let (mut diff_ids, mut layers, mut files) = (Vec::new(), Vec::new(), Vec::new());
    for layer in 0..image.layers.len() {
        let (digest, mut packed) = store.pack_layer(image, layer)?;
        let size = packed.metadata().doing(|| "look at a packed layer".into())?.len();
        packed.rewind().doing(|| "read a packed layer".into())?;
        // Layers that are alike are one.
        if !diff_ids.contains(&digest) {
            archive.copy(&blob(&digest), &mut packed, size)?;
        }
        layers.push(json!({"mediaType": LAYER, "digest": digest, "size": size}));
        files.push(blob(&digest));
        diff_ids.push(digest);
    }
    let config = config(store, image, &diff_ids)?;
    let id = archive.blob(&config)?;
    let manifest = text(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": id, "size": config.len()},
        "layers": layers,
    }))?;
    let digest = archive.blob(&manifest)?;
    let tag = name.rsplit('/').next().and_then(|last| last.split_once(':')).map_or("latest", |(_, tag)| tag);
    let index = json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [{
            "mediaType": MANIFEST,
            "digest": digest,
            "size": manifest.len(),
            "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag},
        }],
    });
    archive.file("index.json", &text(&index)?)?;
    let saved = json!([{"Config": blob(&id), "RepoTags": [name], "Layers": files}]);
    archive.file("manifest.json", &text(&saved)?)?;
    archive.0.finish().doing(writing)?.flush().doing(writing)
}

fn writing() -> String {
    "write the archive".into()
}

fn blob(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn text(value: &Value) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| Error::document("a document of the archive", e))
}

/// The image's config, with the digests of the layers as they are packed now.
fn config(store: &Store, image: &ImageHandle, diff_ids: &[Digest]) -> Result<Vec<u8>> {
    let (_, config) = store.raw_documents(image)?;
    let what = || format!("the config {}", image.id);
    let mut config: Value = serde_json::from_slice(&config).map_err(|e| Error::document(what(), e))?;
    let rootfs = config.as_object_mut().ok_or_else(|| Error::document(what(), "it is no object"))?;
    rootfs.insert("rootfs".into(), json!({"type": "layers", "diff_ids": diff_ids}));
    text(&config)
}

/// Packs into a file without a name.
pub(crate) fn pack_into(
    file: File,
    pack: impl FnOnce(&mut Digesting<io::BufWriter<File>>) -> Result<()>,
) -> Result<(Digest, File)> {
    let mut packed = Digesting::new(io::BufWriter::with_capacity(1 << 20, file), Some(Algorithm::Sha256));
    pack(&mut packed)?;
    packed.flush().doing(writing)?;
    let digest = packed.hasher.take().unwrap_or_else(|| Algorithm::Sha256.hasher()).finish();
    let file = packed.inner.into_inner().map_err(io::IntoInnerError::into_error).doing(writing)?;
    Ok((digest, file))
}

/// The archive that is being written.
struct Archive<'a>(Writer<&'a mut dyn Write>);

impl Archive<'_> {
    fn directory(&mut self, path: &str) -> Result<()> {
        self.0.entry(&Entry::new(path, Kind::Directory, 0o755, 0)).doing(writing)
    }

    fn file(&mut self, path: &str, content: &[u8]) -> Result<()> {
        self.copy(path, &mut &*content, content.len() as u64)
    }

    /// A document under its digest.
    fn blob(&mut self, content: &[u8]) -> Result<Digest> {
        let digest = Digest::of(content);
        self.file(&blob(&digest), content)?;
        Ok(digest)
    }

    fn copy(&mut self, path: &str, from: &mut dyn io::Read, size: u64) -> Result<()> {
        self.0.entry(&Entry::new(path, Kind::File, 0o644, size)).doing(writing)?;
        let mut buf = vec![0; 128 << 10];
        loop {
            match from.read(&mut buf).doing(writing)? {
                0 => return Ok(()),
                n => self.0.data(&buf[..n]).doing(writing)?,
            }
        }
    }
}
