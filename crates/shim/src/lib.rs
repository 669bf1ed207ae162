//! `containerd-shim-orlop-v2`: what containerd starts for `io.containerd.orlop.v2`, one for each pod or container.
//!
//! | file | what is in it |
//! |---|---|
//! | `arguments.rs` | how containerd calls it |
//! | `start.rs`, `address.rs` | `start`: finding the server that is there, or starting one |
//! | `placement.rs` | the server's cgroup, OOM score and cores |
//! | `settings.rs` | options of containers |
//! | `remove.rs` | `delete`: taking away what a dead server has left |
//! | `info.rs` | `-info`, `-v` |
//! | [`server`] | the server: one thread that waits for everything |
//! | [`task`] | containers and processes: the methods of containerd's Task service |
//! | [`sandbox`] | pods: containerd's Sandbox service |
//! | [`stdio`] | where their streams go |
//! | `publisher.rs` | events on their way to containerd |
//! | [`jobs`] | what may take long |
//! | [`ttrpc`], [`messages`] | containerd's protocol and its messages |
//!
//! The program `main.rs` is [`main`] and nothing else; as a library it can be tried by `tests/fuzz` (feature `fuzz`).
//!
//! Containers are made, started and deleted by the library `orlop-runtime`, in this process.
#![forbid(unsafe_code)]

mod address;
mod arguments;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod info;
mod jobs;
mod messages;
mod metrics;
mod placement;
mod publisher;
mod remove;
mod rootfs;
mod sandbox;
mod serve;
mod server;
mod settings;
mod sha256;
mod start;
mod stdio;
mod task;
mod ttrpc;

use std::io::Write as _;

use arguments::{Action, Arguments};
use orlop_runtime::reactor;

/// The program's name.
const NAME: &str = "containerd-shim-orlop-v2";

/// The program; the exit status. containerd reads both streams of what it starts as one: the answer, or one line that says why there is none.
pub fn main() -> u8 {
    let output =
        Arguments::read(orlop_sys::entry::arguments().skip(1)).and_then(|arguments| match arguments.action {
            Action::Start => start::start(&arguments),
            Action::Delete => remove::delete(&arguments),
            Action::Info => info::info(),
            Action::Version => Ok(info::version()),
            Action::Serve => serve::serve(&arguments),
        });
    let (status, written) = match output {
        Ok(answer) => (0, std::io::stdout().write_all(&answer)),
        Err(failure) => {
            let line = format!("{NAME}: {}\n", failure.message);
            (1, std::io::stderr().write_all(line.as_bytes()))
        }
    };
    if written.is_err() { 1 } else { status }
}
