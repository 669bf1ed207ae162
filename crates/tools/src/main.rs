//! `orlop-tools`: the commands of `orlop` that no engine calls. `orlop` starts it in its own place
//! (`orlop_command::companion`), and is not made larger and slower to start by them.
//!
//! One file per command, in [`commands`].
#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_main)]

mod cni;
mod commands;
mod completion;
mod format;
mod images;
mod man;
mod progress;
mod run;
mod stopped;
mod table;
mod template;
mod terminal;
mod volumes;

#[cfg(not(test))]
orlop_sys::entry!(|| orlop_command::main(&commands::TOOLS));
