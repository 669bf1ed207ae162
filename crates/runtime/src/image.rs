//! The file a container process starts from: the machine, and after it the program it is to run.
//!
//! It exists in memory only, sealed, so nobody can change it and the container never sees a handle to anything of the
//! host's (CVE-2019-5736). Its pages belong to whoever makes it, not to the container's memory limit.

use orlop_program::{Built, Slot};
use orlop_sys::{Error, OwnedFd, Result, file};

/// `orlop-init`, built for the same processor by this crate's build script.
const MACHINE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/orlop-init"));

/// The machine alone: a program that, with no other after it, stays until a signal ends it and lets no orphan become a
/// zombie. It is what the first process of a pod can be.
pub const fn first_process() -> &'static [u8] {
    MACHINE
}

/// Where the machine's only segment says how long it is in the file, and then in memory: `p_filesz` and `p_memsz` of its first
/// program header ([elf(5)](https://man7.org/linux/man-pages/man5/elf.5.html)).
const SIZES: usize = 64 + 32;

/// The machine is this segment and nothing else, and its last word, the length of the program, is 0 yet (`init/link.ld`).
const _: () = {
    let size = (MACHINE.len() as u64).to_le_bytes();
    let mut i = 0;
    while i < size.len() {
        assert!(MACHINE[SIZES + i] == size[i] && MACHINE[SIZES + size.len() + i] == size[i]);
        assert!(MACHINE[MACHINE.len() - size.len() + i] == 0);
        i += 1;
    }
};

/// Hands out the pieces of a file of the machine and an encoded program after it. The machine's segment is made longer to hold the
/// program, so whoever executes the file finds it in memory.
pub fn with_machine<T>(program: &[u8], take: impl FnOnce([&[u8]; 6]) -> T) -> T {
    let length = (program.len() as u64).to_le_bytes();
    let size = ((MACHINE.len() + program.len()) as u64).to_le_bytes();
    let (start, rest) = MACHINE.split_at(SIZES);
    let rest = &rest[2 * size.len()..rest.len() - length.len()];
    take([start, &size, &size, rest, &length, program])
}

/// Makes the file, in memory, with a program whose slots are filled with these descriptors.
///
/// # Errors
///
/// memfd_create(2) or writev(2) failed; `EACCES`: the sysctl `vm.memfd_noexec` forbids executable files in memory.
pub(crate) fn make<O>(program: &Built<O>, slots: &[(Slot, i32)]) -> Result<OwnedFd> {
    let program = program.encode(slots);
    let image = file::memfd(c"orlop-init")?;
    if with_machine(&program, |pieces| file::writev(image.fd(), pieces))? < MACHINE.len() + program.len() {
        return Err(Error::of(libc::SYS_writev, libc::ENOSPC));
    }
    file::seal(image.fd())?;
    Ok(image)
}

#[cfg(test)]
mod tests {
    /// It is read by every container's first page faults, and is to be read by people.
    #[test]
    fn the_machine_is_no_larger_than_it_was() {
        let size = super::MACHINE.len();
        assert!(size <= 40_000, "{size} bytes");
    }
}
