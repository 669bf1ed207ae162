//! What is wrong with a config, and where things come from.

use crate::Code;
use orlop_spec::Pointer;
use std::fmt;

/// Where a step, or something the host side does, comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A place in `config.json`.
    Config(Pointer),
    /// A clause of the runtime specification.
    Spec(&'static str),
    /// A rule of ours, for safety or because everybody expects it.
    Rule(&'static str),
}

impl Origin {
    /// The place in the config, if it is one.
    pub const fn pointer(&self) -> Option<&Pointer> {
        match self {
            Self::Config(pointer) => Some(pointer),
            Self::Spec(_) | Self::Rule(_) => None,
        }
    }
}

impl From<Pointer> for Origin {
    fn from(pointer: Pointer) -> Self {
        Self::Config(pointer)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(pointer) => pointer.fmt(f),
            Self::Spec(clause) => write!(f, "spec: {clause}"),
            Self::Rule(rule) => write!(f, "rule: {rule}"),
        }
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// There is no program.
    Error,
    /// There is one, but not all of the config has an effect.
    Warning,
    /// There is one, and all of the config that engines rely on has its effect.
    Note,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What kind it is.
    pub code: Code,
    /// The value it is about, or where a missing one should be; none if it is about an option of the command.
    pub pointer: Option<Pointer>,
    /// What is wrong, in one sentence without a full stop that names the value.
    pub message: String,
    /// What could be done about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// Whether it tells, more exactly, of a NUL character that is somewhere within `pointer`.
    pub(crate) fn is_nul_within(&self, pointer: Option<&Pointer>) -> bool {
        let within = |inner: &Pointer, outer: &Pointer| {
            orlop_spec::pointer::is_within(&inner.to_string(), &outer.to_string())
        };
        self.code == Code::NulByte && self.pointer.as_ref().zip(pointer).is_some_and(|(i, o)| within(i, o))
    }

    /// Adds a hint.
    pub(crate) fn hint(&mut self, hint: impl Into<String>) {
        self.hint = Some(hint.into());
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        write!(f, "{severity} {}: ", self.code)?;
        if let Some(pointer) = &self.pointer {
            write!(f, "{pointer}: ")?;
        }
        f.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " (hint: {hint})"))
    }
}

/// Everything that was found: at least one error, and the warnings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// The findings as errors, if there is an error among them; else they are warnings, given back.
    pub(crate) fn of(found: Vec<Diagnostic>) -> Result<Vec<Diagnostic>, Self> {
        if found.iter().any(|d| d.severity == Severity::Error) { Err(Self(found)) } else { Ok(found) }
    }

    pub(crate) const fn all_of(found: Vec<Diagnostic>) -> Self {
        Self(found)
    }

    /// All of them, in the order in which they were found.
    pub fn all(&self) -> &[Diagnostic] {
        &self.0
    }

    /// The errors.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter().filter(|d| d.severity == Severity::Error)
    }

    /// The warnings.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter().filter(|d| d.severity == Severity::Warning)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            let newline = if index > 0 { "\n" } else { "" };
            write!(f, "{newline}{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
