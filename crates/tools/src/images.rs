//! What commands with images share: the store, references, limits, and how errors are told.

use std::io::{BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::builder::RangedU64ValueParser;
use clap::{Arg, ArgMatches, value_parser};
use orlop_command::flags;
use orlop_image::reference::Name;
use orlop_image::{ImportOptions, Platform, Reference, Store};
use orlop_runtime::error::Doing as _;
use orlop_runtime::{Error, Result};

/// `--store`.
pub(crate) fn store_option() -> Arg {
    flags::path(
        "store",
        "DIR",
        "The store of images [default: $ORLOP_STORE, else /var/lib/orlop, or $XDG_DATA_HOME/orlop]",
    )
}

/// The store that is meant.
pub(crate) fn store(arguments: &ArgMatches) -> Result<Store> {
    Store::open(flags::get::<PathBuf>(arguments, "store").map(PathBuf::as_path)).told()
}

/// The image, by any kind of reference.
pub(crate) fn reference(help: &'static str) -> Arg {
    Arg::new("reference").value_name("REF").required(true).value_parser(parse::<Reference>).help(help)
}

/// Reads a value, for clap.
pub(crate) fn parse<T: FromStr<Err = orlop_image::Error>>(text: &str) -> std::result::Result<T, String> {
    text.parse().map_err(|e: orlop_image::Error| e.to_string())
}

/// The names of imported images.
pub(crate) fn names(required: bool) -> Arg {
    Arg::new("name")
        .value_name("NAME")
        .required(required)
        .num_args(0..)
        .value_parser(parse::<Name>)
        .help("Name or id of an imported image")
}

/// What says how an image is imported.
pub(crate) fn import_options() -> Vec<Arg> {
    let number =
        |name, value, help| flags::option(name, value, help).value_parser(value_parser!(u64).range(1..));
    vec![
        store_option(),
        flags::option(
            "platform",
            "OS/ARCH[/VARIANT]",
            "Which of several images to take [default: for this machine]",
        )
        .value_parser(parse::<Platform>),
        number("max-bytes", "N", "Refuse layers with more bytes in their files [default: 64 GiB]"),
        number("max-entries", "N", "Refuse layers with more entries [default: 2000000]"),
        flags::option("max-depth", "N", "Refuse layers with longer paths, in directories [default: 128]")
            .value_parser(RangedU64ValueParser::<u32>::new().range(1..)),
        number("max-ratio", "N", "Refuse layers that are compressed better, above 256 MiB [default: 256]"),
        number("jobs", "N", "How many layers to unpack at once [default: the number of processors]"),
        flags::switch(
            "no-sync",
            "Do not wait until layers are on disk: a crash of the machine may leave parts",
        ),
        flags::switch("quiet", "Print no progress, and of the result its id only").short('q'),
    ]
}

/// What they say.
pub(crate) fn get_import_options(arguments: &ArgMatches) -> ImportOptions {
    let mut options = ImportOptions::default();
    let number = |name| flags::get::<u64>(arguments, name).copied();
    if let Some(platform) = flags::get::<Platform>(arguments, "platform") {
        options.platform = platform.clone();
    }
    let limits = &mut options.limits;
    limits.bytes = number("max-bytes").unwrap_or(limits.bytes);
    limits.entries = number("max-entries").unwrap_or(limits.entries);
    limits.depth = flags::get::<u32>(arguments, "max-depth").copied().unwrap_or(limits.depth);
    limits.ratio = number("max-ratio").unwrap_or(limits.ratio);
    options.jobs = number("jobs").map_or(options.jobs, |jobs| usize::try_from(jobs).unwrap_or(usize::MAX));
    options.sync = !arguments.get_flag("no-sync");
    options
}

/// Errors of images as those of the runtime, which is what commands return.
pub(crate) trait Told<T> {
    /// The same, told by [`Error::Image`].
    fn told(self) -> Result<T>;
}

impl<T> Told<T> for orlop_image::Result<T> {
    fn told(self) -> Result<T> {
        self.map_err(|e| Error::Image { what: e.to_string(), hint: e.hint().map(Into::into) })
    }
}

/// Where an archive is written to: a file, or standard output if that is no terminal.
///
/// # Errors
///
/// It is one; the kernel's answer.
pub(crate) fn output(path: Option<&Path>) -> Result<Box<dyn Write>> {
    match path {
        Some(path) => {
            let file = std::fs::File::create(path).doing(|| format!("write {}", path.display()))?;
            Ok(Box::new(BufWriter::with_capacity(1 << 20, file)))
        }
        None if std::io::stdout().is_terminal() => {
            Err(Error::usage("an archive is nothing for a terminal; --output names a file"))
        }
        None => Ok(Box::new(BufWriter::with_capacity(1 << 20, std::io::stdout()))),
    }
}

/// Bytes as people read them, in powers of a thousand.
pub(crate) fn size(bytes: u64) -> String {
    let (mut unit, mut scale) = ("B", 1);
    for larger in ["kB", "MB", "GB", "TB"] {
        if bytes / scale < 1000 {
            break;
        }
        (unit, scale) = (larger, scale * 1000);
    }
    let whole = bytes / scale;
    if scale == 1 || whole >= 100 {
        return format!("{whole} {unit}");
    }
    format!("{whole}.{} {unit}", bytes % scale * 10 / scale)
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_have_three_digits_or_so() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1500, "1.5 kB"),
            (123_456_789, "123 MB"),
            (2_000_000_000_000, "2.0 TB"),
        ] {
            assert_eq!(super::size(bytes), text);
        }
    }
}
