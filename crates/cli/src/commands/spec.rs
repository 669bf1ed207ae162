//! `orlop spec`

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use nix::unistd::{getegid, geteuid};
use orlop_runtime::error::Doing as _;
use orlop_runtime::{Error, Result, has_cgroups_of_version_1};
use orlop_spec::default::{default_spec, to_text};
use orlop_spec::{NamespaceKind, Spec};

use super::{Entry, PLAIN};
use crate::flags;

pub(super) const ENTRY: Entry = Entry {
    name: "spec",
    about: "Write a config.json to begin with",
    arguments: |command| {
        command.args([
            flags::path("bundle", "DIR", "Where to write it [default: the current directory]").short('b'),
            flags::path("file", "FILE", "Its name in that directory; one that exists is never replaced")
                .short('f')
                .default_value("config.json"),
            flags::switch("rootless", "One that works without root's rights"),
        ])
    },
    run: |_, arguments| {
        let bundle = flags::get::<PathBuf>(arguments, "bundle").map_or(Path::new("."), PathBuf::as_path);
        let file =
            flags::get::<PathBuf>(arguments, "file").map_or(Path::new("config.json"), PathBuf::as_path);
        write(&bundle.join(file), arguments.get_flag("rootless")).map(|()| 0)
    },
    ..PLAIN
};

/// Writes the default config to a file that does not exist yet.
fn write(path: &Path, rootless: bool) -> Result<()> {
    let text =
        to_text(&spec(rootless)).map_err(|e| Error::State { path: path.to_owned(), why: e.to_string() })?;
    let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            return Err(Error::usage(format!("file {} exists, remove it first", path.display())));
        }
        opened => opened.doing(|| format!("make {}", path.display()))?,
    };
    file.write_all(text.as_bytes()).doing(|| format!("write {}", path.display()))
}

/// The default config for this host; a rootless one maps the caller to root.
fn spec(rootless: bool) -> Spec {
    let mut spec = default_spec(rootless);
    if let Some(linux) = spec.linux.as_mut().filter(|_| has_cgroups_of_version_1()) {
        linux.namespaces.retain(|namespace| namespace.kind != NamespaceKind::Cgroup);
    }
    if let Some(linux) = spec.linux.as_mut().filter(|_| rootless) {
        linux.uid_mappings.iter_mut().for_each(|map| map.host_id = geteuid().as_raw());
        linux.gid_mappings.iter_mut().for_each(|map| map.host_id = getegid().as_raw());
    }
    spec
}
