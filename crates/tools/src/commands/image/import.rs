//! `orlop image import`

use clap::{Arg, ArgMatches};
use orlop_command::{flags, output};
use orlop_image::reference::Name;
use orlop_image::source::Source;
use orlop_image::{Progress, Reference};
use orlop_runtime::{Error, Result};

use super::Subcommand;
use crate::images::{self, Told as _};
use crate::progress::Bar;

pub(super) const IMPORT: Subcommand = Subcommand {
    name: "import",
    about: "Verify an image and unpack its layers into the store",
    arguments: |command| {
        let name = Arg::new("name").value_name("NAME").value_parser(images::parse::<Name>);
        command
            .arg(images::reference("oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:TAG]"))
            .arg(name.help("What to call it [default: the name in the archive]"))
            .args(images::import_options())
    },
    run,
};

fn run(arguments: &ArgMatches) -> Result<()> {
    let reference: &Reference =
        flags::get(arguments, "reference").ok_or_else(|| Error::usage("an image is needed"))?;
    let quiet = arguments.get_flag("quiet");
    let options = images::get_import_options(arguments);
    let store = images::store(arguments)?;
    let bar = Bar::new(quiet);
    let source = Source::open(reference, &options.platform).told()?;
    if source.config().rootfs.diff_ids.is_empty() {
        bar.warn("the image has no layers");
    }
    let imported = store.import(&source, flags::get(arguments, "name"), &options, &bar);
    bar.clear();
    let image = imported.told()?;
    if quiet {
        output::lines([image.id.to_string().as_str()])?;
    } else {
        let name = image.name.as_deref().unwrap_or_default();
        let layers = image.layers.len();
        let plural = if layers == 1 { "" } else { "s" };
        output::lines([format!("{name}: {}, {layers} layer{plural}", image.id).as_str()])?;
    }
    Ok(())
}
