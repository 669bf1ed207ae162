//! Labels of security modules, through the kernel's own files of this process.

use crate::Machine;
use crate::machine::Outcome;
use crate::procfs::{self, write};
use crate::report::Fault;
use orlop_program::Str;
use orlop_sys::file::{How, IN_ROOT};
use orlop_sys::name::Name;
use orlop_sys::{Error, file};

/// A profile's name with what is to be done with it. The kernel's names are shorter than a page.
const LONGEST: usize = 4096;

/// Changes the `AppArmor` profile by the next exec
/// ([apparmor(7)](https://manpages.debian.org/apparmor.7)).
pub fn apparmor_on_exec(machine: &Machine<'_>, profile: Str<'_>) -> Outcome {
    let prefix = b"exec ";
    let mut command = [0; LONGEST];
    let end = prefix.len() + profile.bytes().len();
    let too_long = Error::of(libc::SYS_write, libc::ENAMETOOLONG);
    command.get_mut(..prefix.len()).ok_or(too_long)?.copy_from_slice(prefix);
    command.get_mut(prefix.len()..end).ok_or(too_long)?.copy_from_slice(profile.bytes());
    write(machine, b"thread-self/attr/apparmor/exec", command.get(..end).ok_or(too_long)?)
}

/// Changes the `SELinux` label by the next exec.
pub fn on_exec(machine: &Machine<'_>, label: Str<'_>) -> Outcome {
    write(machine, b"thread-self/attr/exec", label.bytes())
}

/// Sets the `SELinux` label of new keys. A bare end of line takes it back.
pub fn of_keys(machine: &mut Machine<'_>, label: Option<Str<'_>>) -> Outcome {
    procfs::private(machine)?;
    write(machine, b"thread-self/attr/keycreate", label.map_or(b"\n", |label| label.bytes()))
}

/// Labels the root of a mount.
pub fn of_mount(machine: &Machine<'_>, path: Str<'_>, label: Str<'_>) -> Outcome {
    let mut name = Name::new();
    let how = How { flags: libc::O_RDONLY | libc::O_DIRECTORY, mode: 0, resolve: IN_ROOT };
    let root = file::openat2(machine.root(), name.set(path.bytes())?, how)?;
    file::set_attribute(root.fd(), c"security.selinux", label.c_str().to_bytes_with_nul())
        .map_err(Fault::from)
}
