//! `orlop image list`, `inspect` and `history`

use clap::{ArgMatches, Command};
use orlop_command::{flags, output};
use orlop_image::reference::Name;
use orlop_image::store::Image;
use orlop_image::{ImageHandle, Store};
use orlop_runtime::{Error, Result};
use serde_json::{Value, json, value::RawValue};

use super::Subcommand;
use crate::images::{self, Told as _, size};

pub(super) const LIST: Subcommand = Subcommand {
    name: "list",
    about: "List imported images",
    arguments: |command| {
        command.visible_alias("ls").args([
            images::store_option(),
            flags::format(),
            flags::switch("quiet", "Print ids only").short('q'),
        ])
    },
    run: list,
};

pub(super) const INSPECT: Subcommand = Subcommand {
    name: "inspect",
    about: "Show manifest, config and layers of images, as JSON",
    arguments: of_images,
    run: inspect,
};

pub(super) const HISTORY: Subcommand = Subcommand {
    name: "history",
    about: "Show how an image came about, the newest step first",
    arguments: |command| {
        let name = images::names(true).num_args(1);
        command.args([
            name,
            images::store_option(),
            flags::format(),
            flags::switch("no-trunc", "Print all of each step"),
        ])
    },
    run: history,
};

fn of_images(command: Command) -> Command {
    command.args([images::names(true).num_args(1..), images::store_option()])
}

/// An image, with what its documents say.
fn found(store: &Store, image: &Image) -> Result<ImageHandle> {
    let name = image.name.parse::<Name>().told()?;
    store.image(&name).told()
}

fn list(arguments: &ArgMatches) -> Result<()> {
    let store = images::store(arguments)?;
    let all = store.images().told()?;
    if arguments.get_flag("quiet") {
        return output::lines(all.iter().map(|image| image.id.hex())).map(drop);
    }
    let mut rows = vec![["NAME", "ID", "PLATFORM", "CREATED", "SIZE"].map(str::to_owned)];
    let mut values = Vec::new();
    for image in &all {
        let handle = found(&store, image)?;
        let bytes: u64 = store.sizes(&handle).told()?.iter().sum();
        let (platform, created) = (handle.config.platform.to_string(), handle.config.created.clone());
        if flags::is_json(arguments) {
            values.push(json!({
                "name": image.name, "id": image.id, "manifest": image.manifest, "platform": platform,
                "created": created, "imported": image.imported, "source": image.source, "size": bytes,
            }));
        }
        // Seconds are enough for people, and Go writes nine digits more.
        let created = created.get(..19).unwrap_or(&created).replace('T', " ");
        rows.push([image.name.clone(), image.id.short().into(), platform, created, size(bytes)]);
    }
    if flags::is_json(arguments) {
        output::json(&values, None)?;
    } else {
        output::write(output::table(&rows))?;
    }
    Ok(())
}

fn inspect(arguments: &ArgMatches) -> Result<()> {
    let store = images::store(arguments)?;
    let mut values = Vec::new();
    for name in arguments.get_many::<Name>("name").into_iter().flatten() {
        let image = store.image(name).told()?;
        let (manifest, config) = store.raw_documents(&image).told()?;
        let layers: Vec<_> = image.layers.iter().map(|layer| layer.display().to_string()).collect();
        values.push(json!({
            "name": image.name, "id": image.id, "digest": image.manifest, "layers": layers,
            "manifest": raw(&manifest)?, "config": raw(&config)?,
        }));
    }
    output::json(&values, Some("  ")).map(drop)
}

/// A document, as it is.
fn raw(bytes: &[u8]) -> Result<Value> {
    let bad =
        |e: serde_json::Error| Error::State { path: "a document of the image".into(), why: e.to_string() };
    let text: Box<RawValue> = serde_json::from_slice(bytes).map_err(bad)?;
    serde_json::from_str(text.get()).map_err(bad)
}

fn history(arguments: &ArgMatches) -> Result<()> {
    let store = images::store(arguments)?;
    let name: &Name = flags::get(arguments, "name").ok_or_else(|| Error::usage("an image is needed"))?;
    let image = store.image(name).told()?;
    let mut sizes = store.sizes(&image).told()?.into_iter();
    let steps = image.config.history.iter().map(|step| {
        let bytes = if step.empty_layer { None } else { sizes.next() };
        (step, bytes)
    });
    let mut steps: Vec<_> = steps.collect();
    steps.reverse();
    if flags::is_json(arguments) {
        let values = steps.iter().map(|(step, bytes)| json!({"step": step, "size": bytes}));
        return output::json(&values.collect::<Vec<_>>(), None).map(drop);
    }
    let mut rows = vec![["CREATED", "SIZE", "CREATED BY"].map(str::to_owned)];
    for (step, bytes) in steps {
        let created = step.created.get(..19).unwrap_or(&step.created).replace('T', " ");
        let text = if step.created_by.is_empty() { &step.comment } else { &step.created_by };
        let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = if arguments.get_flag("no-trunc") { line } else { line.chars().take(60).collect() };
        rows.push([created, bytes.map_or("-".into(), size), line]);
    }
    output::write(output::table(&rows)).map(drop)
}
