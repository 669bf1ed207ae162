//! systemd's units over D-Bus: a scope unit for each container whose cgroup systemd shall make.
//!
//! The crate has two halves. The **pure** half makes names and values: [`ScopeName`] from `linux.cgroupsPath`,
//! [`Property`]s from annotations ([`text`]) and from limits ([`limits`]). The **doing** half, [`Manager`], asks systemd, and
//! waits for each answer no longer than its deadline.
//!
//! | file | what is in it |
//! |---|---|
//! | `name.rs` | `slice:prefix:name`, validated; where a slice is in the tree |
//! | `value.rs`, `text.rs` | values of D-Bus types, and how they are written in annotations |
//! | `limits.rs` | cgroup files and device rules → properties of a unit |
//! | `manager.rs` | what is asked of systemd: start, stop, change, attach |
//! | `address.rs`, `bus.rs` | where it listens; one connection with deadlines |
//! | `message.rs`, `wire.rs` | messages, and their encoding |
//!
//! The client speaks the part of D-Bus that these few calls take ([D-Bus specification]). Whatever comes from the other side
//! is bounded in size, checked, and never trusted to be complete.
//!
//! [D-Bus specification]: https://dbus.freedesktop.org/doc/dbus-specification.html
#![forbid(unsafe_code)]

mod address;
mod bus;
mod error;
#[cfg(feature = "fuzz")]
pub mod fuzz;
pub mod limits;
mod manager;
mod message;
mod name;
#[cfg(test)]
mod tests;
pub mod text;
mod value;
mod wire;

pub use address::Which;
pub use error::{Error, Result};
pub use manager::Manager;
pub use name::{NameProblem, ScopeName};
pub use value::{Property, Value};
