//! For tests/fuzz: what takes messages of the other side apart.
#![allow(clippy::missing_panics_doc, reason = "a panic is how something wrong is told")]

use crate::message::{HEAD, Incoming, Method, length};

/// Reads what may be a message, as [`Manager`](crate::Manager)'s connection does.
pub fn message(bytes: &[u8]) {
    if let Some(Ok(length)) = bytes.first_chunk().map(length) {
        assert!(length >= HEAD, "a message is shorter than its head");
    }
    let Ok(read) = Incoming::read(bytes) else { return };
    assert!(read.text().len() <= bytes.len());
    // Each way in which a reply's body is read.
    let body = || read.body.clone();
    body().string().ok();
    body().string_variant().ok();
    let mut job = body();
    while job.u32().is_ok() && job.string().is_ok() {}
    let mut signatures = body();
    while signatures.signature().is_ok() {}
}

/// Messages to begin with.
pub fn seeds() -> Vec<Vec<u8>> {
    let method = Method {
        destination: "org.freedesktop.systemd1",
        path: "/org/freedesktop/systemd1",
        interface: "org.freedesktop.systemd1.Manager",
        member: "JobRemoved",
        signature: "uoss",
    };
    let call = method.call(7, |w| {
        w.u32(3);
        for text in ["/org/freedesktop/systemd1/job/3", "a.scope", "done"] {
            w.string(text);
        }
    });
    // The same as a reply, an error and a signal, and in the other byte order.
    let kinds = (1..=4).flat_map(|kind| [b'l', b'B'].map(|order| (kind, order)));
    kinds
        .map(|(kind, order)| {
            let mut message = call.clone();
            (message[0], message[1]) = (order, kind);
            message
        })
        .collect()
}
