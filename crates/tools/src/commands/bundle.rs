//! `orlop bundle`

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};
use nix::unistd::{getegid, geteuid};
use orlop_command::entry::{Entry, PLAIN};
use orlop_command::flags;
use orlop_image::{Overrides, Reference, bundle};
use orlop_runtime::{Error, Result, has_cgroups_of_version_1};
use orlop_seccomp::Arch;
use orlop_spec::{NamespaceKind, Spec};

use crate::images::{self, Told as _};
use crate::progress::Bar;

pub(super) const ENTRY: Entry = Entry {
    name: "bundle",
    about: "Make a bundle of an image, which any runtime can run",
    arguments,
    run: |_, arguments| run(arguments).map(|()| 0),
    ..PLAIN
};

fn arguments(command: Command) -> Command {
    let dir = Arg::new("dir").value_name("DIR").required(true).value_parser(value_parser!(PathBuf));
    command
        .arg(images::reference(
            "Name of an imported image, oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:TAG]",
        ))
        .arg(dir.help("Where to make it: a directory that is empty, or not there yet"))
        .args(images::import_options())
}

fn run(arguments: &ArgMatches) -> Result<()> {
    let reference: &Reference =
        flags::get(arguments, "reference").ok_or_else(|| Error::usage("an image is needed"))?;
    let dir: &PathBuf = flags::get(arguments, "dir").ok_or_else(|| Error::usage("a directory is needed"))?;
    let store = images::store(arguments)?;
    let bar = Bar::new(arguments.get_flag("quiet"));
    let image = store.ensure(reference, &images::get_import_options(arguments), &bar);
    bar.clear();
    let rootless = (!geteuid().is_root()).then(|| (geteuid().as_raw(), getegid().as_raw()));
    let overrides = Overrides { rootless, ..Overrides::default() };
    bundle::create(&store, &image.told()?, dir, &overrides, adapt, &bar).told()
}

/// What depends on the host, and what the image says nothing about.
fn adapt(spec: &mut Spec) {
    let capabilities = spec.process.as_ref().and_then(|process| process.capabilities.as_ref());
    let bounding = capabilities.map(|capabilities| capabilities.bounding.clone()).unwrap_or_default();
    let Some(linux) = &mut spec.linux else { return };
    if has_cgroups_of_version_1() {
        linux.namespaces.retain(|namespace| namespace.kind != NamespaceKind::Cgroup);
    }
    let Some(native) = Arch::host() else { return };
    let filter = orlop_seccomp::standard(bounding.iter().map(String::as_str), native);
    linux.seccomp = serde_json::value::to_raw_value(&filter).ok();
}
