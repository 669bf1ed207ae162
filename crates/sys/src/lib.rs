//! The fence: everything orlop asks of the kernel that neither `std` nor `nix` offers safely.
//!
//! One wrapper is one system call, with one doc comment: the man page, the least kernel, the errno that matters.
//! Nothing here decides anything. `no_std`, because `orlop-init` stands on it too.
//!
//! | file | what it wraps |
//! |---|---|
//! | [`fd`] | owned and borrowed descriptors |
//! | [`mod@file`] | opening, making, reading and checking files relative to a descriptor |
//! | [`directory`] | reading directories |
//! | [`xattr`] | extended attributes of any kind of file |
//! | [`mount`] | the new mount API, `pivot_root`, `umount2` |
//! | [`process`] | namespaces, pidfds, signals, exec, limits |
//! | [`sched`] | scheduling policy, I/O priority, CPUs, NUMA nodes, execution domain |
//! | [`cred`] | users, groups, capabilities, `prctl` |
//! | [`socket`] | messages with descriptors |
//! | [`terminal`] | pseudo-terminals |
//! | [`wait`] | how children ended |
//! | [`seccomp`] | loading a filter |
//! | [`bpf`] | device programs on a cgroup |
//! | [`net`] | bringing the loopback interface up |
//! | [`sibling`] | going on as another process |
//! | [`spawn`] | `clone3` and what runs between it and `execveat` |
//! | [`memory`] | scratch memory, and memory that is shared |
//! | [`arena`] | the allocator of the one-shot command |
//! | `entry` | where programs begin and end (feature `std`) |
//! | `command` | starting programs as the standard library does (feature `std`) |
//! | `realpath` | absolute paths (feature `std`) |
//! | [`name`] | paths as C has them, without an allocator |
//! | [`names`] | names of calls and errors, for people |
//! | `unwind` | in the place of an unwinder, where there is nothing to unwind by |
#![no_std]

#[cfg(feature = "std")]
extern crate std;

pub mod arena;
pub mod bpf;
#[cfg(feature = "std")]
pub mod command;
#[cfg(all(target_arch = "x86_64", any(test, all(feature = "std", target_env = "musl"))))]
mod copy;
pub mod cred;
pub mod directory;
#[cfg(feature = "std")]
pub mod entry;
pub mod fd;
pub mod file;
pub mod landlock;
pub mod memory;
pub mod mount;
pub mod name;
pub mod names;
pub mod net;
pub mod process;
pub mod raw;
#[cfg(feature = "std")]
pub mod realpath;
pub mod sched;
pub mod seccomp;
pub mod sibling;
pub mod socket;
pub mod spawn;
pub mod terminal;
pub mod ticks;
#[cfg(all(panic = "abort", feature = "std", target_env = "musl", not(test)))]
mod unwind;
pub mod wait;
pub mod xattr;

pub use fd::{Fd, OwnedFd};
pub use raw::{Error, Result};
