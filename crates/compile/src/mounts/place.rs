//! Where something may be mounted.

use super::Compiler;
use crate::Code;
use crate::paths::{clean, is_below};
use orlop_spec::{Mount, Pointer};
use std::borrow::Cow;

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
        let target = if destination.starts_with('/') {
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
        if is_below(&cleaned, "/proc") && !self.allowed_in_proc(&cleaned, mount) {
            let message =
                format!("{destination:?} lies in /proc: what is mounted there could fool writes to it");
            self.error(Code::MountInProc, pointer, message).hint(
                "only a procfs goes to /proc, and only a few files below may be mounted over, such as /proc/cpuinfo",
            );
            return None;
        }
        Some(target)
    }

    /// Something other than a procfs at `/proc` would take writes that are meant for the kernel, such as security
    /// labels (CVE-2019-16884). That no symbolic link leads there is up to init.
    fn allowed_in_proc(&self, cleaned: &str, mount: &Mount) -> bool {
        if cleaned != "/proc" {
            return IN_PROC.contains(&cleaned);
        }
        let binds =
            mount.kind == "bind" || mount.options.iter().any(|option| option == "bind" || option == "rbind");
        if binds { clean(&mount.source) == "/proc" } else { mount.kind == "proc" }
    }
}
