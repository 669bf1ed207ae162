//! Programs, written from the end: when a jump is written, its target already has its place.
//!
//! Conditional jumps reach 255 instructions. A target beyond that gets a stepping stone nearby: another copy of the
//! return, or an unconditional jump, which reaches everywhere. Stones serve all later jumps in reach.

use crate::action::Action;
use crate::bpf::{Insn, op};

/// A place in the program: the number of instructions from there to the end, which never changes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Label(u32);

/// Where control can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    Return(Action),
    At(Label),
}

/// How far a conditional jump reaches.
const REACH: usize = 255;

/// A program under construction.
pub(crate) struct Assembler {
    /// Last instruction first.
    reversed: Vec<Insn>,
    /// Places that lead to a target at once, in the order in which they were written.
    stones: Vec<(Target, Label)>,
}

/// Room for a program of usual length.
const USUAL: usize = 256;

impl Assembler {
    /// An empty program.
    pub(crate) fn new() -> Self {
        Self { reversed: Vec::with_capacity(USUAL), stones: Vec::new() }
    }

    /// The place of the latest instruction.
    fn here(&self) -> Label {
        Label(self.reversed.len() as u32)
    }

    fn push(&mut self, code: u16, jt: usize, jf: usize, k: u32) -> Label {
        self.reversed.push(Insn { code, jt: jt as u8, jf: jf as u8, k });
        self.here()
    }

    /// How many instructions the next one, if it came `more` instructions later, would have to skip.
    fn distance(&self, to: Label, more: usize) -> usize {
        self.reversed.len() + more - to.0 as usize
    }

    /// A place that leads to `target` and stays in reach for the next `more` instructions.
    fn near(&mut self, target: Target, more: usize) -> Label {
        if let Target::At(label) = target
            && self.distance(label, more) <= REACH
        {
            return label;
        }
        let in_reach = |stone: &&(Target, Label)| self.distance(stone.1, more) <= REACH;
        let mut stones = self.stones.iter().rev().take_while(in_reach);
        if let Some(&(_, stone)) = stones.find(|stone| stone.0 == target) {
            return stone;
        }
        let stone = match target {
            Target::Return(action) => self.push(op::RET, 0, 0, action.to_return()),
            Target::At(label) => self.push(op::JA, 0, 0, self.distance(label, 0) as u32),
        };
        self.stones.push((target, stone));
        stone
    }

    /// Makes the next instruction fall through to `target`.
    fn fall_through(&mut self, target: Target) {
        if target != Target::At(self.here()) {
            match target {
                Target::Return(action) => self.push(op::RET, 0, 0, action.to_return()),
                Target::At(label) => self.push(op::JA, 0, 0, self.distance(label, 0) as u32),
            };
        }
    }

    /// A jump to `yes` if A compares with `k` by `code`, else to `no`.
    pub(crate) fn branch(&mut self, code: u16, k: u32, yes: Target, no: Target) -> Label {
        // Each stone moves the other target one instruction away.
        let near_yes = self.near(yes, 1);
        let near_no = self.near(no, 0);
        self.push(code, self.distance(near_yes, 0), self.distance(near_no, 0), k)
    }

    /// Keeps the bits of `mask` in A, then goes on at the latest instruction.
    pub(crate) fn and(&mut self, mask: u32) -> Label {
        self.push(op::AND, 0, 0, mask)
    }

    /// Loads the word at `offset` into A, then goes on at `target`.
    pub(crate) fn load(&mut self, offset: u8, target: Target) -> Label {
        self.fall_through(target);
        self.push(op::LD, 0, 0, offset.into())
    }

    /// How many instructions there are so far.
    pub(crate) fn len(&self) -> usize {
        self.reversed.len()
    }

    /// The program, which starts at the latest instruction.
    pub(crate) fn finish(mut self) -> Vec<Insn> {
        self.reversed.reverse();
        self.reversed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::SeccompData;
    use crate::verify::verify;

    #[test]
    fn far_targets_are_reached_over_stones() {
        let mut assembler = Assembler::new();
        let allow = Target::Return(Action::Allow);
        let first = assembler.branch(op::JEQ, 0, allow, Target::Return(Action::Trap));
        // A long ladder between the first test and those that jump to it.
        let mut next = Target::At(first);
        for nr in 1..2000 {
            let yes = if nr % 2 == 0 { Target::At(first) } else { Target::Return(Action::Errno(nr as u16)) };
            next = Target::At(assembler.branch(op::JEQ, nr, yes, next));
        }
        assembler.load(0, next);
        let program = assembler.finish();
        let program = verify(&program).unwrap();
        let at = |nr| program.run(&SeccompData { nr, ..SeccompData::default() }).action;
        assert_eq!(at(0), Action::Allow);
        assert_eq!(at(1), Action::Errno(1));
        assert_eq!(at(1998), Action::Trap);
        assert_eq!(at(1999), Action::Errno(1999));
        assert_eq!(at(5000), Action::Trap);
    }
}
