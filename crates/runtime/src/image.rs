//! The file a container process starts from: the machine, and after it the program it is to run.
//!
//! It exists in memory only, sealed, so nobody can change it and the container never sees a handle to anything of the
//! host's (CVE-2019-5736). Its pages belong to whoever makes it, not to the container's memory limit.

use orlop_program::{Built, Slot};
use orlop_sys::{Error, OwnedFd, Result, file};

/// `orlop-init`, built for the same processor by this crate's build script.
const MACHINE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/orlop-init"));

/// The machine alone: a program that, started without arguments, stays until a signal ends it and lets no orphan become a
/// zombie. It is what the first process of a pod can be.
pub const fn first_process() -> &'static [u8] {
    MACHINE
}

/// Makes the file: machine, then program, whose slots are filled with these descriptors.
///
/// # Errors
///
/// memfd_create(2) or write(2) failed; `EACCES`: the sysctl `vm.memfd_noexec` forbids executable files in memory.
pub(crate) fn make<O>(program: &Built<O>, slots: &[(Slot, i32)]) -> Result<OwnedFd> {
    let image = file::memfd(c"orlop-init")?;
    write_all(&image, MACHINE)?;
    write_all(&image, &program.encode(slots))?;
    file::seal(image.fd())?;
    Ok(image)
}

fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match file::write(file.fd(), bytes)? {
            0 => return Err(Error::of(libc::SYS_write, libc::ENOSPC)),
            n => bytes = &bytes[n..],
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    /// It is read by every container's first page faults, and is to be read by people. The goal is 40 kB.
    #[test]
    fn the_machine_is_no_larger_than_it_was() {
        let size = super::MACHINE.len();
        assert!(size <= 45_000, "{size} bytes");
    }
}
