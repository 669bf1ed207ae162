//! The test kit: what the tests in `tests/tests/` are made of.
//!
//! | module | what it gives |
//! |---|---|
//! | [`runtime`] | which binary is under test: `bin/orlop`, or whatever `ORLOP` names |
//! | [`container`] | [`Container`]: one container from bundle to `delete`, leaks checked at the end |
//! | [`bundle`] | a bundle in a temporary directory whose `config.json` a test edits by JSON pointer |
//! | [`spec`] | the default configuration, and its variants for user namespaces |
//! | [`busybox`] | the small root file system most tests use |
//! | [`rootfs`] | a Debian root file system with real servers in it |
//! | [`command`] | run a command with a time limit; everything it said is kept |
//! | [`criu`] | CRIU, where it works, for `checkpoint` and `restore` |
//! | [`engine`] | a place where a container engine runs, apart from the machine's own |
//! | [`events`] | wait for things to happen (processes, fifos, files); nothing here sleeps |
//! | [`cgroup`] | where a process's limits are: version 1 or 2, whichever has the controller |
//! | [`campaign`] | one fault after another, and what is left after each |
//! | [`fault`] | faults at every system call of a command |
//! | [`figures`] | what the machine has in use, in numbers |
//! | [`images`] | containers of images, and a store for them |
//! | [`lab`] | a page of the labs, typed into a shell |
//! | [`layout`] | small images |
//! | [`ledger`] | what a container left behind on the machine |
//! | [`agent`] | a seccomp agent, which is asked about system calls |
//! | [`seccomp`] | a profile of the kind that container engines use |
//! | [`shim`] | containerd's side of a shim: calls, and a place for events |
//! | [`supervised`] | containers in the care of a supervisor |
//! | [`systemd`] | what systemd knows of a unit, and one that never answers |
//! | [`terminal`] | pseudo-terminals and console sockets |
//! | [`unprivileged`] | a user without privileges, with subordinate ids, made without touching `/etc` |
//! | [`rootless`] | a container in the hands of such a user |
//! | [`delegated`] | a cgroup that belongs to such a user |
//! | [`random`] | chance that can be repeated, work in several lanes |
//! | [`need`] | say SKIP, with the reason, where something a test needs is missing |
//!
//! A test reads like what a user would type:
//!
//! ```no_run
//! use orlop_tests::Container;
//! let container = Container::sh("echo hello; exit 3");
//! let out = container.run();
//! assert_eq!((out.code, out.stdout.as_str()), (3, "hello\n"));
//! ```
//!
//! Helpers panic where something that must work does not: the panic is the test's failure.
#![forbid(unsafe_code)]
#![allow(clippy::missing_panics_doc, reason = "every helper fails its test by a panic")]

pub mod agent;
pub mod bundle;
pub mod busybox;
#[cfg(target_arch = "x86_64")]
pub mod campaign;
pub mod cgroup;
pub mod command;
pub mod container;
pub mod criu;
pub mod delegated;
pub mod engine;
pub mod events;
#[cfg(target_arch = "x86_64")]
pub mod fault;
pub mod figures;
pub mod images;
pub mod lab;
pub mod layout;
pub mod ledger;
pub mod need;
pub mod random;
pub mod rootfs;
pub mod rootless;
pub mod runtime;
pub mod seccomp;
pub mod shim;
pub mod spec;
pub mod supervised;
pub mod systemd;
pub mod terminal;
pub mod unprivileged;

pub use bundle::Bundle;
pub use command::{Invocation, Output, Running};
pub use container::Container;
pub use engine::EngineRoom;
pub use events::{Fifo, ProcessHandle};
