//! Taking back what was done while a cgroup was being made.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::controller::Controllers;
use crate::dir::Dir;
use crate::error::Result;

/// What has been done so far. Dropped before [`Undo::keep`], it takes everything back, last first.
#[derive(Default)]
pub(super) struct Undo(Vec<Deed>);

enum Deed {
    Made { parent: Dir, name: OsString },
    Enabled { dir: Dir, controllers: Controllers },
}

impl Undo {
    /// A directory was made.
    pub(super) fn made(&mut self, parent: Dir, name: &OsStr) {
        self.0.push(Deed::Made { parent, name: name.into() });
    }

    /// Controllers were enabled for the children of a directory.
    pub(super) fn enabled(&mut self, dir: &Dir, controllers: Controllers) -> Result<()> {
        let dir = dir.try_clone().inspect_err(|_| disable(dir, controllers))?;
        self.0.push(Deed::Enabled { dir, controllers });
        Ok(())
    }

    /// What was done elsewhere is to be taken back with this.
    pub(super) fn add(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// All went well: nothing is taken back. Returns the directories that were made.
    pub(super) fn keep(mut self) -> Vec<PathBuf> {
        let deeds = std::mem::take(&mut self.0);
        let made = deeds.into_iter().filter_map(|deed| match deed {
            Deed::Made { parent, name } => Some(parent.join(name)),
            Deed::Enabled { .. } => None,
        });
        made.collect()
    }
}

impl Drop for Undo {
    /// The error that led here is the one to report; what cannot be taken back (somebody uses it by now) stays.
    fn drop(&mut self) {
        for deed in self.0.drain(..).rev() {
            match deed {
                Deed::Made { parent, name } => drop(parent.remove_child(&name)),
                Deed::Enabled { dir, controllers } => disable(&dir, controllers),
            }
        }
    }
}

fn disable(dir: &Dir, controllers: Controllers) {
    for controller in controllers.iter() {
        dir.write("cgroup.subtree_control", &format!("-{controller}")).ok();
    }
}
