//! `orlop version`

use super::{Entry, PLAIN};
use crate::output;

pub(super) const ENTRY: Entry = Entry {
    name: "version",
    about: "Print the version of orlop and that of the specification it follows",
    run: |_, _| output::write(orlop_command::entry::version()).map(|_| 0),
    ..PLAIN
};
