//! An OCI image layout ([image-layout.md]): `index.json`, and blobs by their digests.
//!
//! [image-layout.md]: https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md

use super::files::Files;
use super::{Blob, CONFIGS, Source, choices, document, name_from, parse, small};
use crate::digest::Digest;
use crate::document::{Descriptor, Index, Manifest};
use crate::error::{Error, Result};
use crate::platform::Platform;
use crate::reference::Select;

const MANIFESTS: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];
const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];
/// The annotation with the tag of an image.
const TAG: &str = "org.opencontainers.image.ref.name";
/// The whole name, where containerd or docker wrote the layout.
const FULL_NAME: &str = "io.containerd.image.name";
/// How deep indexes are nested at most.
const DEEPEST: u32 = 8;

/// The file of a blob.
pub(super) fn blob(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

/// Opens the image that is chosen.
pub(super) fn open(files: Files, what: String, select: &Select, platform: &Platform) -> Result<Source> {
    check_version(&files, &what)?;
    let index = small(&files, "index.json", &what)?;
    let index: Index = parse(&index, || format!("{what}: index.json"))?;
    let top = top(&index.manifests, select, platform, &what)?;
    let name = top.annotations.get(FULL_NAME).or_else(|| top.annotations.get(TAG)).and_then(|n| name_from(n));
    let chosen = descend(&files, top.clone(), platform, &what)?;
    let bytes = document(&files, &chosen, "manifest", &what)?;
    let manifest: Manifest = parse(&bytes, || format!("{what}: the manifest {}", chosen.digest))?;
    if !CONFIGS.contains(&manifest.config.media_type.as_str()) {
        let why = format!("it is no container image: its config is a {}", manifest.config.media_type);
        return Err(Error::document(format!("{what}: the manifest {}", chosen.digest), why));
    }
    let config = document(&files, &manifest.config, "config", &what)?;
    let blobs = manifest.layers.into_iter().map(|layer| layer_blob(&files, layer, &what));
    let blobs = blobs.collect::<Result<_>>()?;
    let documents = [(chosen.digest, bytes), (manifest.config.digest, config)];
    Ok(Source { name, ..Source::new(files, what, documents, blobs)? })
}

/// Refuses layouts of a version that nobody knows yet.
fn check_version(files: &Files, what: &str) -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Layout {
        #[serde(rename = "imageLayoutVersion")]
        version: String,
    }
    let layout: Layout = parse(&small(files, "oci-layout", what)?, || format!("{what}: oci-layout"))?;
    if layout.version.starts_with("1.") {
        return Ok(());
    }
    Err(Error::document(format!("{what}: oci-layout"), format!("its version is {}, not 1", layout.version)))
}

/// The entry of the layout's index that is meant.
fn top<'a>(
    manifests: &'a [Descriptor],
    select: &Select,
    platform: &Platform,
    what: &str,
) -> Result<&'a Descriptor> {
    let tag_of = |d: &Descriptor| d.annotations.get(TAG).cloned();
    let there = || manifests.iter().filter_map(tag_of).collect::<Vec<_>>();
    let found = match select {
        Select::Index(index) => manifests.get(*index),
        Select::Tag(tag) => {
            let named =
                |d: &&Descriptor| [TAG, FULL_NAME].iter().any(|key| d.annotations.get(*key) == Some(tag));
            let mut tagged = manifests.iter().filter(named).peekable();
            // Of several with one tag the last was written last; or they are of several platforms.
            match best(&mut tagged.clone(), platform) {
                Some(best) => Some(best),
                None => tagged.next_back(),
            }
        }
        Select::Only if manifests.len() == 1 => manifests.first(),
        // Several without names are one image for several platforms.
        Select::Only if there().is_empty() => best(&mut manifests.iter(), platform),
        Select::Only => None,
    };
    found.ok_or_else(|| choices(select, what, &there()))
}

/// The one that fits a platform best, of those that name theirs.
fn best<'a>(
    manifests: &mut dyn Iterator<Item = &'a Descriptor>,
    platform: &Platform,
) -> Option<&'a Descriptor> {
    let ranked = manifests.filter_map(|d| Some((platform.rank(d.platform.as_ref()?)?, d)));
    // Of equals the first, as everywhere.
    ranked.reduce(|best, other| if other.0 > best.0 { other } else { best }).map(|(_, d)| d)
}

/// Through nested indexes to the manifest for the platform.
fn descend(files: &Files, mut at: Descriptor, platform: &Platform, what: &str) -> Result<Descriptor> {
    for _ in 0..DEEPEST {
        if MANIFESTS.contains(&at.media_type.as_str()) {
            return Ok(at);
        }
        if !INDEXES.contains(&at.media_type.as_str()) {
            let why = format!("it is a {:?}, neither the manifest of an image nor an index", at.media_type);
            return Err(Error::document(format!("{what}: {}", at.digest), why));
        }
        let bytes = document(files, &at, "index", what)?;
        let index: Index = parse(&bytes, || format!("{what}: the index {}", at.digest))?;
        let chosen = best(&mut index.manifests.iter(), platform).or(match &index.manifests[..] {
            [only] if only.platform.is_none() => Some(only),
            _ => None,
        });
        at = chosen.cloned().ok_or_else(|| no_platform(&index, &at, platform, what))?;
    }
    Err(Error::document(
        format!("{what}: {}", at.digest),
        format!("indexes are nested more than {DEEPEST} deep"),
    ))
}

fn no_platform(index: &Index, at: &Descriptor, wanted: &Platform, what: &str) -> Error {
    let there = index.manifests.iter().filter_map(|d| d.platform.as_ref()).map(ToString::to_string);
    let there: Vec<_> = there.filter(|platform| platform != "unknown/unknown").collect();
    let there = if there.is_empty() { "none that it names".into() } else { there.join(", ") };
    Error::Platform { what: format!("{what}: the index {}", at.digest), wanted: wanted.to_string(), there }
}

/// A layer of a kind that can be unpacked, and that is there.
fn layer_blob(files: &Files, layer: Descriptor, what: &str) -> Result<Blob> {
    let name = format!("{what}: the layer {}", layer.digest);
    let kind = &layer.media_type;
    if !kind.contains(".layer.") && !kind.contains(".rootfs.") || kind.ends_with("+encrypted") {
        return Err(Error::document(name, format!("it is a {kind}, which cannot be unpacked")));
    }
    let file = blob(&layer.digest);
    let (_, found) = files.open(&file)?;
    if found != layer.size {
        let found = crate::error::Count { bytes: found, or_more: false };
        return Err(Error::Size { what: name, expected: layer.size, found });
    }
    Ok(Blob { digest: Some(layer.digest), size: layer.size, file })
}
