//! A Debian root file system with real servers in it, made once by `hack/rootfs` and shared by all tests.
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{need, runtime};

/// What is installed in it.
const PACKAGES: [&str; 3] = ["redis-server", "redis-tools", "nginx-light"];

/// Where it is, or why it cannot be had here.
///
/// # Errors
/// The reason, for a test to skip with.
///
/// Its directory carries a hash of the package list, so that a changed list makes a new one.
pub fn debian() -> Result<PathBuf, String> {
    debian_with(&PACKAGES)
}

/// The same with other packages.
///
/// # Errors
/// The reason, for a test to skip with.
pub fn debian_with(packages: &[&str]) -> Result<PathBuf, String> {
    let mut hasher = DefaultHasher::new();
    packages.hash(&mut hasher);
    let directory = runtime::workspace().join(format!("target/rootfs/{:016x}", hasher.finish()));
    if directory.is_dir() {
        return Ok(directory);
    }
    if need::in_vm() {
        return Err("the Debian root file system is made by the tests on the host, not in the VM".to_owned());
    }
    if !need::program("mmdebstrap") {
        return Err("mmdebstrap is not installed (hack/setup.sh test)".to_owned());
    }
    build(&directory, packages);
    Ok(directory)
}

fn build(directory: &Path, packages: &[&str]) {
    let script = runtime::workspace().join("hack/rootfs");
    let out = Command::new(script).arg(directory).args(packages).output().expect("hack/rootfs starts");
    // Where the tool is there but fails, the test fails: a skip would hide that.
    assert!(out.status.success(), "hack/rootfs failed: {}", String::from_utf8_lossy(&out.stderr));
}
