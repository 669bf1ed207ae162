//! From the bytes of a file to a document, or to everything that is wrong with it.

use std::fmt;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::lenient::{self, Finding};
use crate::locate::{Location, locate, locate_nearest};
use crate::pointer::is_within;
use crate::strict::Strict;
use crate::{Mount, Process, Resources, Seccomp, Spec};

/// How many errors are reported for one document: more help nobody, and each is looked up in the text.
const MOST_ERRORS: usize = 50;

/// What a document is called unless its reader says otherwise.
const FILE: &str = "config.json";

/// A text and what it says. The text is kept so that later findings can point into it.
#[derive(Clone, Debug, Default)]
pub struct Parsed<T> {
    /// The text, as it was.
    pub text: String,
    /// What it says.
    pub spec: T,
}

/// A `config.json`.
pub type Document = Parsed<Spec>;
/// A process alone: what `exec --process FILE` reads.
pub type ProcessDocument = Parsed<Process>;
/// Limits alone: what `update --resources FILE` reads.
pub type ResourcesDocument = Parsed<Resources>;

/// Mounts alone: what `mounts add FILE` reads.
pub type MountsDocument = Parsed<Vec<Mount>>;

impl<T: DeserializeOwned + Default> Parsed<T> {
    /// Parses a document. `null` counts as absent, and of equal keys the last counts, as in Go.
    ///
    /// # Errors
    /// Everything that has the wrong type, each with its place; or the one place where the text is no JSON.
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Result<Self, ParseErrors<T>> {
        match String::from_utf8(bytes.into()) {
            Ok(text) => match read_strictly(&text) {
                Ok(spec) => Ok(Self { text, spec }),
                Err(_) => Self::parse_again(text),
            },
            Err(error) => {
                let offset = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                Err(ParseErrors::unreadable(text, offset, "not valid UTF-8".to_owned()))
            }
        }
    }

    /// The second look at a text that the plain parse refused.
    fn parse_again(text: String) -> Result<Self, ParseErrors<T>> {
        let tree = match serde_json::from_str::<Value>(&text) {
            Ok(tree) => tree,
            Err(error) => {
                let (offset, message) = syntax_error(&text, &error);
                return Err(ParseErrors::unreadable(text, offset, message));
            }
        };
        let (spec, findings) = lenient::fill(&tree);
        let document = Self { text, spec };
        if findings.is_empty() { Ok(document) } else { Err(ParseErrors::new(document, findings)) }
    }
}

impl<T> Parsed<T> {
    /// Finds the value that a pointer names, or where it is missing the innermost value that should hold it.
    pub fn locate(&self, pointer: &impl ToString) -> Option<Location> {
        locate_nearest(&self.text, &pointer.to_string())
    }
}

impl Parsed<Spec> {
    /// Parses the system call filter, if there is one.
    ///
    /// # Errors
    /// Everything in it that has the wrong type, with its place in this document.
    pub fn seccomp(&self) -> Result<Option<Seccomp>, ParseErrors<Seccomp>> {
        let Some(raw) = self.spec.linux.as_ref().and_then(|linux| linux.seccomp.as_ref()) else {
            return Ok(None);
        };
        parse_spec(raw.get()).map(Some).map_err(|inner: ParseErrors<Seccomp>| ParseErrors {
            errors: inner
                .errors
                .into_iter()
                .map(|error| error.moved_into("/linux/seccomp", &self.text))
                .collect(),
            document: Box::new(Parsed { text: self.text.clone(), spec: inner.document.spec }),
            ..inner
        })
    }
}

/// Parses a text that its reader does not keep, as [`Parsed::parse`] does.
pub(crate) fn parse_spec<T: DeserializeOwned + Default>(text: &str) -> Result<T, ParseErrors<T>> {
    read_strictly(text).or_else(|_| Parsed::parse_again(text.to_owned()).map(|parsed| parsed.spec))
}

/// The plain parse: the only one that a good document sees.
fn read_strictly<'de, T: Deserialize<'de>>(text: &'de str) -> serde_json::Result<T> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = T::deserialize(Strict(&mut deserializer))?;
    deserializer.end()?;
    Ok(value)
}

