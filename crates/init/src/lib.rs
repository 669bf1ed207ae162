//! The machine: runs the steps of one container process, in order, and becomes that process.
//!
//! It is a static program of a few pages, without a C library, without an allocator, without relocations. It lies in a
//! sealed memory file together with the [`Program`](orlop_program::Program) it runs; the container never sees a handle to
//! anything of the host's. Start reading at [`machine::Machine::run`].
//!
//! | file | the steps in it |
//! |---|---|
//! | [`machine`] | the loop over the steps, and the table that says which function does which |
//! | [`birth`] | none: before the first one, where a PID namespace is joined |
//! | [`root`] | the root file system: bind or overlay, propagation, pivot_root |
//! | [`mounts`] | new file systems, bind mounts, attributes |
//! | [`target`] | finding and making paths inside the root, safely |
//! | [`devices`] | device nodes and symbolic links |
//! | [`paths`] | read-only and masked paths |
//! | [`procfs`] | kernel parameters, the OOM score |
//! | [`copy`] | what a new file system takes over from the directory it covers |
//! | [`console`] | the terminal |
//! | [`identity`] | user, groups, capabilities, limits |
//! | [`landlock`] | what the program may reach of files and ports |
//! | [`scheduling`] | CPUs to run on |
//! | [`time`] | the time namespace |
//! | [`home`] | `HOME` from `/etc/passwd` |
//! | [`exec`] | finding the file, waiting for start, execve |
//! | [`pod`] | none: without any, it is the first process of a pod |
//! | [`stay`] | the first process, while the program is the second |
//! | [`report`] | what is told to the host side |
//!
//! Two rules hold everywhere. A failing step ends init: there is no partial recovery once privileges begin to drop. And
//! no path is ever looked up inside the container's root except relative to the root's descriptor, by openat2(2).
#![no_std]
#![forbid(unsafe_code)]

pub mod birth;
pub mod console;
pub mod copy;
pub mod devices;
pub mod exec;
pub mod home;
pub mod identity;
pub mod labels;
pub mod landlock;
pub mod machine;
pub mod mounts;
pub mod network;
pub mod overlay;
pub mod paths;
pub mod pod;
pub mod procfs;
pub mod report;
pub mod root;
pub mod scheduling;
pub mod stay;
pub mod target;
pub mod time;
pub mod trace;

pub use machine::Machine;

/// A number of decimal digits, and nothing else. The standard library's parsing takes a kilobyte.
#[must_use]
pub fn decimal(text: &[u8]) -> Option<u32> {
    let digit = |n: u32, byte: &u8| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        n.checked_mul(10)?.checked_add(digit.into())
    };
    if text.is_empty() { None } else { text.iter().try_fold(0, digit) }
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn only_digits_are_a_number() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"0042"), Some(42));
        assert_eq!(decimal(b"4294967295"), Some(u32::MAX));
        for other in [&b""[..], b"4294967296", b"+1", b"-1", b" 1", b"1 ", b"1a", b"\xff", b":"] {
            assert_eq!(decimal(other), None, "{other:?}");
        }
    }
}
