//! Where a program begins and ends, instead of the standard library's own way, which is a dozen system calls longer: a stack for
//! a handler that tells of an overflowing stack, made at the beginning and unmapped at the end, four questions about signals.
//! The kernel ends a program whose stack overflows without that, too.
//!
//! What programs do need of it is here: the three standard descriptors are open, so that no file of theirs becomes one, and
//! writing to a closed pipe is an error instead of the program's end.

use crate::{process, raw::call};
use core::ffi::{CStr, c_char, c_int};
use core::slice;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::OnceLock;
use std::vec::Vec;

/// The arguments.
static ARGUMENTS: OnceLock<Vec<OsString>> = OnceLock::new();

/// Makes a function the program's `main`: one without arguments, whose result is the exit status.
///
/// For a `#![no_main]` program.
#[macro_export]
macro_rules! entry {
    ($main:expr) => {
        // SAFETY: the one function of this name, with the signature that C has for it.
        #[unsafe(no_mangle)]
        extern "C" fn main(
            argc: core::ffi::c_int,
            argv: *const *const core::ffi::c_char,
        ) -> core::ffi::c_int {
            // SAFETY: the C library calls this, with the arguments.
            unsafe { $crate::entry::begin(argc, argv, $main) }
        }
    };
}

/// The arguments of this process, the first of which is its name.
pub fn arguments() -> impl Iterator<Item = OsString> {
    // In a test program, which has not begun here, the standard library has them.
    ARGUMENTS.get_or_init(|| std::env::args_os().collect()).iter().cloned()
}

/// Runs a program: what is between C's `main` and its own. Ends the process.
///
/// # Safety
///
/// The arguments are those of C's `main`, and nobody changes them.
pub unsafe fn begin(count: c_int, words: *const *const c_char, main: fn() -> u8) -> ! {
    if open_standard().is_err() {
        // Nobody can be told.
        process::exit(1);
    }
    // It fails for no signal that there is.
    process::ignore_signal(libc::SIGPIPE).ok();
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: the caller's contract: there are as many pointers…
    let words = unsafe { slice::from_raw_parts(words, count) };
    ARGUMENTS.get_or_init(|| {
        let owned = |word: &*const c_char| {
            // SAFETY: … to strings that end with a NUL.
            let text = unsafe { CStr::from_ptr(*word) };
            OsString::from(OsStr::from_bytes(text.to_bytes()))
        };
        words.iter().map(owned).collect()
    });
    let status = main();
    // Whoever cares whether it was written has asked before.
    std::io::stdout().flush().ok();
    process::exit(status.into())
}

/// Opens `/dev/null` in the place of each of the three standard descriptors that is closed.
fn open_standard() -> crate::Result<()> {
    let closed = |fd: i32| {
        let args = [fd as usize, libc::F_GETFD as usize];
        // SAFETY: reads flags.
        unsafe { call(libc::SYS_fcntl, args) }.is_err()
    };
    for _ in (0..3).filter(|fd| closed(*fd)) {
        let path = c"/dev/null".as_ptr() as usize;
        // The lowest number that is free, which is that of the first one that is closed. It stays open for ever.
        let args = [libc::AT_FDCWD as usize, path, libc::O_RDWR as usize];
        // SAFETY: the path is a string; the new descriptor is nobody's yet.
        unsafe { call(libc::SYS_openat, args) }?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::arguments;

    #[test]
    fn arguments_are_those_of_the_process() {
        let own: std::vec::Vec<_> = std::env::args_os().collect();
        assert_eq!(arguments().collect::<std::vec::Vec<_>>(), own);
    }
}
