//! `orlop image list`, `inspect` and `history`

use clap::ArgMatches;
use orlop_command::{flags, output};
use orlop_image::reference::Name;
use orlop_image::store::Image;
use orlop_image::{ImageHandle, Store};
use orlop_runtime::{Error, Result};
use serde_json::{Value, json, value::RawValue};

use super::Subcommand;
use crate::format::{self, Format};
use crate::images::{self, Told as _, size};
use crate::template::Row;

pub(super) const LIST: Subcommand = Subcommand {
    name: "list",
    about: "List imported images",
    arguments: |command| {
        command.visible_alias("ls").args([
            images::store_option(),
            format::option("table"),
            flags::switch("quiet", "Print ids only").short('q').conflicts_with("format"),
        ])
    },
    run: list,
};

pub(super) const INSPECT: Subcommand = Subcommand {
    name: "inspect",
    about: "Show manifest, config and layers of images, as JSON",
    arguments: |command| {
        command.args([images::names(true).num_args(1..), images::store_option(), format::option("json")])
    },
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
            format::option("table"),
            flags::switch("no-trunc", "Print all of each step"),
        ])
    },
    run: history,
};

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
    let format = format::get(arguments);
    let mut values = Vec::new();
    for image in &all {
        let handle = found(&store, image)?;
        let bytes: u64 = store.sizes(&handle).told()?.iter().sum();
        let (platform, created) = (handle.config.platform.to_string(), handle.config.created.clone());
        let value = json!({
            "name": image.name, "id": image.id, "manifest": image.manifest, "platform": platform,
            "created": created, "imported": image.imported, "source": image.source, "size": bytes,
        });
        values.push(Row { value, shown: dockers(image, &created, bytes) });
        // Seconds are enough for people, and Go writes nine digits more.
        let created = created.get(..19).unwrap_or(&created).replace('T', " ");
        rows.push([image.name.clone(), image.id.short().into(), platform, created, size(bytes)]);
    }
    match format {
        Format::Plain => output::write(output::titled(output::table(&rows))),
        Format::Json => output::json(&values.iter().map(|row| &row.value).collect::<Vec<_>>(), None),
        Format::Template(template) => format::print(&template, &values),
    }
    .map(drop)
}

/// Docker's names for what there is of an image.
fn dockers(image: &Image, created: &str, bytes: u64) -> Vec<(&'static str, String)> {
    let (repository, tag) = image.name.rsplit_once(':').unwrap_or((&image.name, "<none>"));
    vec![
        ("ID", image.id.short().to_owned()),
        ("Repository", repository.to_owned()),
        ("Tag", tag.to_owned()),
        ("CreatedAt", created.to_owned()),
        ("Digest", image.manifest.to_string()),
        ("Size", size(bytes)),
    ]
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
    if format::values(&format::get(arguments), &values, Some("  "))?.is_none() {
        output::json(&values, Some("  "))?;
    }
    Ok(())
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
    let values = steps.iter().map(|(step, bytes)| json!({"step": step, "size": bytes})).collect::<Vec<_>>();
    if format::values(&format::get(arguments), &values, None)?.is_some() {
        return Ok(());
    }
    let mut rows = vec![["CREATED", "SIZE", "CREATED BY"].map(str::to_owned)];
    for (step, bytes) in steps {
        let created = step.created.get(..19).unwrap_or(&step.created).replace('T', " ");
        let text = if step.created_by.is_empty() { &step.comment } else { &step.created_by };
        let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = if arguments.get_flag("no-trunc") { line } else { line.chars().take(60).collect() };
        rows.push([created, bytes.map_or("-".into(), size), line]);
    }
    output::write(output::titled(output::table(&rows))).map(drop)
}
