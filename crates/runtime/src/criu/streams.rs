//! Standard input, output and error: where they led outside the container, they lead to those of whoever restores it.
//!
//! `descriptors.json` in the directory of the images has one entry for each, as with runc and crun.

use std::path::Path;

use super::{CriuError, Message, numbered, opt};
use crate::error::{Doing, Error, Result};

const FILE: &str = "descriptors.json";

/// What our own standard input, output and error are, for a container that gets them.
pub(crate) fn ours() -> Vec<String> {
    let link = |number: i32| std::fs::read_link(format!("/proc/self/fd/{number}"));
    (0..3).map(|number| link(number).unwrap_or_default().to_string_lossy().into_owned()).collect()
}

/// For a dump.
///
/// # Errors
///
/// [`Error::Kernel`].
pub(crate) fn save(images: &Path, descriptors: &[String]) -> Result<()> {
    let path = images.join(FILE);
    let text = serde_json::to_vec(descriptors)
        .map_err(|e| Error::State { path: path.clone(), why: e.to_string() })?;
    std::fs::write(&path, text).doing(|| format!("write {}", path.display()))
}

/// For restoring: pipes are replaced by what we have under the same number. CRIU itself deals with the rest.
///
/// # Errors
///
/// [`CriuError::Images`]: this is no checkpoint of a container.
pub(crate) fn supply(opts: &mut Message, images: &Path) -> Result<()> {
    let path = images.join(FILE);
    let bad = |why: String| CriuError::Images { path: path.clone(), why };
    let text = std::fs::read(&path).map_err(|e| bad(format!("this is no checkpoint of a container: {e}")))?;
    let descriptors: Vec<String> = serde_json::from_slice(&text).map_err(|e| bad(e.to_string()))?;
    for (number, what) in (0..3).zip(&descriptors) {
        if what.starts_with("pipe:") {
            opts.message(opt::INHERIT_FD, &numbered(what, number));
        }
    }
    Ok(())
}
