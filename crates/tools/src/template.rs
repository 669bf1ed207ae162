//! `--format '{{.ID}}'`: the part of Go's templates that people type for Docker's commands. What is not in it is refused by
//! its name.
//!
//! | file | what is in it |
//! |---|---|
//! | `parse.rs` | from text to nodes |
//! | `value.rs` | fields, functions, and how values are printed |
//!
//! There are `{{.a.b}}`, `{{json .}}`, `{{if}}`, `{{range}}`, `{{with}}`, `{{else}}`, `{{end}}`, pipes, and the functions of
//! [`Function`]. Fields are found however they are written, `.ID` or `.id`.

mod parse;
mod value;

use orlop_runtime::{Error, Result};
use serde_json::Value;

pub(crate) use value::Function;

/// A template.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    nodes: Vec<Node>,
    /// `table` comes first: columns are aligned below titles.
    pub(crate) table: bool,
}

/// A part of one.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    Text(String),
    Print(Pipeline),
    /// Both parts of `if`, `range` and `with`.
    Block(Kind, Pipeline, Vec<Node>, Vec<Node>),
}

/// What a block does with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    If,
    Range,
    With,
}

/// Calls of which each gets the value of the one before as its last argument.
type Pipeline = Vec<Call>;

#[derive(Clone, Debug, PartialEq)]
struct Call {
    function: Option<Function>,
    arguments: Vec<Operand>,
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    /// `.a.b`, from the current value.
    Field(Vec<String>),
    /// `$.a.b`, from the first one.
    Root(Vec<String>),
    Constant(Value),
    Nested(Pipeline),
}

/// What is printed, and names for parts of it that Docker has and we write otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) value: Value,
    pub(crate) shown: Vec<(&'static str, String)>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// What is wrong with it, or not understood here.
    pub(crate) fn parse(text: &str) -> std::result::Result<Self, String> {
        let (text, table) = text.strip_prefix("table ").map_or((text, false), |rest| (rest, true));
        Ok(Self { nodes: parse::nodes(&text.replace("\\t", "\t").replace("\\n", "\n"))?, table })
    }

    /// The titles of a table's columns: the last names of the fields.
    pub(crate) fn titles(&self) -> String {
        let title = |node: &Node| match node {
            Node::Text(text) => text.clone(),
            Node::Print(pipeline) => pipeline
                .iter()
                .flat_map(|call| &call.arguments)
                .find_map(|argument| match argument {
                    Operand::Field(names) | Operand::Root(names) => names.last().map(|name| spaced(name)),
                    _ => None,
                })
                .unwrap_or_default(),
            Node::Block(..) => String::new(),
        };
        self.nodes.iter().map(title).collect()
    }

    /// What it makes of a value.
    ///
    /// # Errors
    ///
    /// A field that is not there, or a function that cannot be applied.
    pub(crate) fn apply(&self, row: &Row) -> Result<String> {
        let mut out = String::new();
        value::run(&self.nodes, row, &row.value, &mut out)
            .map_err(|why| Error::usage(format!("--format: {why}")))?;
        Ok(out)
    }
}

/// `CreatedAt` as a title: `CREATED AT`.
fn spaced(name: &str) -> String {
    let mut out = String::new();
    let mut small = false;
    for c in name.chars() {
        if c.is_uppercase() && small {
            out.push(' ');
        }
        small = c.is_lowercase();
        out.extend(c.to_uppercase());
    }
    out
}

#[cfg(test)]
mod tests;
