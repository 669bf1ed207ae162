//! Names, manifests and configs.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use serde::{Deserialize, Serialize};

use super::{ImageHandle, Store};
use crate::digest::Digest;
use crate::document::{ImageConfig, Manifest};
use crate::error::{Doing as _, Error, Result};
use crate::flatten::flatten;
use crate::pack::pack;
use crate::reference::Name;
use crate::save::pack_into;
use crate::tree::Tree;
use crate::unpack::{OpaqueMark, Warnings};

/// An image by its name, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its name, with a tag.
    pub name: String,
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The digest of its config.
    pub id: Digest,
    /// Where it came from, as it was named then.
    pub source: String,
    /// When, in seconds since 1970.
    pub imported: u64,
}

/// What a container uses.
#[derive(Serialize, Deserialize)]
pub(super) struct Pin {
    /// What there is as long as the container is.
    owner: PathBuf,
    pub(super) manifest: Digest,
}

/// The name of a file or directory for a digest.
pub(super) fn file_of(digest: &Digest) -> String {
    format!("{}-{}", digest.algorithm().name(), digest.hex())
}

/// What the store keeps about an unpacked layer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct LayerFile {
    /// Directories that have something in the layer, but are not described by it.
    pub(super) implicit: Vec<Vec<u8>>,
    /// Bytes of all its files together.
    pub(super) bytes: u64,
}

impl Store {
    /// All images, by name.
    ///
    /// # Errors
    ///
    /// A file of the store that cannot be read or understood.
    pub fn images(&self) -> Result<Vec<Image>> {
        let _lock = self.share()?;
        self.all_images()
    }

    pub(super) fn all_images(&self) -> Result<Vec<Image>> {
        let mut images = Vec::new();
        for file in self.place.names("images")? {
            let name = format!("images/{file}");
            // It may be removed meanwhile.
            if let Some(image) = self.parse::<Image>(&name)? {
                images.push(image);
            }
        }
        images.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(images)
    }

    /// An image that has been imported, by its name, or by at least four digits of its id or of its manifest's digest.
    ///
    /// # Errors
    ///
    /// There is none, or several have an id that begins so.
    pub fn image(&self, name: &Name) -> Result<ImageHandle> {
        let lock = self.share()?;
        let image = self.find(name)?;
        let mut handle = self.handle(&image.manifest, lock)?;
        handle.name = Some(image.name);
        Ok(handle)
    }

