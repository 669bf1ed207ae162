//! The companion: `orlop-tools`, which has the commands that no engine calls.
//!
//! `orlop` is started for every container, and every page of it costs; unpacking images, reports and explanations do not
//! belong there. They are commands of `orlop` all the same, as those of git are: `orlop image` becomes `orlop-tools
//! image`, which lies in the same directory.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use orlop_runtime::Error;

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

/// Starts it in the place of this process, with the same arguments.
///
/// # Errors
///
/// Returns only if that fails: it is missing, or the kernel does not start it.
pub fn become_it() -> Error {
    let places = places();
    let Some(path) = places.iter().find(|path| path.exists()) else {
        let looked: Vec<_> = places.iter().map(|path| path.display().to_string()).collect();
        return Error::usage(format!(
            "this command is one of {NAME}, which comes with orlop and is not there: looked for {}",
            looked.join(", ")
        ));
    };
    let mut arguments = std::env::args_os();
    let called = arguments.next().unwrap_or_default();
    let e = Command::new(path).arg0(called).args(arguments).exec();
    Error::usage(format!("start {}: {e}", path.display()))
}
