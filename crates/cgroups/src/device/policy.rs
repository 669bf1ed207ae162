//! The rule list, reduced to a default and a set of exceptions.
//!
//! OCI device rules are written for the version 1 controller, where each rule changes a state: a rule about *all* devices
//! sets the default and forgets what was before; a rule against the default adds an exception; one in its favour takes an
//! exception away. Engines rely on that meaning, so it is emulated, as in runc, before anything is compiled.

use std::collections::BTreeMap;

use orlop_spec::{DeviceRule, DeviceRuleKind};

/// A rule that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its index in the list.
    pub index: usize,
    /// Which of its fields, or nothing for the whole rule.
    pub field: &'static str,
    /// Why.
    pub what: String,
    /// A way out, or nothing.
    pub hint: String,
}

/// Why a rule cannot be used.
struct Why {
    field: &'static str,
    what: String,
    hint: String,
}

impl Why {
    const fn in_field(field: &'static str, what: String) -> Self {
        Self { field, what, hint: String::new() }
    }
}

/// Kinds of access, as the bits of `bpf_cgroup_dev_ctx.access_type >> 16` (linux/bpf.h, `BPF_DEVCG_ACC_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Access(pub(super) u8);

impl Access {
    /// All three.
    pub(super) const ALL: Self = Self(7);

    fn parse(letters: &str) -> Option<Self> {
        let bit = |letter| match letter {
            'm' => Some(1),
            'r' => Some(2),
            'w' => Some(4),
            // Not a letter of the specification; it is nothing to runc, and some configs have it.
            'a' => Some(0),
            _ => None,
        };
        let bits = letters.chars().map(bit).try_fold(0, |all, bit| bit.map(|b| all | b))?;
        (bits != 0).then_some(Self(bits))
    }
}

impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (bit, letter) in [(2, "r"), (4, "w"), (1, "m")] {
            if self.0 & bit != 0 {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

/// The two kinds of device nodes, as in `bpf_cgroup_dev_ctx.access_type & 0xffff` (`BPF_DEVCG_DEV_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Block = 1,
    Char = 2,
}

/// Which devices an exception is about; `None` is any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Match {
    pub(super) major: Option<u32>,
    pub(super) minor: Option<u32>,
    pub(super) kind: Kind,
}

impl std::fmt::Display for Match {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.kind == Kind::Block { "b" } else { "c" };
        let number = |n: Option<u32>| n.map_or("*".to_owned(), |n| n.to_string());
        write!(f, "{kind} {}:{}", number(self.major), number(self.minor))
    }
}

/// A default, and exceptions from it.
///
/// - Default *deny*: an access is allowed if one exception covers **all** its bits.
/// - Default *allow*: an access is denied if an exception has **any** of its bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) default_allow: bool,
    pub(super) exceptions: BTreeMap<Match, Access>,
}

impl Policy {
    /// Applies all rules in order to a policy that denies everything.
    pub(super) fn of(rules: &[DeviceRule]) -> Result<Self, Refused> {
        let mut policy = Self::default();
        for (index, rule) in rules.iter().enumerate() {
            policy.apply(rule).map_err(|Why { field, what, hint }| Refused { index, field, what, hint })?;
        }
        Ok(policy)
    }

    fn apply(&mut self, rule: &DeviceRule) -> Result<(), Why> {
        let Some(access) = Access::parse(&rule.access) else {
            let what = format!("device access {:?} must be one or more of the letters r, w, m", rule.access);
            return Err(Why::in_field("access", what));
        };
        let (major, minor) = (number("major", rule.major)?, number("minor", rule.minor)?);
        let kinds: &[Kind] = match &rule.kind {
            DeviceRuleKind::Char => &[Kind::Char],
            DeviceRuleKind::Block => &[Kind::Block],
            // "a" is everything, whatever else the rule says; but it must not allow more than it says.
            DeviceRuleKind::All if !rule.allow || (access, major, minor) == (Access::ALL, None, None) => {
                *self = Self { default_allow: rule.allow, exceptions: BTreeMap::new() };
                return Ok(());
            }
            DeviceRuleKind::All => &[Kind::Block, Kind::Char],
            DeviceRuleKind::Unknown(kind) => {
                return Err(Why::in_field("type", format!("device type {kind:?} is none of a, b, c")));
            }
        };
        for kind in kinds {
            let which = Match { major, minor, kind: *kind };
            if rule.allow == self.default_allow {
                self.forget(which, access)?;
            } else {
                self.exceptions.entry(which).or_default().0 |= access.0;
            }
        }
        Ok(())
    }

    /// Takes bits of an exception away. There must be no wider exception that would keep them: version 1 ignores such a
    /// rule silently, and somebody would be left believing that it works.
    fn forget(&mut self, which: Match, access: Access) -> Result<(), Why> {
        for (wide, bits) in &self.exceptions {
            let covers = wide.kind == which.kind
                && (wide.major.is_none() || wide.major == which.major)
                && (wide.minor.is_none() || wide.minor == which.minor);
            if covers && *wide != which && bits.0 & access.0 != 0 {
                let what =
                    format!("rule {which} {access} would punch a hole into the wider rule {wide} {bits}");
                let hint = "list the devices one by one instead of the wider rule".into();
                return Err(Why { field: "", what, hint });
            }
        }
        if let Some(bits) = self.exceptions.get_mut(&which) {
            bits.0 &= !access.0;
            if bits.0 == 0 {
                self.exceptions.remove(&which);
            }
        }
        Ok(())
    }
}

/// A device number of a rule: absent and −1 are any.
fn number(name: &'static str, value: Option<i64>) -> Result<Option<u32>, Why> {
    match value {
        None | Some(-1) => Ok(None),
        Some(n) => match u32::try_from(n) {
            Ok(n) => Ok(Some(n)),
            Err(_) => Err(Why::in_field(name, format!("{name} number {n} is not a device number"))),
        },
    }
}
