//! Standard output.

use std::io::{ErrorKind, IsTerminal, Write as _};

use orlop_runtime::error::Doing as _;
use orlop_runtime::{Error, Result};
use serde::Serialize;
use serde_json::ser::PrettyFormatter;

/// Writes text to standard output; whether somebody still reads it. A reader that has seen enough and left is no error.
///
/// # Errors
///
/// [`Error::Kernel`](orlop_runtime::Error::Kernel).
pub fn write(text: impl AsRef<[u8]>) -> Result<bool> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_ref()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(e).doing(|| "write to standard output".to_owned()),
    }
}

/// Writes text to standard error: what a container has written to its own. As [`write`].
///
/// # Errors
///
/// As [`write`].
pub fn write_error(text: impl AsRef<[u8]>) -> Result<bool> {
    match std::io::stderr().lock().write_all(text.as_ref()) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(e).doing(|| "write to standard error".to_owned()),
    }
}

/// Writes lines.
///
/// # Errors
///
/// As [`write`].
pub fn lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<bool> {
    let mut text = String::new();
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    write(text)
}

/// Writes a value as JSON, in lines that are indented by `indent`, or in one line without it.
///
/// # Errors
///
/// As [`write`].
pub fn json(value: &impl Serialize, indent: Option<&str>) -> Result<bool> {
    let mut text = Vec::new();
    let done = match indent {
        None => serde_json::to_writer(&mut text, value),
        Some(indent) => {
            let formatter = PrettyFormatter::with_indent(indent.as_bytes());
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter))
        }
    };
    done.map_err(|e| Error::State { path: "standard output".into(), why: e.to_string() })?;
    text.push(b'\n');
    write(&text)
}

/// Whether a stream shows colours: it is a terminal that knows some, and nobody has set `NO_COLOR`.
pub fn has_colours(stream: &impl IsTerminal) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = || std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    stream.is_terminal() && !set("NO_COLOR") && !dumb()
}

/// A table for standard output: its titles stand out where there are colours.
pub fn titled(table: String) -> String {
    if !has_colours(&std::io::stdout()) {
        return table;
    }
    match table.split_once('\n') {
        Some((titles, rows)) => format!("\u{1b}[1m{titles}\u{1b}[0m\n{rows}"),
        None => table,
    }
}

/// An error and what helps against it, for a terminal with colours: who speaks, the carets and the hints stand out.
pub(crate) fn coloured(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let carets = line.ends_with('^') && line.chars().all(|c| " |^".contains(c));
        match line.trim_start().split_once(": ") {
            Some((start @ ("orlop" | "hint"), rest)) => {
                let indent = &line[..line.len() - line.trim_start().len()];
                let colour = if start == "orlop" { "31" } else { "36" };
                out.extend([indent, "\u{1b}[1;", colour, "m", start, ":\u{1b}[0m ", rest]);
            }
            _ if carets => out.push_str(&line.replacen('^', "\u{1b}[31m^", 1)),
            _ => out.push_str(line),
        }
        out.push_str(if carets { "\u{1b}[0m\n" } else { "\n" });
    }
    out
}

/// Rows as columns that are aligned, at least 12 wide and 3 apart, the last one not padded: as runc prints them.
pub fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [12; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count() + 3);
        }
    }
    let mut out = String::new();
    for row in rows {
        for (index, (width, cell)) in widths.iter().zip(row).enumerate() {
            out.push_str(cell);
            if index + 1 < N {
                out.extend(std::iter::repeat_n(' ', width - cell.chars().count()));
            }
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn errors_in_colours_are_the_same_without_them() {
        let text = "orlop: mount x (/a): no\n  12 | \"a\"\n     |  ^^\n    hint: try\nhint: y\nplain: text\n";
        let coloured = super::coloured(text);
        assert!(coloured.starts_with("\u{1b}[1;31morlop:\u{1b}[0m mount x"), "{coloured:?}");
        assert!(
            coloured.contains("|  \u{1b}[31m^^\u{1b}[0m\n    \u{1b}[1;36mhint:\u{1b}[0m try\n"),
            "{coloured:?}"
        );
        let plain = ["\u{1b}[1;31m", "\u{1b}[1;36m", "\u{1b}[31m", "\u{1b}[0m"];
        assert_eq!(plain.iter().fold(coloured, |text, code| text.replace(code, "")), text);
    }

    #[test]
    fn tables_are_aligned_as_those_of_runc() {
        let row = |a: &str, b: &str, c: &str| [a.to_owned(), b.to_owned(), c.to_owned()];
        let rows = [row("ID", "PID", "OWNER"), row("a-rather-long-id", "7", "root")];
        assert_eq!(
            super::table(&rows),
            "ID                 PID         OWNER\na-rather-long-id   7           root\n"
        );
    }
}
