//! Conditions on arguments, and the 32-bit tests that BPF can make for them.

use std::cmp::Reverse;

use orlop_spec::seccomp::Arg;

use crate::arch::Arch;
use crate::bpf::{data, op};

/// How an argument is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Comparison {
    Ne,
    Lt,
    Le,
    Eq,
    Ge,
    Gt,
    MaskedEq,
}

impl Comparison {
    pub(crate) fn from_oci(name: &str) -> Option<Self> {
        Some(match name {
            "SCMP_CMP_NE" => Self::Ne,
            "SCMP_CMP_LT" => Self::Lt,
            "SCMP_CMP_LE" => Self::Le,
            "SCMP_CMP_EQ" => Self::Eq,
            "SCMP_CMP_GE" => Self::Ge,
            "SCMP_CMP_GT" => Self::Gt,
            "SCMP_CMP_MASKED_EQ" => Self::MaskedEq,
            _ => return None,
        })
    }
}

/// One condition on one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Condition {
    pub(crate) arg: u8,
    comparison: Comparison,
    mask: u64,
    value: u64,
}

/// Where a condition comes among the conditions of a system call; see [`Condition::rank`].
pub(crate) type Rank = (Reverse<u8>, u8, u64);

impl Condition {
    pub(crate) fn new(arg: &Arg, comparison: Comparison) -> Self {
        let (mask, value) = match comparison {
            Comparison::MaskedEq => (arg.value, arg.value & arg.value_two),
            _ => (u64::MAX, arg.value),
        };
        Self { arg: arg.index as u8, comparison, mask, value }
    }

    /// The first argument is `value`: how a multiplexed call is chosen.
    pub(crate) fn first_arg_is(value: u32) -> Self {
        Self { arg: 0, comparison: Comparison::Eq, mask: u64::MAX, value: value.into() }
    }

    /// What of it counts on an architecture with 32-bit arguments.
    pub(crate) fn narrow(self) -> Self {
        let low = u64::from(u32::MAX);
        Self { mask: self.mask & low, value: self.value & low, ..self }
    }

    /// Whether it holds for every argument, by having no bits to compare.
    pub(crate) fn is_empty(&self) -> bool {
        self.mask == 0
    }

    /// Whether it holds for these arguments.
    pub(crate) fn holds(&self, args: &[u64; 6], arch: Arch) -> bool {
        let bits = if arch.is_wide() { u64::MAX } else { u32::MAX.into() };
        let value = args[usize::from(self.arg)] & self.mask & bits;
        match self.comparison {
            Comparison::Ne => value != self.value,
            Comparison::Lt => value < self.value,
            Comparison::Le => value <= self.value,
            Comparison::Eq | Comparison::MaskedEq => value == self.value,
            Comparison::Ge => value >= self.value,
            Comparison::Gt => value > self.value,
        }
    }

    /// Whether all of its tests hold when it does.
    pub(crate) fn is_equality(&self) -> bool {
        matches!(self.comparison, Comparison::Eq | Comparison::MaskedEq)
    }

    /// libseccomp's order of conditions, which decides between rules of different actions that overlap: later
    /// arguments first, then equalities, upper bounds, lower bounds; of these the tightest first.
    pub(crate) fn rank(&self) -> Rank {
        let (class, order) = match self.comparison {
            Comparison::Ne | Comparison::Eq | Comparison::MaskedEq => (0, !self.value),
            Comparison::Lt | Comparison::Le => (1, self.value),
            Comparison::Ge | Comparison::Gt => (2, !self.value),
        };
        (Reverse(self.arg), class, order)
    }

    /// The tests that decide it, entered at the first.
    pub(crate) fn steps(&self, arch: Arch) -> Vec<Step> {
        use Comparison::{Eq, Ge, Gt, Le, Lt, MaskedEq, Ne};
        use Next::{Fail, Pass};
        let (pass, fail) = if matches!(self.comparison, Ne | Lt | Le) { (Fail, Pass) } else { (Pass, Fail) };
        let (low, high) = self.halves(arch);
        // Of a bound, what is left to test in the low half when the high halves are equal.
        let low_op = match self.comparison {
            Eq | Ne | MaskedEq => op::JEQ,
            Gt | Le => op::JGT,
            Ge | Lt => op::JGE,
        };
        let low = Step { test: Test { op: low_op, ..low }, yes: pass, no: fail };
        let wide = arch.is_wide() && high.mask != 0;
        match (wide, low_op) {
            (false, _) => vec![low],
            (true, op::JEQ) if low.test.mask == 0 => vec![Step { test: high, yes: pass, no: fail }],
            (true, op::JEQ) => vec![Step { test: high, yes: Next::Step(1), no: fail }, low],
            (true, _) => {
                let above = Step { test: Test { op: op::JGT, ..high }, yes: pass, no: fail };
                vec![Step { test: high, yes: Next::Step(1), no: Next::Step(2) }, low, above]
            }
        }
    }

