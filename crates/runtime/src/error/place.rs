//! Where a document asks for what failed.

use std::fmt;

use super::text::{Excerpt, Line};

/// A place in `config.json`; boxed, as errors are seldom and results are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    /// A JSON pointer, such as `/mounts/3`.
    pointer: String,
    found: Option<Found>,
}

/// Where that is in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    line: usize,
    column: usize,
    excerpt: Excerpt,
}

impl Place {
    /// The JSON pointer.
    pub fn pointer(&self) -> &str {
        &self.0.pointer
    }

    /// The place as seen from `base`, where a part of a config is a document of its own.
    pub(super) fn within(&mut self, base: &str) {
        strip(&mut self.0.pointer, base);
    }

    /// Finds it in the document's text.
    pub(super) fn locate(&mut self, text: &str) {
        self.0.found = orlop_spec::locate(text, &self.0.pointer).map(|at| Found {
            line: at.line,
            column: at.column,
            excerpt: Excerpt::of(text, &at),
        });
    }

    /// The line of the document with carets below what is meant, if it was found.
    pub(super) fn excerpt(&self) -> Option<String> {
        let found = self.0.found.as_ref()?;
        Some(found.excerpt.show((found.line, found.column)).trim_start_matches('\n').to_owned())
    }
}

/// Takes the beginning away from a pointer.
pub(super) fn strip(pointer: &mut String, base: &str) {
    if let Some(inside) = pointer.strip_prefix(base).filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        *pointer = inside.to_owned();
    }
}

impl<T: Into<String>> From<T> for Place {
    fn from(pointer: T) -> Self {
        Self(Box::new(Inner { pointer: pointer.into(), found: None }))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Line(&self.0.pointer))?;
        match &self.0.found {
            Some(found) => write!(f, ", line {} column {}", found.line, found.column),
            None => Ok(()),
        }
    }
}
