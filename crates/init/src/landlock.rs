//! Landlock: what the program may reach of the file system and the network, whoever it is.

use crate::Machine;
use crate::machine::Outcome;
use orlop_program::{Slot, Str};
use orlop_sys::file;
use orlop_sys::landlock::{self, Handled};
use orlop_sys::name::Name;

/// Rights that make sense for what is no directory: execute, write, read, truncate, ioctl of devices.
const OF_FILES: u64 = 0b1100_0000_0000_0111;

/// Makes the ruleset.
pub fn make(machine: &mut Machine<'_>, handled: Handled) -> Outcome {
    let ruleset = landlock::ruleset(handled)?;
    machine.keep(Slot::RULESET, ruleset);
    Ok(())
}

/// Allows access to a path of the container's, which has to be there.
pub fn allow_path(machine: &Machine<'_>, path: Str<'_>, files: u64) -> Outcome {
    let found = file::open_path_in_root(machine.root(), Name::new().set(path.bytes())?)?;
    let is_directory = file::fstat(found.fd())?.is(libc::S_IFDIR);
    let files = if is_directory { files } else { files & OF_FILES };
    Ok(landlock::allow_beneath(machine.slot(Slot::RULESET), found.fd(), files)?)
}

/// Puts it in force; from here on init itself has no other rights.
pub fn restrict(machine: &mut Machine<'_>) -> Outcome {
    landlock::restrict(machine.slot(Slot::RULESET))?;
    drop(machine.take(Slot::RULESET));
    Ok(())
}