    /// The tests for equality of the low and the high half.
    fn halves(&self, arch: Arch) -> (Test, Test) {
        let at = data::ARGS + 8 * self.arg;
        let (low, high) = if arch.is_little_endian() { (at, at + 4) } else { (at + 4, at) };
        let half = |word, mask, k| Test { word, mask, op: op::JEQ, k };
        (
            half(low, self.mask as u32, self.value as u32),
            half(high, (self.mask >> 32) as u32, (self.value >> 32) as u32),
        )
    }
}

/// A comparison of one word of the data with a constant: the most that one BPF jump can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Test {
    /// Where the word is.
    pub(crate) word: u8,
    /// What of it counts; all of it for `JGT` and `JGE`.
    pub(crate) mask: u32,
    /// `JEQ`, `JGT` or `JGE`.
    pub(crate) op: u16,
    pub(crate) k: u32,
}

/// A test and where its outcomes lead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) test: Test,
    pub(crate) yes: Next,
    pub(crate) no: Next,
}

/// Where a test leads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next {
    /// To another test of the same condition.
    Step(usize),
    /// The condition holds.
    Pass,
    /// It does not.
    Fail,
}

/// What earlier tests told about a word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fact {
    pub(crate) test: Test,
    pub(crate) holds: bool,
}

impl Test {
    /// The outcome, if the facts leave only one.
    pub(crate) fn decide(&self, facts: &[Fact]) -> Option<bool> {
        let (mut least, mut most) = (0, u32::MAX);
        for fact in facts.iter().filter(|fact| fact.test.word == self.word) {
            let known = fact.test;
            if known == *self {
                return Some(fact.holds);
            }
            // The bits that this test looks at are among those that are known.
            if known.op == op::JEQ && fact.holds && self.mask & known.mask == self.mask {
                return Some(self.holds_for(known.k & self.mask));
            }
            if known.mask == u32::MAX {
                (least, most) = known.bounds(fact.holds, least, most);
            }
        }
        if self.mask != u32::MAX {
            return None;
        }
        match self.op {
            op::JEQ if self.k < least || self.k > most => Some(false),
            op::JEQ => (least == most).then_some(true),
            op::JGT if least > self.k => Some(true),
            op::JGT => (most <= self.k).then_some(false),
            _ if least >= self.k => Some(true),
            _ => (most < self.k).then_some(false),
        }
    }

    fn holds_for(&self, value: u32) -> bool {
        match self.op {
            op::JEQ => value == self.k,
            op::JGT => value > self.k,
            _ => value >= self.k,
        }
    }

    /// The bounds of a word, narrowed by the outcome of this test of all its bits.
    fn bounds(&self, holds: bool, least: u32, most: u32) -> (u32, u32) {
        let k = self.k;
        match (self.op, holds) {
            (op::JEQ, true) => (k, k),
            (op::JEQ, false) if k == least => (least.saturating_add(1), most),
            (op::JEQ, false) if k == most => (least, most.saturating_sub(1)),
            (op::JEQ, false) => (least, most),
            (op::JGT, true) => (least.max(k.saturating_add(1)), most),
            (op::JGT, false) => (least, most.min(k)),
            (_, true) => (least.max(k), most),
            (_, false) => (least, most.min(k.saturating_sub(1))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(op: u16, k: u32) -> Test {
        Test { word: 16, mask: u32::MAX, op, k }
    }

    #[test]
    fn facts_decide_tests() {
        let fact = |op, k, holds| Fact { test: test(op, k), holds };
        assert_eq!(test(op::JEQ, 5).decide(&[fact(op::JEQ, 5, false)]), Some(false));
        assert_eq!(test(op::JEQ, 5).decide(&[fact(op::JEQ, 6, true)]), Some(false));
        assert_eq!(test(op::JEQ, 5).decide(&[fact(op::JEQ, 6, false)]), None);
        assert_eq!(test(op::JGT, 0).decide(&[fact(op::JEQ, 0, false)]), Some(true));
        assert_eq!(test(op::JGE, 9).decide(&[fact(op::JGT, 8, true)]), Some(true));
        assert_eq!(test(op::JGE, 9).decide(&[fact(op::JGE, 9, false)]), Some(false));
        assert_eq!(test(op::JEQ, 7).decide(&[fact(op::JGT, 6, true), fact(op::JGE, 8, false)]), Some(true));
        assert_eq!(test(op::JGE, 0).decide(&[]), Some(true));
        assert_eq!(test(op::JGT, u32::MAX).decide(&[]), Some(false));
    }

    #[test]
    fn a_known_value_decides_masked_tests() {
        let masked = Test { mask: 0xf0, k: 0x10, ..test(op::JEQ, 0) };
        let value = |k, holds| [Fact { test: test(op::JEQ, k), holds }];
        assert_eq!(masked.decide(&value(0x12, true)), Some(true));
        assert_eq!(masked.decide(&value(0x22, true)), Some(false));
        assert_eq!(masked.decide(&value(0x12, false)), None);
    }
}
