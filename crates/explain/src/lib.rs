//! Looking at containers: what would be done for one, what one is, what it could reach, and whether a host can run any.
//!
//! Everything here reads and nothing changes anything; probes of the kernel are made in processes of their own that end at
//! once. What is found is a value first, and text, JSON, HTML or a diagram second.
//!
//! | file | what is in it |
//! |---|---|
//! | [`audit`] | what a container could reach, by rules |
//! | [`doctor`] | whether this host can run containers |
//! | [`explain`] | a compiled program as a story: [`explain::Story`], its text, JSON, HTML, diagram; two stories compared |
//! | [`filter`] | a system call filter as text, and whether a call passes |
//! | [`help`] | the long form of every code |
//! | [`inspect`] | a running process from the kernel's side |
//! | [`page`] | text for terminals: width, colours |
//! | [`trace`] | how long each step took, as text and as a page |
//! | `names.rs` | flags and sets of the kernel by their names |
#![forbid(unsafe_code)]

pub mod audit;
pub mod doctor;
pub mod explain;
pub mod filter;
pub mod help;
pub mod inspect;
mod names;
pub mod page;
pub mod trace;

pub use explain::assume::Assumptions;
pub(crate) use explain::html::escaped;