    pub(super) fn find(&self, name: &Name) -> Result<Image> {
        if let Some(image) = self.parse::<Image>(&format!("images/{}.json", name.file()))? {
            return Ok(image);
        }
        let missing = || {
            Error::NotFound {
            what: format!("the image {name}"),
            hint: "`orlop image list` shows what is imported; oci:DIR, oci-archive:FILE and docker-archive:FILE name \
                   what is not"
                .into(),
        }
        };
        let prefix = name.id_prefix().ok_or_else(missing)?;
        let mut found = self.all_images()?;
        found.retain(|image| {
            [&image.id, &image.manifest].iter().any(|digest| digest.hex().starts_with(prefix))
        });
        found.dedup_by(|a, b| a.manifest == b.manifest);
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(missing()),
            _ => Err(Error::usage(prefix, "several images have an id that begins so")),
        }
    }

    /// The image with this manifest.
    pub(super) fn handle(
        &self,
        manifest: &Digest,
        lock: Arc<nix::fcntl::Flock<File>>,
    ) -> Result<ImageHandle> {
        let (parsed, config) = self.documents(manifest)?;
        let layers = config.rootfs.diff_ids.iter().rev();
        let layers = layers.map(|id| self.path().join("layers").join(file_of(id)).join("tree")).collect();
        let userxattr = self.mark == OpaqueMark::User;
        let (manifest, id) = (manifest.clone(), parsed.config.digest);
        Ok(ImageHandle { name: None, manifest, id, config, layers, userxattr, _lock: lock })
    }

    /// Manifest and config, understood.
    pub(super) fn documents(&self, digest: &Digest) -> Result<(Manifest, ImageConfig)> {
        let manifest: Manifest = self.required(digest)?;
        let config = self.required(&manifest.config.digest)?;
        Ok((manifest, config))
    }

    /// Manifest and config as the bytes that their digests are of.
    ///
    /// # Errors
    ///
    /// They are not there, or not what they were.
    pub fn raw_documents(&self, image: &ImageHandle) -> Result<(Vec<u8>, Vec<u8>)> {
        let raw = |digest: &Digest| {
            let name = format!("blobs/{}", file_of(digest));
            self.place.read(&name)?.ok_or_else(|| self.broken(&name))
        };
        Ok((raw(&image.manifest)?, raw(&image.id)?))
    }

    fn required<T: serde::de::DeserializeOwned>(&self, digest: &Digest) -> Result<T> {
        let name = format!("blobs/{}", file_of(digest));
        self.parse(&name)?.ok_or_else(|| self.broken(&name))
    }

    fn broken(&self, name: &str) -> Error {
        let hint = "import the image again".into();
        Error::NotFound { what: self.path().join(name).display().to_string(), hint }
    }

    /// Reads and understands a file; `None` if it is not there.
    pub(super) fn parse<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let Some(bytes) = self.place.read(name)? else { return Ok(None) };
        let what = || self.path().join(name).display().to_string();
        serde_json::from_slice(&bytes).map_err(|e| Error::document(what(), e)).map(Some)
    }

    /// Bytes of all files in an image's layers, bottom to top, hidden ones included.
    ///
    /// # Errors
    ///
    /// What the store keeps about a layer cannot be read.
    pub fn sizes(&self, image: &ImageHandle) -> Result<Vec<u64>> {
        let size = |diff_id| Ok(self.layer_file(diff_id)?.bytes);
        image.config.rootfs.diff_ids.iter().map(size).collect()
    }

    fn layer_file(&self, diff_id: &Digest) -> Result<LayerFile> {
        let name = format!("layers/{}/layer.json", file_of(diff_id));
        self.parse(&name)?.ok_or_else(|| self.broken(&name))
    }

    /// Copies what an image's layers amount to into an empty directory.
    pub(crate) fn flatten(&self, image: &ImageHandle, to: &std::os::fd::OwnedFd) -> Result<Warnings> {
        let implicit = self.implicit(image)?;
        flatten(&Tree::of(image)?, &implicit, to, self.owners)
    }

    /// Copies what an image has in a directory into an empty one, which becomes like it; false if the image has no such
    /// directory. Links are followed, inside the image.
    ///
    /// # Errors
    ///
    /// Something cannot be read, or not be written.
    pub fn copy_directory(&self, image: &ImageHandle, path: &str, to: &std::os::fd::OwnedFd) -> Result<bool> {
        let tree = Tree::of(image)?;
        let found = tree.directory(path).doing(|| format!("find {path} in the image"))?;
        let Some(found) = found else { return Ok(false) };
        let implicit = self.implicit(image)?;
        crate::flatten::copy(&found, path.trim_matches('/').as_bytes(), &implicit, to, self.owners)?;
        Ok(true)
    }

    /// Of each layer, topmost first, the directories that have something in it but are not described by it.
    pub(crate) fn implicit(&self, image: &ImageHandle) -> Result<Vec<BTreeSet<Vec<u8>>>> {
        let of = |diff_id| Ok(self.layer_file(diff_id)?.implicit.into_iter().collect());
        image.config.rootfs.diff_ids.iter().rev().map(of).collect()
    }

    /// Packs a layer of an image, counted from the bottom, into a file without a name; with its digest.
    pub(crate) fn pack_layer(&self, image: &ImageHandle, layer: usize) -> Result<(Digest, File)> {
        let diff_id = &image.config.rootfs.diff_ids[layer];
        let implicit = self.layer_file(diff_id)?.implicit.into_iter().collect();
        let doing = || format!("pack the layer {diff_id}");
        let tree = open(
            &image.layers[image.layers.len() - 1 - layer],
            OFlag::O_PATH | OFlag::O_CLOEXEC,
            Mode::empty(),
        );
        let tree = tree.doing(doing)?;
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let file =
            openat(self.place.directory("tmp")?, c".", flags, Mode::S_IRUSR | Mode::S_IWUSR).doing(doing)?;
        pack_into(file.into(), |to| pack(&tree, &implicit, to).map(drop))
    }

    /// Gives an image a name, which another may have had.
    pub(super) fn name(&self, name: &Name, manifest: &Digest, id: &Digest, source: &str) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (manifest, id) = (manifest.clone(), id.clone());
        let image = Image { name: name.to_string(), manifest, id, source: source.into(), imported: now };
        self.write(&format!("images/{}.json", name.file()), &image)
    }

    pub(super) fn write(&self, file: &str, value: &impl Serialize) -> Result<()> {
        let bytes = serde_json::to_vec(value).map_err(|e| Error::document(file, e))?;
        self.place.write(file, &bytes)
    }

    /// Keeps an image for as long as `owner` exists: the directory of a container's state. One owner has one image; a
    /// second call replaces the first.
    ///
    /// # Errors
    ///
    /// The store cannot be written to.
    pub fn pin(&self, owner: &Path, image: &ImageHandle) -> Result<()> {
        let pin = Pin { owner: owner.into(), manifest: image.manifest.clone() };
        self.write(&pin_file(owner), &pin)
    }

    /// Takes back [`Store::pin`]. Without it gc does so, once the owner is gone.
    ///
    /// # Errors
    ///
    /// The store cannot be written to.
    pub fn unpin(&self, owner: &Path) -> Result<()> {
        self.place.remove(&pin_file(owner))
    }

    /// What is pinned by owners that still exist; with the files of the pins whose owners do not.
    pub(super) fn pins(&self) -> Result<(Vec<Digest>, Vec<String>)> {
        let (mut live, mut stale) = (Vec::new(), Vec::new());
        for file in self.place.names("pins")? {
            let file = format!("pins/{file}");
            let Some(pin) = self.parse::<Pin>(&file)? else { continue };
            // Whatever keeps us from seeing the owner, it may be there.
            match pin.owner.symlink_metadata() {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => stale.push(file),
                _ => live.push(pin.manifest),
            }
        }
        Ok((live, stale))
    }
}

pub(super) fn pin_file(owner: &Path) -> String {
    format!("pins/{}.json", Digest::of(owner.as_os_str().as_bytes()).hex())
}
