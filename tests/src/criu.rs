//! CRIU for `checkpoint` and `restore`: the one that `hack/criu` made ready, else the system's.
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::{need, runtime};

/// A `PATH` in which the runtime finds it.
pub fn path() -> OsString {
    let ours = runtime::workspace().join("target/criu/bin");
    let system = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(ours).chain(std::env::split_paths(&system)).chain([PathBuf::from("/usr/sbin")]);
    std::env::join_paths(all).expect("no directory has a colon in its name")
}

/// Why CRIU does not work here, if it does not.
pub fn trouble() -> Option<&'static str> {
    static TROUBLE: OnceLock<Option<String>> = OnceLock::new();
    TROUBLE
        .get_or_init(|| {
            if !need::root() {
                return Some("CRIU needs root".to_owned());
            }
            let Ok(out) = Command::new("criu").arg("check").env("PATH", path()).output() else {
                return Some("no CRIU: hack/criu makes it ready".to_owned());
            };
            let said = String::from_utf8_lossy(&out.stderr);
            let last = said.lines().rfind(|line| line.contains("Error")).unwrap_or("it fails");
            (!out.status.success()).then(|| format!("criu check: {last}"))
        })
        .as_deref()
}

/// Whether CRIU and this kernel have a feature, by the name that `criu check --feature` has for it.
pub fn has(feature: &str) -> bool {
    let out = Command::new("criu").args(["check", "--feature", feature]).env("PATH", path()).output();
    out.is_ok_and(|out| out.status.success())
}
