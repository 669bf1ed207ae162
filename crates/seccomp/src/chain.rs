//! The rules of one system call that look at its arguments.
//!
//! The rules are tried in order; the first that holds decides. Written down naively, each would load and compare its
//! words anew. Here every outcome of a test leads to the first test that it leaves open: what earlier tests told is
//! followed at compile time, and a word that is still in the accumulator is not loaded again. The five values that
//! Docker allows for `personality(2)` cost two loads and six comparisons instead of ten each.

use std::collections::BTreeMap;

use crate::action::Action;
use crate::arch::Arch;
use crate::assembler::{Assembler, Label, Target};
use crate::condition::{Condition, Fact, Next, Rank, Step, Test};

/// Conditions that must all hold, and what happens then. The conditions are not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChainRule {
    pub(crate) conditions: Vec<Condition>,
    pub(crate) action: Action,
}

impl ChainRule {
    /// What rules are sorted by.
    pub(crate) fn ranks(&self) -> impl Iterator<Item = Rank> {
        self.conditions.iter().map(Condition::rank)
    }
}

/// A test of a rule, in the order in which tests are tried; all its outcomes lead further down.
struct Position {
    rule: usize,
    condition: usize,
    step: Step,
}

/// Where an outcome leads before anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    Decide(Action),
    Position(usize),
}

/// What is in the accumulator: a word and the bits of it that were kept.
type Loaded = Option<(u8, u32)>;

/// A test that can be reached: its goals, and the ways in that are needed.
#[derive(Clone, Copy)]
struct Reached {
    yes: Goal,
    no: Goal,
    /// Something arrives with another word in the accumulator.
    by_load: bool,
    /// Something arrives with the whole word in the accumulator, and a mask must be applied.
    by_mask: bool,
}

/// The ways into a test that was written.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    load: Option<Label>,
    mask: Option<Label>,
    compare: Label,
}

/// Tests already written, by all that makes them up: equal ones are shared, also between system calls.
pub(crate) type Written = BTreeMap<(Test, Target, Target, bool, bool), Entry>;

/// Where one rule's tests lie among the positions: the first position of each of its conditions.
type Starts = Vec<Vec<usize>>;

pub(crate) struct Chain<'a> {
    rules: &'a [ChainRule],
    default: Action,
    positions: Vec<Position>,
    starts: Starts,
}

/// More tests than this cannot fit into a program.
const MAX_TESTS: usize = 2 * crate::bpf::MAX_INSNS;

impl<'a> Chain<'a> {
    /// Lays out the tests of `rules`. The error is the number of tests, if they are hopelessly many.
    pub(crate) fn new(rules: &'a [ChainRule], default: Action, arch: Arch) -> Result<Self, usize> {
        let mut chain =
            Self { rules, default, positions: Vec::new(), starts: Vec::with_capacity(rules.len()) };
        for (at, rule) in rules.iter().enumerate() {
            let mut starts = Vec::with_capacity(rule.conditions.len());
            for (condition_at, condition) in rule.conditions.iter().enumerate() {
                starts.push(chain.positions.len());
                let steps = condition.steps(arch).into_iter();
                chain.positions.extend(steps.map(|step| Position {
                    rule: at,
                    condition: condition_at,
                    step,
                }));
            }
            chain.starts.push(starts);
        }
        if chain.positions.len() > MAX_TESTS { Err(chain.positions.len()) } else { Ok(chain) }
    }

    /// Writes the tests that matter; the result is where to go with the system call number in the accumulator.
    pub(crate) fn write(&self, assembler: &mut Assembler, written: &mut Written) -> Target {
        let (first, reached) = self.reach();
        let mut entries: Vec<Option<Entry>> = vec![None; self.positions.len()];
        for (at, reached) in reached.iter().enumerate().rev() {
            let Some(reached) = reached else { continue };
            let test = self.positions[at].step.test;
            let after = Some((test.word, test.mask));
            let yes = self.enter(reached.yes, after, &entries);
            let no = self.enter(reached.no, after, &entries);
            let key = (test, yes, no, reached.by_load, reached.by_mask);
            let entry = *written.entry(key).or_insert_with(|| write_test(assembler, test, yes, no, *reached));
            entries[at] = Some(entry);
        }
        self.enter(first, None, &entries)
    }

    /// Follows every outcome from the start to the next open test.
    fn reach(&self) -> (Goal, Vec<Option<Reached>>) {
        let mut reached: Vec<Option<Reached>> = vec![None; self.positions.len()];
        let first = self.follow(0, &[]);
        self.arrive(&mut reached, first, None);
        for at in 0..self.positions.len() {
            let Some(Reached { by_load, by_mask, .. }) = reached[at] else { continue };
            let test = self.positions[at].step.test;
            let goal = |holds| {
                let mut facts = self.facts(at);
                facts.push(Fact { test, holds });
                self.follow_from(at, holds, &facts)
            };
            let (yes, no) = (goal(true), goal(false));
            reached[at] = Some(Reached { yes, no, by_load, by_mask });
            for next in [yes, no] {
                self.arrive(&mut reached, next, Some((test.word, test.mask)));
            }
        }
        (first, reached)
    }

    /// Notes that `goal` is reached with `loaded` in the accumulator.
    fn arrive(&self, reached: &mut [Option<Reached>], goal: Goal, loaded: Loaded) {
        let Goal::Position(at) = goal else { return };
        let test = self.positions[at].step.test;
        let nowhere = Goal::Decide(self.default);
        let entry =
            reached[at].get_or_insert(Reached { yes: nowhere, no: nowhere, by_load: false, by_mask: false });
        match way_in(test, loaded) {
            Way::Load => entry.by_load = true,
            Way::Mask => entry.by_mask = true,
            Way::Compare => {}
        }
    }

