//! OCI images: read by reference, verified, unpacked once into a store, and turned into bundles.
//!
//! | file | what is in it |
//! |---|---|
//! | [`reference`](mod@reference) | `oci:DIR[:TAG]` and the other ways to name an image |
//! | [`digest`] | `sha256:…`, and checking what is read against it |
//! | [`document`] | indexes, manifests and image configs as types |
//! | [`platform`] | which of several images fits this machine |
//! | [`source`] | layouts and archives: from a reference to manifest, config and layers |
//! | `tar` | reading and writing archives: headers, PAX, long names, sparse files |
//! | `decode` | gzip, zstd or neither |
//! | [`unpack`] | from an archive to a directory tree, inside one descriptor |
//! | `layer` | one layer: read, digested, decompressed and written at the same time |
//! | [`store`] | layers and images on disk: import, list, remove, gc |
//! | [`tree`] | looking into the layers of an image as if they were one tree |
//! | [`users`] | names of users and groups, as the image has them |
//! | [`convert`] | image config and overrides become a runtime config |
//! | `flatten` | the layers of an image, copied into one tree |
//! | `upper` | the upper directory of an overlay over the layers |
//! | [`bundle`] | a directory that any runtime can run |
//! | `pack` | a directory of overlayfs becomes the archive of a layer; a tree becomes a plain archive |
//! | [`mod@copy`] | files into a container and out of it |
//! | [`mod@diff`] | what a container has changed |
//! | [`save`] | an imported image becomes an OCI layout again |
//! | [`progress`] | who is told how far an import is |
//! | [`error`] | the one error of this crate |
//!
//! Everything that is read is hostile until its digest is verified, and its *content* is hostile even then: an image's
//! author chose it. Nothing here looks up a path inside a tree but relative to a descriptor of a verified parent, without
//! following links (`unpack/place.rs`, `tree.rs`).
#![forbid(unsafe_code)]

pub mod bundle;
pub mod convert;
pub mod copy;
mod decode;
pub mod diff;
pub mod digest;
pub mod document;
pub mod error;
mod file;
mod flatten;
mod layer;
mod pack;
pub mod platform;
pub mod progress;
pub mod reference;
pub mod save;
pub mod source;
pub mod store;
mod tar;
pub mod tree;
pub mod unpack;
mod upper;
pub mod users;

pub use convert::{Overrides, runtime_spec};
pub use digest::Digest;
pub use document::ImageConfig;
pub use error::{Error, Result};
pub use file::remove_tree;
pub use pack::export;
pub use platform::Platform;
pub use progress::{Progress, Silent};
pub use reference::Reference;
pub use store::{ImageHandle, ImportOptions, Store};
pub use tree::Tree;
pub use unpack::Limits;
