//! The runtime library: load, prepare, launch, exec, kill, delete.
#![forbid(unsafe_code)]
pub mod image;
