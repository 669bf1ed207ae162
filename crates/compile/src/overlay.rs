//! A root that is made of layers: what is below is read-only and may be shared by many containers, what a container changes
//! is its own. Two annotations ask for it; `--overlay` of the command line is the first of them.

use crate::Code;
use crate::compiler::{Compiler, bytes, on_host};
use crate::{MountIdMap, Options};
use orlop_program::Step;
use orlop_program::source::Source;
use orlop_program::wire::{List, Str};
use orlop_spec::{NamespaceKind, Pointer};
use std::path::{Path, PathBuf};

/// Where changes go: `tmpfs`, with options of one (`tmpfs,size=64m`), and they are gone with the container; or a directory,
/// where they stay.
pub const OVERLAY: &str = "run.orlop.overlay";
/// The directories below, the topmost first, with colons between them; without it, `root.path`.
pub const OVERLAY_LOWER: &str = "run.orlop.overlay.lower";

/// Where an overlay's changes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upper<'a> {
    /// To a tmpfs, with these options, and they are gone with the container.
    Memory(&'a str),
    /// To this directory, absolute or in the bundle.
    Directory(&'a str),
}

impl<'a> Upper<'a> {
    /// What [`OVERLAY`] says; `None` if that is nothing.
    pub fn parse(text: &'a str) -> Option<Self> {
        match text.split_once(',') {
            _ if text == "tmpfs" => Some(Self::Memory("")),
            Some(("tmpfs", options)) => Some(Self::Memory(options)),
            _ if text.is_empty() => None,
            _ => Some(Self::Directory(text)),
        }
    }
}

/// As many as overlayfs takes.
const LAYERS: usize = 500;

/// What the annotations ask for.
struct Wish<'a> {
    upper: Option<PathBuf>,
    /// Of the tmpfs.
    options: Vec<(&'a str, Option<&'a str>)>,
    lowers: Vec<PathBuf>,
    /// Where the lower directories are named.
    origin: Pointer,
}

impl<'a> Compiler<'a> {
    /// Whether the root is to be an overlay.
    pub(crate) fn has_overlay(&self) -> bool {
        self.spec.annotations.contains_key(OVERLAY)
    }

    /// Makes the root an overlay, if it is to be one; whether that is so.
    pub(crate) fn overlay_root(&mut self, options: &Options<'_>) -> bool {
        let Some((value, pointer)) = self.annotation(OVERLAY) else {
            if let Some((_, pointer)) = self.annotation(OVERLAY_LOWER) {
                let message = format!("{OVERLAY_LOWER} is given, and {OVERLAY} is not");
                self.error(Code::Annotation, pointer, message)
                    .hint("say where changes go: \"run.orlop.overlay\": \"tmpfs\", or a directory");
            }
            return false;
        };
        if self.launch.mounts_on_host {
            let message = "an overlay needs a mount namespace of the container's own";
            self.error(Code::Annotation, pointer, message).hint("add one to /linux/namespaces");
            return true;
        }
        if let Some(wish) = self.wish(value, &pointer) {
            self.assemble(&wish, options, &pointer);
        }
        true
    }

    fn wish(&mut self, value: &'a str, pointer: &Pointer) -> Option<Wish<'a>> {
        let (upper, options) = match Upper::parse(value) {
            Some(Upper::Memory("")) => (None, Vec::new()),
            Some(Upper::Memory(options)) => (None, options.split(',').map(key_and_value).collect()),
            Some(Upper::Directory(path)) => (Some(on_host(self.bundle, path)), Vec::new()),
            None => {
                let message = "neither \"tmpfs\" nor a directory";
                self.error(Code::Annotation, pointer.clone(), message);
                return None;
            }
        };
        let (lowers, origin) = self.lowers()?;
        Some(Wish { upper, options, lowers, origin })
    }

    /// The directories below, and who names them.
    fn lowers(&mut self) -> Option<(Vec<PathBuf>, Pointer)> {
        let Some((list, pointer)) = self.annotation(OVERLAY_LOWER) else {
            let pointer = Pointer::new("/root/path");
            let path = self.spec.root.as_ref().map_or("", |root| &root.path);
            if path.is_empty() {
                let message = "there is no root file system to lay the overlay over";
                self.error(Code::Root, pointer, message)
                    .hint("add \"root\": {\"path\": \"rootfs\"}, or the annotation run.orlop.overlay.lower");
                return None;
            }
            return Some((vec![on_host(self.bundle, path)], pointer));
        };
        let lowers: Vec<_> = list.split(':').map(|path| on_host(self.bundle, path)).collect();
        if list.contains('\0') {
            self.no_nul(list.as_bytes(), &pointer);
            return None;
        }
        let wrong = if list.split(':').any(str::is_empty) {
            "one of the directories has no name".to_owned()
        } else if lowers.len() > LAYERS {
            format!("{} directories, and overlayfs takes {LAYERS}", lowers.len())
        } else {
            return Some((lowers, pointer));
        };
        self.error(Code::Annotation, pointer, wrong);
        None
    }

    fn assemble(&mut self, wish: &Wish<'_>, options: &Options<'_>, pointer: &Pointer) {
        let lowers: Vec<Source<'_>> =
            wish.lowers.iter().map(|lower| self.layer(lower, &wish.origin)).collect();
        let upper = wish.upper.as_ref().map(|upper| self.layer(upper, pointer));
        let keys: Vec<(Str<'_>, Option<Str<'_>>)> =
            wish.options.iter().map(|(key, value)| ((*key).into(), value.map(Into::into))).collect();
        // In a user namespace init is nobody to a directory of ours. What is attached to the root itself is not in the way
        // of paths, and not to be found by any.
        let mapped = self.host.privileged && self.in_user_namespace();
        if mapped && !self.spec.hooks.create_container.is_empty() {
            let message =
                "with an overlay in a user namespace there is no path to the root before it is switched";
            self.error(Code::Annotation, Pointer::new("/hooks/createContainer"), message)
                .hint("use createRuntime or startContainer");
        }
        let at = if mapped { Path::new("/") } else { options.scratch };
        let why = match &wish.upper {
            None => "Changes are kept apart and lost at the end.",
            Some(_) => "Changes are kept apart, and stay in a directory of their own.",
        };
        let step = Step::OverlayRoot {
            lowers: List::from(lowers.as_slice()),
            upper,
            at: bytes(at).into(),
            options: List::from(keys.as_slice()),
            // In the trusted ones, which are root's of the host, overlayfs could not write down what it has to.
            user_attributes: self.has(&NamespaceKind::User) || !self.host.privileged,
        };
        self.step(step, pointer.clone(), why);
    }

    /// A directory of an overlay. In a user namespace its files belong to whom they would without: ids are mapped, and
    /// nothing is changed in it.
    fn layer<'p>(&mut self, path: &'p Path, asks: &Pointer) -> Source<'p> {
        if !(self.host.privileged && self.in_user_namespace()) {
            return self.source(path, false, asks);
        }
        let id_map = self.id_maps_of_container(asks).map(|namespace| MountIdMap {
            namespace,
            recursive: false,
            origin: asks.clone().into(),
        });
        self.tree(path, false, id_map, asks)
    }
}

fn key_and_value(option: &str) -> (&str, Option<&str>) {
    option.split_once('=').map_or((option, None), |(key, value)| (key, Some(value)))
}
