//! From system call numbers to targets: ranges with equal targets, and the search tree over them.
//!
//! The kernel runs a filter once per number when it is loaded (`seccomp_cache_prepare`), so the cost of loading grows
//! with the depth of the search: a balanced tree, not a list. Most filters allow long ranges with a few exceptions;
//! up to [`MAX_HOLES`] exceptions are tested one by one at a leaf, which halves the program.

use crate::assembler::{Assembler, Target};
use crate::bpf::{data, op};

/// The exceptions that a leaf tests one after another.
const MAX_HOLES: usize = 3;

/// Where all numbers from one number on lead, up to the next range.
pub(crate) type Range = (u32, Target);

/// Neighbouring numbers that lead to one target, the last included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    first: u32,
    last: u32,
    target: Target,
}

/// Adds a number that is larger than all before.
pub(crate) fn add(runs: &mut Vec<Run>, number: u32, target: Target) {
    match runs.last_mut() {
        Some(run) if run.target == target && run.last + 1 == number => run.last = number,
        _ => runs.push(Run { first: number, last: number, target }),
    }
}

/// Lays runs over ranges. Both are sorted; the ranges start at 0. Neighbours with equal targets are joined.
pub(crate) fn overlay(ranges: &[Range], runs: &[Run]) -> Vec<Range> {
    let mut result: Vec<Range> = Vec::new();
    let mut push = |start, target| {
        if result.last().is_none_or(|&(_, last)| last != target) {
            result.push((start, target));
        }
    };
    let mut runs = runs.iter().peekable();
    // From where on nothing was laid yet; none once the largest number has its target.
    let mut rest = Some(0);
    for (at, &(_, below)) in ranges.iter().enumerate() {
        let end = ranges.get(at + 1).map(|next| next.0);
        while let Some(run) = runs.next_if(|run| end.is_none_or(|end| run.first < end)) {
            if let Some(rest) = rest.filter(|&rest| rest < run.first) {
                push(rest, below);
            }
            push(run.first, run.target);
            rest = run.last.checked_add(1);
        }
        if let Some(start) = rest.filter(|&start| end.is_none_or(|end| start < end)) {
            push(start, below);
            rest = end;
        }
    }
    result
}

/// Writes the search over `ranges`; the result expects nothing in the accumulator.
pub(crate) fn search(assembler: &mut Assembler, ranges: &[Range]) -> Target {
    if let [(_, target)] = ranges {
        return *target;
    }
    let root = tree(assembler, &leaves(ranges));
    Target::At(assembler.load(data::NR, root))
}

/// A range with exceptions: single numbers that lead elsewhere.
struct Leaf<'a> {
    below: Target,
    /// The ranges that it is made of, exceptions among them.
    ranges: &'a [Range],
}

/// Gathers ranges into leaves, greedily from the start.
fn leaves(ranges: &[Range]) -> Vec<Leaf<'_>> {
    let single = |at: usize| match (ranges.get(at), ranges.get(at + 1)) {
        (Some(range), Some(next)) => next.0 - range.0 == 1,
        (Some(range), None) => range.0 == u32::MAX,
        _ => false,
    };
    let mut leaves = Vec::new();
    let mut at = 0;
    while at < ranges.len() {
        // A single number before a range is an exception of that range.
        let ground = if single(at) && at + 1 < ranges.len() { at + 1 } else { at };
        let (start, below) = (at, ranges[ground].1);
        let mut holes = 0;
        while at < ranges.len() {
            if ranges[at].1 != below {
                if !single(at) || holes == MAX_HOLES {
                    break;
                }
                holes += 1;
            }
            at += 1;
        }
        leaves.push(Leaf { below, ranges: &ranges[start..at] });
    }
    leaves
}

/// Writes a balanced tree. The right half comes last in the program.
fn tree(assembler: &mut Assembler, leaves: &[Leaf<'_>]) -> Target {
    if let [leaf] = leaves {
        let holes = leaf.ranges.iter().rev().filter(|range| range.1 != leaf.below);
        return holes.fold(leaf.below, |no, &(nr, yes)| Target::At(assembler.branch(op::JEQ, nr, yes, no)));
    }
    let (left, right) = leaves.split_at(leaves.len() / 2);
    let start = right[0].ranges[0].0;
    let right = tree(assembler, right);
    let left = tree(assembler, left);
    Target::At(assembler.branch(op::JGE, start, right, left))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Action::{self, Allow, Trap};
    use crate::simulate::SeccompData;
    use crate::verify::verify;

    fn to(action: Action) -> Target {
        Target::Return(action)
    }

    fn runs(singles: &[Range]) -> Vec<Run> {
        let mut runs = Vec::new();
        for &(number, target) in singles {
            add(&mut runs, number, target);
        }
        runs
    }

    #[test]
    fn singles_split_ranges_and_equal_neighbours_join() {
        let ranges = [(0, to(Trap)), (10, to(Allow)), (11, to(Trap))];
        let singles = [(0, to(Allow)), (5, to(Trap)), (9, to(Allow)), (u32::MAX, to(Allow))];
        let expected = [(0, to(Allow)), (1, to(Trap)), (9, to(Allow)), (11, to(Trap)), (u32::MAX, to(Allow))];
        assert_eq!(overlay(&ranges, &runs(&singles)), expected);
    }

    #[test]
    fn a_run_may_lie_over_the_end_of_a_range() {
        let ranges = [(0, to(Allow)), (10, to(Trap)), (12, to(Allow))];
        let over = |singles: &[u32]| {
            let singles: Vec<_> = singles.iter().map(|&number| (number, to(Action::Log))).collect();
            overlay(&ranges, &runs(&singles))
        };
        let log = to(Action::Log);
        assert_eq!(over(&[9, 10]), [(0, to(Allow)), (9, log), (11, to(Trap)), (12, to(Allow))]);
        assert_eq!(over(&[9, 10, 11]), [(0, to(Allow)), (9, log), (12, to(Allow))]);
        assert_eq!(over(&[9, 10, 11, 12]), [(0, to(Allow)), (9, log), (13, to(Allow))]);
    }

    #[test]
    fn every_number_finds_its_range() {
        let singles: Vec<_> = (0..300_u32)
            .filter(|nr| nr % 7 < 3 || nr % 31 == 5)
            .map(|nr| (nr, to(Action::Errno((nr % 5) as u16))))
            .collect();
        let ranges = overlay(&[(0, to(Allow)), (400, to(Trap)), (u32::MAX, to(Allow))], &runs(&singles));
        let mut assembler = Assembler::new();
        search(&mut assembler, &ranges);
        let program = assembler.finish();
        let program = verify(&program).unwrap();
        for nr in (0..500).chain([0x4000_0000, u32::MAX - 1, u32::MAX]) {
            let wanted = ranges.iter().rev().find(|range| range.0 <= nr).unwrap().1;
            let got = program.run(&SeccompData { nr, ..SeccompData::default() }).action;
            assert_eq!(to(got), wanted, "{nr}");
        }
    }
}
