//! The tests of `orlop-spec`, in one program: `documents` (what is accepted), `errors` (what is said about the rest),
//! `places` (pointers, lines, columns), `mangled` (no text makes it panic), `witness` (`oci-spec` agrees),
//! `default_spec` (so does runc).
#![allow(clippy::unwrap_used)]

mod documents;
mod errors;
mod mangled;
mod places;
mod spec_of_runc;
mod strategies;
mod witness;

use serde_json::Value;

/// A document of `tests/data`, by its path there.
fn data(path: &str) -> String {
    let path = format!("{}/tests/data/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents in a directory of `tests/data`, as name and text.
fn data_in(directory: &str) -> Vec<(String, String)> {
    let path = format!("{}/tests/data/{directory}", env!("CARGO_MANIFEST_DIR"));
    let files =
        std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = files.collect();
    files.sort();
    files.into_iter().map(|file| (file.clone(), data(&format!("{directory}/{file}")))).collect()
}

/// A type of ours as a tree: `Spec` has no equality of its own, as its seccomp block is text.
fn tree(document: &impl serde::Serialize) -> Value {
    serde_json::to_value(document).unwrap()
}
