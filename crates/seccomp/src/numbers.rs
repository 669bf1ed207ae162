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

/// Lays single numbers over ranges. Both are sorted; the ranges start at 0. Neighbours with equal targets are joined.
pub(crate) fn overlay(ranges: &[Range], singles: &[Range]) -> Vec<Range> {
    let mut result: Vec<Range> = Vec::with_capacity(2 * singles.len() + ranges.len());
    let mut push = |start, target| {
        if result.last().is_some_and(|&(last, _)| last == start) {
            result.pop();
        }
        if result.last().is_none_or(|&(_, last)| last != target) {
            result.push((start, target));
        }
    };
    let mut singles = singles.iter().peekable();
    for (at, &(start, below)) in ranges.iter().enumerate() {
        push(start, below);
        let end = ranges.get(at + 1).map(|next| next.0);
        while let Some(&(nr, target)) = singles.next_if(|single| end.is_none_or(|end| single.0 < end)) {
            push(nr, target);
            if nr < u32::MAX && Some(nr + 1) != end {
                push(nr + 1, below);
            }
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
#[derive(Debug, PartialEq, Eq)]
struct Leaf {
    start: u32,
    below: Target,
    holes: Vec<Range>,
}

/// Gathers ranges into leaves, greedily from the start.
fn leaves(ranges: &[Range]) -> Vec<Leaf> {
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
        let (start, below) = (ranges[at].0, ranges[ground].1);
        let mut holes = Vec::new();
        while at < ranges.len() {
            let target = ranges[at].1;
            if target != below {
                if !single(at) || holes.len() == MAX_HOLES {
                    break;
                }
                holes.push(ranges[at]);
            }
            at += 1;
        }
        leaves.push(Leaf { start, below, holes });
    }
    leaves
}

/// Writes a balanced tree. The right half comes last in the program.
fn tree(assembler: &mut Assembler, leaves: &[Leaf]) -> Target {
    if let [leaf] = leaves {
        let hole = |no, &(nr, yes): &Range| Target::At(assembler.branch(op::JEQ, nr, yes, no));
        return leaf.holes.iter().rev().fold(leaf.below, hole);
    }
    let (left, right) = leaves.split_at(leaves.len() / 2);
    let start = right[0].start;
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

    #[test]
    fn singles_split_ranges_and_equal_neighbours_join() {
        let ranges = [(0, to(Trap)), (10, to(Allow)), (11, to(Trap))];
        let singles = [(0, to(Allow)), (5, to(Trap)), (9, to(Allow)), (u32::MAX, to(Allow))];
        let expected = [(0, to(Allow)), (1, to(Trap)), (9, to(Allow)), (11, to(Trap)), (u32::MAX, to(Allow))];
        assert_eq!(overlay(&ranges, &singles), expected);
    }

    #[test]
    fn every_number_finds_its_range() {
        let singles: Vec<_> = (0..300_u32)
            .filter(|nr| nr % 7 < 3 || nr % 31 == 5)
            .map(|nr| (nr, to(Action::Errno((nr % 5) as u16))))
            .collect();
        let ranges = overlay(&[(0, to(Allow)), (400, to(Trap)), (u32::MAX, to(Allow))], &singles);
        let mut assembler = Assembler::default();
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
