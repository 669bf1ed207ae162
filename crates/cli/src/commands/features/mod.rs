//! `orlop features`

use crate::commands::{Entry, PLAIN};
use crate::output;

pub(super) const ENTRY: Entry = Entry {
    name: "features",
    about: "Print as JSON what works",
    run: |_, _| {
        output::json(&orlop_runtime::features(), Some("    "))?;
        Ok(0)
    },
    ..PLAIN
};
