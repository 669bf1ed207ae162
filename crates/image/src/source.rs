//! Layouts and archives: from a reference to manifest, config and layers.
//!
//! | file | what is in it |
//! |---|---|
//! | `source/files.rs` | a directory, or a tar archive, as files by name |
//! | `source/layout.rs` | an OCI image layout: index, choice of platform, manifest |
//! | `source/docker.rs` | what `docker save` writes, before and since it is a layout, too |

mod docker;
mod files;
mod layout;

use std::io::Read;
use std::path::Path;

use crate::digest::Digest;
use crate::document::{Descriptor, ImageConfig};
use crate::error::{Count, Doing as _, Error, Result};
use crate::platform::Platform;
use crate::reference::{Name, Reference, Select};
use files::Files;

/// The longest document: what registries accept.
const LONGEST_DOCUMENT: u64 = 4 << 20;
/// Media types of image configs; other things than images are in layouts, too.
const CONFIGS: [&str; 3] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json", ""];

/// An image that can be imported: its documents, verified, and where its layers are.
pub struct Source {
    files: Files,
    what: String,
    /// The manifest's digest and bytes.
    pub(crate) manifest: (Digest, Vec<u8>),
    /// The config's digest and bytes.
    pub(crate) config: (Digest, Vec<u8>),
    /// The same, understood.
    pub(crate) image: ImageConfig,
    pub(crate) layers: Vec<Layer>,
    /// A name that the layout or archive has for it, where that can be one.
    pub(crate) name: Option<Name>,
}

/// A layer that is not read yet.
pub(crate) struct Layer {
    pub(crate) diff_id: Digest,
    /// Of the blob as it is, where somebody says so.
    pub(crate) digest: Option<Digest>,
    /// The blob's length.
    pub(crate) size: u64,
    /// Its name among the files.
    file: String,
}

impl Source {
    /// Opens what a reference leads to. The name of an imported image leads to no source.
    ///
    /// # Errors
    ///
    /// Whatever is missing, malformed, or not what its digest says.
    pub fn open(reference: &Reference, platform: &Platform) -> Result<Self> {
        let what = reference.to_string();
        match reference {
            Reference::Oci(path, select) => layout::open(Files::directory(path)?, what, select, platform),
            Reference::OciArchive(path, select) => layout::open(Files::archive(path)?, what, select, platform),
            Reference::DockerArchive(path, select) => docker::open(Files::archive(path)?, what, select),
            Reference::Name(name) => Err(Error::NotFound {
                what: format!("the image {name}"),
                hint: "`orlop image list` shows what is imported; oci:DIR, oci-archive:FILE and docker-archive:FILE \
                       name what is not"
                    .into(),
            }),
        }
    }

    /// What it was opened by.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The config of the image.
    pub const fn config(&self) -> &ImageConfig {
        &self.image
    }

    /// Reads a layer.
    pub(crate) fn layer(&self, layer: &Layer) -> Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(self.files.open(&layer.file)?.0))
    }

    /// An image whose layers are all in the store but the last, which is this file in a directory: its name, digest and size.
    pub(crate) fn on_top(
        directory: &Path,
        documents: [(Digest, Vec<u8>); 2],
        (file, digest, size): (&str, Digest, u64),
    ) -> Result<Self> {
        let what = "a container's changes".to_owned();
        let image: ImageConfig = parse(&documents[1].1, || format!("{what}: the config"))?;
        let in_store = || Blob { digest: None, size: 0, file: String::new() };
        let mut blobs: Vec<Blob> = image.rootfs.diff_ids.iter().skip(1).map(|_| in_store()).collect();
        blobs.push(Blob { digest: Some(digest), size, file: file.to_owned() });
        Self::new(Files::directory(directory)?, what, documents, blobs)
    }

    /// Puts together what has been read.
    fn new(files: Files, what: String, documents: [(Digest, Vec<u8>); 2], blobs: Vec<Blob>) -> Result<Self> {
        let [manifest, config] = documents;
        let image: ImageConfig = parse(&config.1, || format!("{what}: the config {}", config.0))?;
        let diff_ids = &image.rootfs.diff_ids;
        if diff_ids.len() != blobs.len() {
            let why = format!("it has {} layers, and its config {} of them", blobs.len(), diff_ids.len());
            return Err(Error::document(format!("{what}: the manifest {}", manifest.0), why));
        }
        let pairs = diff_ids.iter().zip(blobs);
        let layers = pairs
            .map(|(diff_id, blob)| Layer {
                diff_id: diff_id.clone(),
                digest: blob.digest,
                size: blob.size,
                file: blob.file,
            })
            .collect();
        Ok(Self { files, what, manifest, config, image, layers, name: None })
    }
}

/// A layer before its diff id is known.
struct Blob {
    digest: Option<Digest>,
    size: u64,
    file: String,
}

/// Understands a document.
fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8], what: impl FnOnce() -> String) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| Error::document(what(), e))
}

/// Reads a document that is named by its digest, and verifies it.
fn document(files: &Files, descriptor: &Descriptor, kind: &str, what: &str) -> Result<Vec<u8>> {
    let Descriptor { digest, size, .. } = descriptor;
    let what = format!("{what}: the {kind} {digest}");
    if *size > LONGEST_DOCUMENT {
        return Err(Error::document(
            what,
            format!("it has {size} bytes, and {LONGEST_DOCUMENT} are the most"),
        ));
    }
    let bytes = small(files, &layout::blob(digest), &what)?;
    if bytes.len() as u64 != *size {
        let found = Count { bytes: bytes.len() as u64, or_more: false };
        return Err(Error::Size { what, expected: *size, found });
    }
    verify(&bytes, digest, &what)?;
    Ok(bytes)
}

/// Whether bytes are what a digest says.
fn verify(bytes: &[u8], expected: &Digest, what: &str) -> Result<()> {
    let mut hasher = expected.algorithm().hasher();
    hasher.update(bytes);
    let found = hasher.finish();
    if found == *expected {
        return Ok(());
    }
    Err(Error::Digest { what: what.into(), expected: expected.to_string(), found: found.to_string() })
}

/// Reads a small file as a whole.
fn small(files: &Files, name: &str, what: &str) -> Result<Vec<u8>> {
    let (reader, _) = files.open(name)?;
    let mut bytes = Vec::new();
    reader.take(LONGEST_DOCUMENT + 1).read_to_end(&mut bytes).doing(|| format!("read {what}"))?;
    if bytes.len() as u64 > LONGEST_DOCUMENT {
        return Err(Error::document(what, format!("it has more than {LONGEST_DOCUMENT} bytes")));
    }
    Ok(bytes)
}

/// The name of an image in an archive, if it can be one here.
fn name_from(text: &str) -> Option<Name> {
    text.strip_prefix("docker.io/library/").unwrap_or(text).parse().ok()
}

/// How a file is called in messages.
fn in_file(path: &Path, name: &str) -> String {
    format!("{name} in {}", path.display())
}

/// What else there is to choose from, for messages.
fn choices(select: &Select, what: &str, there: &[String]) -> Error {
    let hint = if there.is_empty() {
        String::new()
    } else {
        format!("there are {}; :@N takes the one at place N, from 0", there.join(", "))
    };
    let what = match select {
        Select::Only => {
            return Error::usage(
                what,
                format!("it has {} images, and one has to be chosen ({hint})", there.len()),
            );
        }
        Select::Tag(tag) => format!("the tag {tag} in {what}"),
        Select::Index(index) => format!("the image at place {index} in {what}"),
    };
    Error::NotFound { what, hint }
}

#[cfg(test)]
mod tests;
