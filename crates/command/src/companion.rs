//! The companion: `orlop-tools`, which has the commands that no engine calls.
//!
//! `orlop` is started for every container, and every page of it costs; unpacking images, reports and explanations do not
//! belong there. They are commands of `orlop` all the same, as those of git are: `orlop image` becomes `orlop-tools
//! image`, which lies in the same directory.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use orlop_runtime::error::Doing as _;
use orlop_runtime::{Error, Result};

use crate::flags::strict;
use crate::output;

/// Its name.
pub const NAME: &str = "orlop-tools";

/// Where it may be: beside this program's own file, wherever a link to that was called, or where `make install` of a
/// distribution puts what is not called by hand. Never where `PATH` says: this may be root.
fn places() -> Vec<PathBuf> {
    let Ok(own) = std::env::current_exe() else { return Vec::new() };
    let beside = own.with_file_name(NAME);
    let libexec =
        own.parent().and_then(|bin| bin.parent()).map(|prefix| prefix.join("libexec/orlop").join(NAME));
    std::iter::once(beside).chain(libexec).collect()
}

/// Its file.
///
/// # Errors
///
/// It is not there.
fn find() -> Result<PathBuf> {
    let places = places();
    places.iter().find(|path| path.exists()).cloned().ok_or_else(|| {
        let looked: Vec<_> = places.iter().map(|path| path.display().to_string()).collect();
        Error::usage(format!(
            "this is the work of {NAME}, which comes with orlop and is not there: looked for {}",
            looked.join(", ")
        ))
    })
}

/// The file of the runtime that this process, its companion, belongs to.
///
/// # Errors
///
/// It is not there.
pub fn runtime() -> Result<PathBuf> {
    let own = std::env::current_exe().doing(|| "find this program".to_owned())?;
    // The other way round: beside it, or in the `bin` of the prefix whose `libexec/orlop` this is.
    let prefixed = own.ancestors().nth(3).map(|prefix| prefix.join("bin/orlop"));
    let places = [Some(own.with_file_name("orlop")), prefixed];
    places
        .into_iter()
        .flatten()
        .find(|path| path.exists())
        .ok_or_else(|| Error::usage(format!("there is no orlop that {} belongs to", own.display())))
}

/// Starts it in the place of this process, with the same arguments.
///
/// # Errors
///
/// Returns only if that fails: it is missing, or the kernel does not start it.
pub fn become_it() -> Error {
    let path = match find() {
        Ok(path) => path,
        Err(e) => return e,
    };
    let mut arguments = orlop_sys::entry::arguments();
    let called = arguments.next().unwrap_or_default();
    let e = Command::new(&path).arg0(called).args(arguments).exec();
    Error::usage(format!("start {}: {e}", path.display()))
}

/// What the companion finds about a bundle's container and nobody has accepted, as JSON.
///
/// # Errors
///
/// It is missing, or has failed: it knows no such rule, for instance.
pub fn audit<'a>(
    bundle: &Path,
    config: Option<&Path>,
    accepted: impl Iterator<Item = &'a String>,
) -> Result<Vec<u8>> {
    let path = find()?;
    let mut command = Command::new(&path);
    command.args(["audit", "--format", "json"]);
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    command.args(accepted.map(|rule| format!("--accept={rule}")));
    let out = command.arg(strict::as_path(bundle)).stdin(Stdio::null()).output();
    let out = out.doing(|| format!("start {}", path.display()))?;
    let said = String::from_utf8_lossy(&out.stderr);
    if out.status.success() {
        // Warnings.
        output::write_error(said.as_bytes())?;
        return Ok(out.stdout);
    }
    // The line that says what is wrong becomes the error, for whoever reads only those; what could help stays as it is.
    let (line, help) = said.split_once('\n').unwrap_or((&said, ""));
    output::write_error(help)?;
    let line = line.split_once(": ").map_or(line, |(_, line)| line);
    Err(Error::usage(line))
}

/// Does what is traced into a file, and makes text or a page of that by the companion, unless it is to stay JSON.
///
/// # Errors
///
/// That of the work; there is no companion, and nothing was done; it failed.
pub fn traced(file: Option<&Path>, work: impl FnOnce() -> Result<u8>) -> Result<u8> {
    let Some(file) = file.filter(|file| file.extension() != Some(OsStr::new("json"))) else {
        return work();
    };
    let path = find()?;
    let ended = work();
    if !file.exists() {
        return ended;
    }
    let shown = Command::new(&path).arg("trace").arg(file).stdin(Stdio::null()).status();
    let shown = shown.doing(|| format!("start {}", path.display()));
    ended.and_then(|ended| match shown {
        Ok(status) if !status.success() => {
            Err(Error::Died { what: format!("{NAME} trace"), how: status.to_string() })
        }
        Ok(_) => Ok(ended),
        Err(e) => Err(e),
    })
}
