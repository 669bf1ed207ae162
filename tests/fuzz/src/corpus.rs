//! What to begin with: what targets bring along, and files.

use std::path::PathBuf;

use crate::Target;

/// The files of a target: what has broken something once, and what reaches what nothing else does.
pub fn directory(target: &Target) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

/// Everything to begin with, each with a name, always in the same order.
pub fn of(target: &Target) -> Vec<(String, Vec<u8>)> {
    let seeds = (target.seeds)().into_iter().enumerate();
    let mut all: Vec<_> = seeds.map(|(number, bytes)| (format!("seed {number}"), bytes)).collect();
    let files = std::fs::read_dir(directory(target)).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = files.map(|entry| entry.path()).collect();
    files.sort();
    all.extend(files.into_iter().map(|path| {
        let bytes = std::fs::read(&path).expect("a file of the corpus");
        (path.display().to_string(), bytes)
    }));
    all
}
