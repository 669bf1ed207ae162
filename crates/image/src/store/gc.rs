//! What nobody needs any more.

use std::collections::BTreeSet;

use nix::fcntl::FlockArg;

use super::Store;
use super::images::file_of;
use crate::error::Result;
use crate::reference::Name;

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// Layers, by their diff ids.
    pub layers: Vec<String>,
    /// Manifests and configs.
    pub documents: usize,
    /// What somebody left who was killed.
    pub leftovers: usize,
}

impl Store {
    /// Takes a name away; what it stood for goes with [`Store::gc`], unless another name or a container has it.
    ///
    /// # Errors
    ///
    /// There is no such image.
    pub fn remove(&self, name: &Name) -> Result<String> {
        let _lock = self.share()?;
        let image = self.find(name)?;
        let file: Name = image.name.parse()?;
        self.place.remove(&format!("images/{}.json", file.file()))?;
        Ok(image.name)
    }

    /// Removes layers and documents that neither a name nor a container has, and what is left of imports that were killed.
    /// Waits for imports that are going on, and has others wait.
    ///
    /// # Errors
    ///
    /// Something cannot be read, in which case nothing is removed, or not be removed.
    pub fn gc(&self) -> Result<Freed> {
        let _lock = self.place.lock("lock", FlockArg::LockExclusive)?;
        let (mut manifests, stale) = self.pins()?;
        manifests.extend(self.all_images()?.into_iter().map(|image| image.manifest));
        let (mut layers, mut documents) = (BTreeSet::new(), BTreeSet::new());
        for digest in manifests {
            let (manifest, config) = self.documents(&digest)?;
            documents.extend([file_of(&digest), file_of(&manifest.config.digest)]);
            layers.extend(config.rootfs.diff_ids.iter().map(file_of));
        }
        for pin in &stale {
            self.place.remove(pin)?;
        }
        let mut freed = Freed { leftovers: stale.len(), ..Freed::default() };
        for layer in self.place.names("layers")?.into_iter().filter(|layer| !layers.contains(layer)) {
            self.place.remove(&format!("layers/{layer}"))?;
            freed.layers.push(layer.replacen('-', ":", 1));
        }
        for blob in self.place.names("blobs")?.into_iter().filter(|blob| !documents.contains(blob)) {
            self.place.remove(&format!("blobs/{blob}"))?;
            freed.documents += 1;
        }
        // With this lock nobody is at anything, so whatever is there was left.
        for name in self.place.names("tmp")? {
            self.place.remove(&format!("tmp/{name}"))?;
            freed.leftovers += 1;
        }
        for name in self.place.names("locks")? {
            self.place.remove(&format!("locks/{name}"))?;
        }
        Ok(freed)
    }
}
