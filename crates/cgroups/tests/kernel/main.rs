//! The doing half against the kernel that runs: as root, on a hybrid host as well as with version 2 only. Each test works
//! in a cgroup of its own and removes it, also when it fails. What cannot run here says why.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "this whole binary is a test, its helpers included; it prints what it skips"
)]

mod device;
mod hybrid;
mod lifecycle;
mod limits;
mod stats;
mod support;
