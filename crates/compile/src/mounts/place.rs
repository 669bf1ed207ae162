//! Where something may be mounted.

use super::Compiler;
use crate::Code;
use crate::compiler::on_host;
use crate::paths::{clean, is_below};
use orlop_spec::{Mount, Pointer};
use std::borrow::Cow;
use std::path::Path;

/// Files below `/proc` that may be mounted over: what lxcfs emulates, and two switches of distributions. The same as runc's.
const IN_PROC: [&str; 10] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

impl Compiler<'_> {
    /// Where a mount goes, if it may.
    pub(super) fn target<'m>(&mut self, index: usize, mount: &'m Mount) -> Option<Cow<'m, str>> {
        let pointer = Pointer::new("/mounts/{}/destination").at(index);
        let destination = mount.destination.as_str();
        if destination.is_empty() {
            self.error(Code::MountDestination, pointer, "the mount has no destination");
            return None;
        }
        let target = if let Some(inside) = self.inside_root(Path::new(destination)) {
            let message = format!("the destination {destination:?} is the host's path: {inside:?} is meant");
            self.warn(Code::MountDestination, pointer.clone(), message);
            Cow::Owned(inside)
        } else if destination.starts_with('/') {
            Cow::Borrowed(destination)
        } else {
            let message = format!("the destination {destination:?} is not absolute; /{destination} is meant");
            self.warn(Code::MountDestination, pointer.clone(), message);
            Cow::Owned(format!("/{destination}"))
        };
        let cleaned = clean(&target);
        if cleaned == "/" {
            let message = format!("{destination:?} is the root itself, which cannot be mounted over");
            self.error(Code::MountDestination, pointer, message).hint("set root.path instead");
            return None;
        }
        if is_below(&cleaned, "/proc") && !allowed_in_proc(&cleaned, mount) {
            let message =
                format!("{destination:?} lies in /proc: what is mounted there could fool writes to it");
            self.error(Code::MountInProc, pointer, message).hint(
                "only a procfs goes to /proc, and only a few files below may be mounted over, such as /proc/cpuinfo",
            );
            return None;
        }
        Some(target)
    }

    /// Where a path of the host is in the container, if it lies below the root (as with runc).
    pub(super) fn inside_root(&self, path: &Path) -> Option<String> {
        // What is below an overlay is not what is mounted on.
        let root = self.spec.root.as_ref().filter(|_| !self.has_overlay())?;
        let root = on_host(self.bundle, &root.path);
        let inside = path.strip_prefix(&root).ok().filter(|_| root.parent().is_some())?;
        Some(format!("/{}", inside.to_str()?))
    }
}

/// Something other than a procfs at `/proc` would take writes that are meant for the kernel, such as security labels
/// (CVE-2019-16884). That no symbolic link leads there is up to init.
fn allowed_in_proc(cleaned: &str, mount: &Mount) -> bool {
    if cleaned != "/proc" {
        return IN_PROC.contains(&cleaned);
    }
    if is_bind(mount) { clean(&mount.source) == "/proc" } else { mount.kind == "proc" }
}

/// Whether a mount is a bind mount.
pub(super) fn is_bind(mount: &Mount) -> bool {
    mount.kind == "bind" || mount.options.iter().any(|option| option == "bind" || option == "rbind")
}
