//! ttrpc: gRPC's calls over a local socket, without HTTP
//! ([its protocol](https://github.com/containerd/ttrpc/blob/main/PROTOCOL.md)).
//!
//! | file | what |
//! |---|---|
//! | `ttrpc/frame.rs` | ten bytes of header, then a message |
//! | `ttrpc/call.rs` | requests, responses, and why a call failed |
//! | `ttrpc/connection.rs` | frames in and out of a socket that is never waited for |

mod call;
mod connection;
mod frame;

pub(crate) use call::{Code, Failure, Request, Response, Result};
pub(crate) use connection::Connection;
#[cfg(feature = "fuzz")]
pub(crate) use frame::Decoder;
pub(crate) use frame::{Found, Frame, Kind, MAX};
