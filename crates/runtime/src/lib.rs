//! The runtime library: load, prepare, launch, exec, kill, delete.