    /// What is known at a test however it was reached: the equalities of the rule's earlier conditions, and the way
    /// through its own condition.
    fn facts(&self, at: usize) -> Vec<Fact> {
        let position = &self.positions[at];
        let starts = &self.starts[position.rule];
        let mut facts = Vec::new();
        for earlier in starts[0]..starts[position.condition] {
            let step = self.positions[earlier].step;
            let condition = &self.rules[position.rule].conditions[self.positions[earlier].condition];
            if condition.is_equality() {
                facts.push(Fact { test: step.test, holds: true });
            }
        }
        let start = starts[position.condition];
        if at > start {
            // The second test of a condition follows a yes of the first, the third a no.
            facts.push(Fact { test: self.positions[start].step.test, holds: at == start + 1 });
        }
        facts
    }

    /// From a position, past every test that the facts decide.
    fn follow(&self, mut at: usize, facts: &[Fact]) -> Goal {
        loop {
            let Some(holds) = self.positions[at].step.test.decide(facts) else { return Goal::Position(at) };
            match self.next(at, holds) {
                Goal::Position(next) => at = next,
                decided @ Goal::Decide(_) => return decided,
            }
        }
    }

    fn follow_from(&self, at: usize, holds: bool, facts: &[Fact]) -> Goal {
        match self.next(at, holds) {
            Goal::Position(next) => self.follow(next, facts),
            decided @ Goal::Decide(_) => decided,
        }
    }

    /// Where one outcome of the test at a position leads.
    fn next(&self, at: usize, holds: bool) -> Goal {
        let Position { rule, condition, step } = &self.positions[at];
        let starts = &self.starts[*rule];
        match if holds { step.yes } else { step.no } {
            Next::Step(step) => Goal::Position(starts[*condition] + step),
            Next::Pass => match starts.get(condition + 1) {
                Some(&start) => Goal::Position(start),
                None => Goal::Decide(self.rules[*rule].action),
            },
            Next::Fail => match self.starts.get(rule + 1) {
                Some(starts) => Goal::Position(starts[0]),
                None => Goal::Decide(self.default),
            },
        }
    }

    /// The way to a goal with `loaded` in the accumulator.
    fn enter(&self, goal: Goal, loaded: Loaded, entries: &[Option<Entry>]) -> Target {
        let at = match goal {
            Goal::Decide(action) => return Target::Return(action),
            Goal::Position(at) => at,
        };
        let entry = entries[at].expect("goals lie further down and were written before");
        let label = match way_in(self.positions[at].step.test, loaded) {
            Way::Load => entry.load,
            Way::Mask => entry.mask,
            Way::Compare => Some(entry.compare),
        };
        Target::At(label.expect("every way in that is used was noted"))
    }
}

/// How much of a test's preparation is left to do.
enum Way {
    Load,
    Mask,
    Compare,
}

fn way_in(test: Test, loaded: Loaded) -> Way {
    match loaded {
        Some((word, mask)) if word == test.word && mask == test.mask => Way::Compare,
        Some((word, u32::MAX)) if word == test.word => Way::Mask,
        _ => Way::Load,
    }
}

fn write_test(assembler: &mut Assembler, test: Test, yes: Target, no: Target, reached: Reached) -> Entry {
    let compare = assembler.branch(test.op, test.k, yes, no);
    let masked = test.mask != u32::MAX && (reached.by_load || reached.by_mask);
    let mask = masked.then(|| assembler.and(test.mask));
    let load = reached.by_load.then(|| assembler.load(test.word, Target::At(mask.unwrap_or(compare))));
    Entry { load, mask, compare }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::{Insn, op};
    use crate::condition::Comparison;
    use orlop_spec::seccomp::Arg;

    fn rule(conditions: &[(u32, Comparison, u64)], action: Action) -> ChainRule {
        let condition = |&(index, comparison, value): &(u32, Comparison, u64)| {
            Condition::new(&Arg { index, value, value_two: 0, op: String::new() }, comparison)
        };
        ChainRule { conditions: conditions.iter().map(condition).collect(), action }
    }

    fn program(rules: &[ChainRule]) -> Vec<Insn> {
        let mut assembler = Assembler::new();
        let chain = Chain::new(rules, Action::Errno(1), Arch::X86_64).unwrap();
        chain.write(&mut assembler, &mut Written::default());
        assembler.finish()
    }

    #[test]
    fn alternatives_share_loads_and_tests() {
        let values = [0, 8, 0x20000, 0x20008, 0xffff_ffff];
        let rules: Vec<_> =
            values.iter().map(|&value| rule(&[(0, Comparison::Eq, value)], Action::Allow)).collect();
        let program = program(&rules);
        let loads = program.iter().filter(|insn| insn.code == op::LD).count();
        let tests = program.iter().filter(|insn| insn.code == op::JEQ).count();
        assert_eq!((loads, tests), (2, 6), "{program:#?}");
    }

    #[test]
    fn a_bound_below_2_to_the_32_needs_two_tests() {
        let program = program(&[rule(&[(0, Comparison::Gt, 7)], Action::Allow)]);
        let tests = program.iter().filter(|insn| insn.code & 7 == 5).count();
        assert_eq!(tests, 2, "{program:#?}");
    }
}
