//! `orlop trace`: a trace that `--trace` has written as JSON, made into what its name asks for.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::{Arg, value_parser};
use orlop_command::entry::{Entry, PLAIN};
use orlop_command::flags::get;
use orlop_explain::page::PLAIN as PLAIN_PAGE;
use orlop_explain::trace::Trace;
use orlop_runtime::error::Doing as _;
use orlop_runtime::{Error, Result};

pub(super) const ENTRY: Entry = Entry {
    name: "trace",
    about: "Make a page or text of what --trace has written; called by run, create and exec",
    hidden: true,
    arguments: |command| {
        command.arg(Arg::new("file").value_name("FILE").required(true).value_parser(value_parser!(PathBuf)))
    },
    run: |_, arguments| {
        get::<PathBuf>(arguments, "file").map_or(Ok(()), |file| show(file))?;
        Ok(0)
    },
    ..PLAIN
};

fn show(file: &Path) -> Result<()> {
    let text = std::fs::read(file).doing(|| format!("read {}", file.display()))?;
    let trace =
        Trace::parse(&text).map_err(|e| Error::State { path: file.to_owned(), why: e.to_string() })?;
    let html = file.extension() == Some(OsStr::new("html"));
    let shown = if html { trace.html() } else { trace.text(&PLAIN_PAGE) };
    std::fs::write(file, shown).doing(|| format!("write {}", file.display()))
}
