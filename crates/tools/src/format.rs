//! `--format` of commands that list or show things: a table or JSON, or a [`Template`].

use clap::{Arg, ArgMatches};
use orlop_command::{flags, output};
use orlop_explain::page::Page;
use orlop_runtime::Result;
use serde_json::Value;

use crate::template::{Row, Template};

/// What `--format` says.
#[derive(Clone, Debug)]
pub(crate) enum Format {
    /// `table` or `text`, whichever the command has.
    Plain,
    /// `json`.
    Json,
    /// A template.
    Template(Template),
}

/// The option, of a command that prints `plain` by itself: `table`, `text` or `json`.
pub(crate) fn option(plain: &'static str) -> Arg {
    let (words, help) = match plain {
        "table" => ("table, json", flags::FORMAT_HELP),
        "text" => ("text, json", "How to print: text, json, or a template such as '{{.Name}}'"),
        _ => ("json", "How to print: json, or a template such as '{{.Name}}'"),
    };
    let read = move |text: &str| match text {
        "json" => Ok(Format::Json),
        text if text == plain => Ok(Format::Plain),
        text if text.contains("{{") => Template::parse(text).map(Format::Template),
        _ => Err(format!(
            "it is neither {} nor a template such as '{{{{.ID}}}}'",
            words.replace(", ", " nor ")
        )),
    };
    flags::option("format", "FORMAT", help).short('f').value_parser(read).default_value(plain)
}

/// Its value.
pub(crate) fn get(arguments: &ArgMatches) -> Format {
    flags::get(arguments, "format").cloned().unwrap_or(Format::Plain)
}

/// Prints rows by a template, a line each, with aligned columns if it is a table.
///
/// # Errors
///
/// A row lacks what the template asks for; or standard output cannot be written to.
pub(crate) fn print(template: &Template, rows: &[Row]) -> Result<bool> {
    output::write(text(template, rows)?)
}

/// What [`print`] prints.
pub(crate) fn text(template: &Template, rows: &[Row]) -> Result<String> {
    let mut lines = Vec::new();
    lines.extend(template.table.then(|| template.titles()));
    for row in rows {
        lines.push(template.apply(row)?);
    }
    if template.table {
        let cells = |line: &String| line.split('\t').map(str::to_owned).collect();
        return Ok(Page::columns(0, &lines.iter().map(cells).collect::<Vec<_>>()));
    }
    Ok(lines.into_iter().map(|line| line + "\n").collect())
}

/// Prints values as `format` says; `None` if the command has to do it.
///
/// # Errors
///
/// As [`print`].
pub(crate) fn values(format: &Format, values: &[Value], indent: Option<&str>) -> Result<Option<bool>> {
    let rows = || values.iter().map(|value| Row { value: value.clone(), shown: Vec::new() });
    match format {
        Format::Plain => Ok(None),
        Format::Json => output::json(&values, indent).map(Some),
        Format::Template(template) => print(template, &rows().collect::<Vec<_>>()).map(Some),
    }
}
