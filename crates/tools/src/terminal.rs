//! What the reader's terminal can show.

use std::io::IsTerminal as _;

use orlop_command::output;
use orlop_explain::page::{PLAIN, Page};

/// No line is wider than this, as it would be hard to read.
const WIDEST: usize = 120;

/// The page that standard output is: as wide as the terminal, in colours unless `NO_COLOR` is set or `TERM` says that it knows
/// none; for pipes and files without colours.
pub(crate) fn page() -> Page {
    let out = std::io::stdout();
    if !out.is_terminal() {
        return PLAIN;
    }
    let columns = width(&out).unwrap_or(PLAIN.width).clamp(40, WIDEST);
    Page { width: columns, colour: output::has_colours(&out) }
}

/// How wide the terminal says that it is.
fn width(out: &std::io::Stdout) -> Option<usize> {
    let size = orlop_sys::terminal::size(orlop_sys::Fd::of(out)).ok()?;
    Some(usize::from(size.1)).filter(|columns| *columns > 0)
}
