//! What a plan is made of: one [`Setting`] for each file to write, with its origin and its reason.

use std::borrow::Cow;
use std::fmt;

use orlop_spec::Pointer;

use crate::controller::Controller;
use crate::layout::Hierarchy;

/// One value for one file of the container's cgroup.
///
/// Settings are written in the order of the plan. The kernel checks some values against each other (memory against
/// memory+swap, burst against quota), so one that it refuses with `EINVAL` is written again after all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The controller that owns the file.
    pub controller: Controller,
    /// Which of its hierarchies is meant.
    pub hierarchy: Hierarchy,
    /// The file's name.
    pub file: Cow<'static, str>,
    /// What is written, in the kernel's syntax and units.
    pub value: String,
    /// Who asked for it.
    pub origin: Pointer,
    /// In a few words, what it is good for.
    pub why: &'static str,
    /// What to do where the kernel has no such file.
    pub absent: Absent,
    /// With `checkBeforeUpdate`: the usage that the limit must exceed.
    pub above: Option<Above>,
}

/// A usage that a limit must exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Above {
    /// The file with the usage.
    pub usage: &'static str,
    /// The limit, in bytes.
    pub limit: u64,
    /// Of what: `memory` or `memory+swap`.
    pub of: &'static str,
}

/// What to do where the kernel has no such file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The setting cannot be honoured: fail.
    Fail,
    /// The setting is moot: without the file, things are as it wants them.
    Skip,
    /// Another file does the same, with a value of its own.
    Instead {
        /// The other file.
        file: &'static str,
        /// The value for it.
        value: String,
    },
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = match self.hierarchy {
            Hierarchy::V2 => "",
            Hierarchy::V1 => " (v1)",
        };
        write!(f, "{} = {}{version}", self.file, self.value)
    }
}

/// Something in the config that cannot be done on this host. Nothing has been touched yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub origin: Pointer,
    /// What is wrong.
    pub what: String,
    /// A way out, or nothing.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.what)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "; hint: {}", self.hint) }
    }
}

/// Something in the config that has no effect here, as with runc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where it stands.
    pub origin: Pointer,
    /// Why it has no effect.
    pub what: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.what)
    }
}
