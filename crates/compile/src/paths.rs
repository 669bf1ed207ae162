//! Paths inside the container: comparing them, and those that are hidden or read-only; and the container's names.

use crate::Code;
use crate::compiler::Compiler;
use orlop_program::{Slot, Step};
use orlop_spec::{NamespaceKind, Pointer};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The path as the container's root sees it, without `.`, `..` and double slashes. For comparing only: with symbolic
/// links on the way, `..` may mean something else.
pub(crate) fn clean(path: &str) -> Cow<'_, str> {
    if is_clean(path) {
        return Cow::Borrowed(path);
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    Cow::Owned(format!("/{}", parts.join("/")))
}

/// Whether there is nothing to clean; of some paths with hidden files in them it is not found out.
fn is_clean(path: &str) -> bool {
    let mut after_slash = false;
    path.starts_with('/')
        && (path == "/" || !path.ends_with('/'))
        && path.bytes().all(|byte| {
            let odd = after_slash && matches!(byte, b'/' | b'.');
            after_slash = byte == b'/';
            !odd
        })
}

/// Whether a clean path is another one, or lies below it.
pub(crate) fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The longest host and domain name (`__NEW_UTS_LEN`).
const LONGEST_NAME: usize = 64;

impl Compiler<'_> {
    /// Paths that cannot be written to.
    pub(crate) fn read_only_paths(&mut self) {
        for (index, path) in self.linux.readonly_paths.iter().enumerate() {
            let pointer = Pointer::new("/linux/readonlyPaths/{}").at(index);
            if self.absolute(path, &pointer) {
                let step = Step::ReadonlyPath { path: path.into(), within: self.within(path) };
                self.step(step, pointer, "Can be read, not changed.");
            }
        }
    }

    /// Paths that cannot be seen.
    pub(crate) fn masked_paths(&mut self) {
        self.label_masks();
        let mut seen = BTreeSet::new();
        for (index, path) in self.linux.masked_paths.iter().enumerate() {
            let pointer = Pointer::new("/linux/maskedPaths/{}").at(index);
            // A second mask would only cover the first.
            if self.absolute(path, &pointer) && seen.insert(clean(path)) {
                let step = Step::MaskPath { path: path.into(), within: self.within(path) };
                self.step(step, pointer, "Tells too much about the host.");
            }
        }
    }

    /// What a path is looked up in: the procfs that is at `/proc`, if it lies there.
    fn within(&self, path: &str) -> Slot {
        if self.proc_in_place && path.starts_with("/proc/") && clean(path) == path {
            Slot::PROC
        } else {
            Slot::ROOT
        }
    }

    fn absolute(&mut self, path: &str, pointer: &Pointer) -> bool {
        let cleaned = clean(path);
        if !path.starts_with('/') {
            self.error(Code::HiddenPath, pointer.clone(), format!("the path {path:?} is not absolute"));
        } else if cleaned == "/" {
            let message = format!("{path:?} is the root itself");
            self.error(Code::HiddenPath, pointer.clone(), message)
                .hint("use root.readonly for a read-only root");
        } else {
            return true;
        }
        false
    }

    /// Host and domain name.
    pub(crate) fn names(&mut self) {
        let spec = self.spec;
        if self.name(&spec.hostname, "hostname", Pointer::new("/hostname")) {
            let step = Step::Hostname { name: spec.hostname.as_str().into() };
            self.step(step, Pointer::new("/hostname"), "What uname(2) calls this machine.");
        }
        if self.name(&spec.domainname, "domainname", Pointer::new("/domainname")) {
            let step = Step::Domainname { name: spec.domainname.as_str().into() };
            self.step(step, Pointer::new("/domainname"), "The name of its NIS domain.");
        }
    }

    fn name(&mut self, name: &str, field: &str, pointer: Pointer) -> bool {
        if name.is_empty() {
            return false;
        }
        if name.len() > LONGEST_NAME {
            let message = format!("{field} has {} characters, the kernel takes {LONGEST_NAME}", name.len());
            self.error(Code::Name, pointer.clone(), message);
        }
        if !self.has(&NamespaceKind::Uts) {
            let message =
                format!("{field} {name:?} needs a uts namespace: without one, it would rename the host");
            self.error(Code::NamespaceMissing, pointer, message)
                .hint("add {\"type\": \"uts\"} to linux.namespaces");
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{clean, is_below};

    #[test]
    fn clean_paths() {
        for (path, cleaned) in [
            ("/", "/"),
            ("", "/"),
            ("/dev/", "/dev"),
            ("dev", "/dev"),
            ("//a/./b/../c", "/a/c"),
            ("/../..", "/"),
            ("/proc", "/proc"),
            ("/a/.b/c", "/a/.b/c"),
            ("/a/..b/.", "/a/..b"),
        ] {
            assert_eq!(clean(path), cleaned, "{path}");
        }
        assert!(is_below("/proc/1", "/proc") && is_below("/proc", "/proc") && !is_below("/process", "/proc"));
    }
}
