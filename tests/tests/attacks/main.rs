//! Attacks on the host by an image, by a process in a container, or by whoever shares a directory with one: every
//! vulnerability published of container runtimes, played again.
//!
//! `make attacks` runs them at full length with orlop, runc and crun, and writes the table in `docs/security.md`.
mod cgroups;
mod copy;
mod descriptors;
mod devices;
mod exe;
mod identity;
mod mounts;
mod names;
mod procfs;
mod shim;
mod stage;
