//! The system call filter (`config-linux.md#seccomp`).
//!
//! It is most of a usual config and only those who start a process need it, so the config keeps it as text and [`parse`]
//! reads it on demand.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::names::absent;
use crate::parse::{ParseErrors, parse_spec};

/// A filter: a default action and rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Seccomp {
    /// What happens to a system call without a rule, such as `SCMP_ACT_ERRNO` (required).
    pub default_action: String,
    /// The errno (or trace data) of the default action; absent is `EPERM`.
    #[serde(skip_serializing_if = "absent")]
    pub default_errno_ret: Option<u32>,
    /// The architectures besides the native one, such as `SCMP_ARCH_X86`.
    #[serde(skip_serializing_if = "absent")]
    pub architectures: Vec<String>,
    /// Flags of `seccomp(2)`, such as `SECCOMP_FILTER_FLAG_LOG`. Absent is the runtime's choice, an empty list none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<Vec<String>>,
    /// The UNIX socket of the agent that gets the notification file descriptor, or empty.
    #[serde(skip_serializing_if = "absent")]
    pub listener_path: String,
    /// What the agent is told, as it stands.
    #[serde(skip_serializing_if = "absent")]
    pub listener_metadata: String,
    /// The rules.
    #[serde(skip_serializing_if = "absent")]
    pub syscalls: Vec<Syscall>,
}

/// A rule: for these system calls with these arguments, this action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Syscall {
    /// The system calls, by name (at least one).
    pub names: Names,
    /// What happens (required).
    pub action: String,
    /// The errno (or trace data) of the action; absent is `EPERM`.
    #[serde(skip_serializing_if = "absent")]
    pub errno_ret: Option<u32>,
    /// Conditions that must all hold.
    #[serde(skip_serializing_if = "absent")]
    pub args: Vec<Arg>,
}

/// A condition on one argument of a system call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Arg {
    /// Which argument, 0 to 5 (required).
    pub index: u32,
    /// What it is compared with; the mask of `SCMP_CMP_MASKED_EQ` (required).
    pub value: u64,
    /// What the masked argument is compared with.
    #[serde(skip_serializing_if = "absent")]
    pub value_two: u64,
    /// The comparison, such as `SCMP_CMP_EQ` (required).
    pub op: String,
}

/// Names, end to end in one text: a usual filter has some 400, and a block of memory for each would cost more than to read
/// them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Names {
    text: String,
    /// Where each name ends in the text.
    ends: Vec<u32>,
}

impl Names {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The names in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends
            .iter()
            .map(move |&end| &self.text[std::mem::replace(&mut start, end as usize)..end as usize])
    }

    fn push(&mut self, name: &str) {
        self.text.push_str(name);
        self.ends.push(self.text.len() as u32);
    }
}

impl<S: AsRef<str>> FromIterator<S> for Names {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let mut all = Self::default();
        for name in names {
            all.push(name.as_ref());
        }
        all
    }
}

impl Serialize for Names {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut names = Self::default();
        deserializer.deserialize_seq(Elements(&mut names))?;
        Ok(names)
    }
}

/// Takes a list of names.
struct Elements<'a>(&'a mut Names);

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element_seed(Element(self.0))?.is_some() {}
        Ok(())
    }
}

/// Takes one name.
struct Element<'a>(&'a mut Names);

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Element<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, name: &str) -> Result<(), E> {
        self.0.push(name);
        Ok(())
    }
}

/// Reads the filter that a config holds as text. [`Document::seccomp`](crate::Document::seccomp) does the same and
/// places errors in the config.
///
/// # Errors
/// Everything that has the wrong type; pointers and lines count from the start of the filter.
pub fn parse(raw: &RawValue) -> Result<Seccomp, ParseErrors<Seccomp>> {
    parse_spec(raw.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_a_list_of_strings() {
        let text = r#"["read","","\u00e9t\u00e9","a\"b"]"#;
        let names: Names = serde_json::from_str(text).unwrap();
        assert_eq!(names.iter().collect::<Vec<_>>(), ["read", "", "été", "a\"b"]);
        assert_eq!((names.len(), names.is_empty()), (4, false));
        assert_eq!(serde_json::to_string(&names).unwrap(), r#"["read","","été","a\"b"]"#);
        assert_eq!(names, ["read", "", "été", "a\"b"].into_iter().collect());
        assert!(
            serde_json::from_str::<Names>("[1]").is_err() && serde_json::from_str::<Names>("{}").is_err()
        );
    }
}