/// Where the text stops being JSON, and why.
fn syntax_error(text: &str, error: &serde_json::Error) -> (usize, String) {
    let line_start = match error.line() {
        0 | 1 => 0,
        line => text.match_indices('\n').nth(line - 2).map_or(text.len(), |(newline, _)| newline + 1),
    };
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let reason = if text.starts_with('\u{feff}') {
        "a byte order mark is not allowed"
    } else if text.trim().is_empty() {
        "empty"
    } else {
        message.strip_suffix(&place).unwrap_or(&message)
    };
    (line_start + error.column().saturating_sub(1), format!("not valid JSON: {reason}"))
}

/// One thing that is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The value, as a JSON pointer; empty for the whole document.
    pub pointer: String,
    /// Where it stands.
    pub location: Option<Location>,
    /// What is wrong, in plain words.
    pub message: String,
}

impl ParseError {
    fn new(pointer: String, message: String, text: &str) -> Self {
        Self { location: locate(text, &pointer), pointer, message }
    }

    /// The same error, of a document that is a value in another one.
    fn moved_into(self, base: &str, text: &str) -> Self {
        Self::new(format!("{base}{}", self.pointer), self.message, text)
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = self.location {
            write!(f, "{location}: ")?;
        }
        if !self.pointer.is_empty() {
            write!(f, "{}: ", one_line(&self.pointer))?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with a document, in the order of the text.
#[derive(Clone, Debug)]
pub struct ParseErrors<T = Spec> {
    /// The name of the file, for display: `config.json` unless set.
    pub file: String,
    /// What is wrong: at least one, at most 50.
    pub errors: Vec<ParseError>,
    /// How many more there are.
    pub omitted: usize,
    /// The text, and what could be read: wrong values are zero or empty, so that other checks can still run on the
    /// rest. A check should stay silent about what [`covers`](Self::covers) covers.
    pub document: Box<Parsed<T>>,
}

impl<T> ParseErrors<T> {
    fn new(document: Parsed<T>, findings: Vec<Finding>) -> Self {
        let omitted = findings.len().saturating_sub(MOST_ERRORS);
        let findings = findings.into_iter().take(MOST_ERRORS);
        let mut errors: Vec<_> =
            findings.map(|found| ParseError::new(found.pointer, found.message, &document.text)).collect();
        errors.sort_by_key(|error| error.location.map(|location| location.offset));
        Self { file: FILE.to_owned(), errors, omitted, document: Box::new(document) }
    }

    /// Under the name of the file that was read.
    #[must_use]
    pub fn in_file(self, file: impl Into<String>) -> Self {
        Self { file: file.into(), ..self }
    }

    /// Whether a value is known to be wrong, or lies in one that is: what else is said about it would be noise.
    pub fn covers(&self, pointer: &str) -> bool {
        self.errors.iter().any(|error| is_within(pointer, &error.pointer))
    }

    /// The line of the text in which an error starts.
    pub fn line_of(&self, error: &ParseError) -> Option<&str> {
        Some(error.location?.line_of(&self.document.text))
    }
}

impl<T: Default> ParseErrors<T> {
    /// A text that is no JSON from this offset on.
    fn unreadable(text: String, offset: usize, message: String) -> Self {
        let location = Location::new(&text, offset, 1);
        let message = match excerpt(location.line_of(&text), location.column) {
            line if line.is_empty() => message,
            line => format!("{message}: {line}"),
        };
        let error = ParseError { pointer: String::new(), location: Some(location), message };
        Self {
            file: FILE.to_owned(),
            errors: vec![error],
            omitted: 0,
            document: Box::new(Parsed { text, spec: T::default() }),
        }
    }
}

/// The part of a line around a column, without control characters: a config may be one line of 10 KB.
fn excerpt(line: &str, column: usize) -> String {
    const AROUND: usize = 40;
    let from = column.saturating_sub(AROUND);
    let cut: String = line.chars().skip(from).take(2 * AROUND).collect();
    let before = if from > 0 { "…" } else { "" };
    let after = if line.chars().count() > from + 2 * AROUND { "…" } else { "" };
    format!("{before}{}{after}", one_line(cut.trim()))
}

/// A text without control characters: keys may hold newlines, and an error must stay one line.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() { line.extend(char.escape_default()) } else { line.push(char) }
    }
    line
}

impl<T> fmt::Display for ParseErrors<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            let newline = if index > 0 { "\n" } else { "" };
            write!(f, "{newline}{}:{error}", self.file)?;
        }
        if self.omitted > 0 {
            write!(f, "\n{}: and {} more errors", self.file, self.omitted)?;
        }
        Ok(())
    }
}

impl<T: fmt::Debug> std::error::Error for ParseErrors<T> {}
