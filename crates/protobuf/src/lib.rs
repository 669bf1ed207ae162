//! [Protocol Buffers](https://protobuf.dev/programming-guides/encoding/) messages from a table, one line for each field.
//!
//! ```
//! orlop_protobuf::messages! {
//!     /// A place.
//!     Place { 1 name: String, 2 tags: Vec<String>, 3 inside: Option<Country> }
//!     /// What it lies in.
//!     Country { 1 code: u32 }
//! }
//! use orlop_protobuf::Message as _;
//! let place = Place { name: "Bonn".into(), inside: Some(Country { code: 49 }), ..Place::default() };
//! assert_eq!(Place::decode(&place.encode()).unwrap(), place);
//! ```
//!
//! The type of a field says how it is written:
//!
//! | type | in a `.proto` |
//! |---|---|
//! | `u32` `u64` `i32` `i64` `bool` `f64` `String` | proto3: left out where it is 0, false or empty |
//! | `Vec<u8>` | `bytes`, likewise |
//! | `Option<T>` | proto2, `optional`, and messages: left out where it is `None` |
//! | `Vec<T>` | `repeated`; numbers are read packed or not and written packed, as proto3 has it |
//! | `BTreeMap<String, String>` | `map<string, string>` |
//!
//! `sint32`, `fixed32` and groups are not there, as nobody here needs them; an enumeration is an `i32`. Unknown fields,
//! and known ones of another wire type, are passed over. Of a field that comes twice the last value counts, and messages are
//! merged. What is malformed is an error, never a panic. A decoded value is a few times as large as its bytes, and some fifty
//! times at most: lists of empty messages are short on the wire.
#![forbid(unsafe_code)]

#[macro_use]
mod message;
mod field;
mod wire;

pub use field::{Element, Field};
pub use message::Message;
pub use wire::{Malformed, Value};
