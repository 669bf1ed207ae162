//! A filter, run without a kernel.

use crate::Action;
use crate::arch::LITTLE_ENDIAN;
use crate::bpf::{Insn, data};
use crate::verify::{Malformed, Verified, verify};

/// What a filter sees of a system call (`struct seccomp_data`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeccompData {
    /// The number.
    pub nr: u32,
    /// The architecture's token, [`crate::Arch::token`]. It also says in which order the halves of arguments lie.
    pub arch: u32,
    /// Where the call was made.
    pub instruction_pointer: u64,
    /// The arguments.
    pub args: [u64; 6],
}

impl SeccompData {
    /// The aligned word at `offset`.
    fn word(&self, offset: u32) -> u32 {
        let half = |value: u64, at: u32| {
            let low_first = self.arch & LITTLE_ENDIAN != 0;
            if at.is_multiple_of(8) == low_first { value as u32 } else { (value >> 32) as u32 }
        };
        match offset {
            0 => self.nr,
            4 => self.arch,
            8 | 12 => half(self.instruction_pointer, offset),
            _ => half(self.args[(offset - u32::from(data::ARGS)) as usize / 8], offset),
        }
    }
}

/// What a program decides about `call`.
///
/// # Errors
/// The kernel would not load the program.
pub fn simulate(program: &[Insn], call: &SeccompData) -> Result<Action, Malformed> {
    Ok(verify(program)?.run(call).action)
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What it decided.
    pub action: Action,
    /// How many instructions it took.
    pub steps: usize,
}

impl Verified<'_> {
    /// Runs the program. Every jump of a verified program goes forward, so it ends.
    pub fn run(&self, call: &SeccompData) -> Outcome {
        let mut state = State { a: 0, x: 0, memory: [0; 16] };
        let (mut at, mut steps) = (0, 0);
        let value = loop {
            let insn = self.program()[at];
            steps += 1;
            at += 1;
            match insn.code & 7 {
                5 => at += state.distance(insn),
                6 => break if insn.code == 0x16 { state.a } else { insn.k },
                4 if !state.compute(insn) => break 0,
                4 => {}
                _ => state.transfer(insn, call),
            }
        };
        Outcome { action: Action::from_return(value), steps }
    }
}

struct State {
    a: u32,
    x: u32,
    memory: [u32; 16],
}

impl State {
    /// How many instructions a jump skips.
    fn distance(&self, insn: Insn) -> usize {
        if insn.code == 0x05 {
            return insn.k as usize;
        }
        let other = if insn.code & 8 != 0 { self.x } else { insn.k };
        let holds = match insn.code & 0xf0 {
            0x10 => self.a == other,
            0x20 => self.a > other,
            0x30 => self.a >= other,
            _ => self.a & other != 0,
        };
        usize::from(if holds { insn.jt } else { insn.jf })
    }

    /// Arithmetic on A; false for a division by zero, which ends a program with 0.
    fn compute(&mut self, insn: Insn) -> bool {
        let other = if insn.code & 8 != 0 { self.x } else { insn.k };
        self.a = match insn.code & 0xf0 {
            0x00 => self.a.wrapping_add(other),
            0x10 => self.a.wrapping_sub(other),
            0x20 => self.a.wrapping_mul(other),
            0x30 if other == 0 => return false,
            0x30 => self.a / other,
            0x40 => self.a | other,
            0x50 => self.a & other,
            0x60 => self.a.wrapping_shl(other),
            0x70 => self.a.wrapping_shr(other),
            0x80 => self.a.wrapping_neg(),
            _ => self.a ^ other,
        };
        true
    }

    /// Loads, stores and moves.
    fn transfer(&mut self, insn: Insn, call: &SeccompData) {
        let cell = (insn.k % 16) as usize;
        match insn.code {
            0x20 => self.a = call.word(insn.k),
            0x80 => self.a = data::SIZE,
            0x81 => self.x = data::SIZE,
            0x00 => self.a = insn.k,
            0x01 => self.x = insn.k,
            0x60 => self.a = self.memory[cell],
            0x61 => self.x = self.memory[cell],
            0x02 => self.memory[cell] = self.a,
            0x03 => self.memory[cell] = self.x,
            0x07 => self.x = self.a,
            _ => self.a = self.x,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Arch;

    fn insn(code: u16, jt: u8, jf: u8, k: u32) -> Insn {
        Insn { code, jt, jf, k }
    }

    #[test]
    fn words_follow_the_byte_order_of_the_architecture() {
        let mut call = SeccompData { nr: 7, args: [0x1111_2222_3333_4444; 6], ..SeccompData::default() };
        call.arch = Arch::X86_64.token();
        assert_eq!([call.word(0), call.word(16), call.word(60)], [7, 0x3333_4444, 0x1111_2222]);
        call.arch = Arch::S390x.token();
        assert_eq!([call.word(16), call.word(60)], [0x1111_2222, 0x3333_4444]);
    }

    #[test]
    fn arithmetic_memory_and_jumps() {
        // A = (length + 6) * 2, through memory and X; below 140 kill, else A is the (unknown) action.
        let program = [
            insn(0x80, 0, 0, 0),
            insn(0x04, 0, 0, 6),
            insn(0x24, 0, 0, 2),
            insn(0x02, 0, 0, 5),
            insn(0x61, 0, 0, 5),
            insn(0x87, 0, 0, 0),
            insn(0x35, 0, 1, 140),
            insn(0x16, 0, 0, 0),
            insn(0x06, 0, 0, 1),
        ];
        let outcome = verify(&program).unwrap().run(&SeccompData::default());
        assert_eq!(outcome, Outcome { action: Action::KillThread, steps: 8 });
    }

    #[test]
    fn malformed_programs_do_not_run() {
        let endless = [insn(0x05, 0, 0, u32::MAX), insn(0x06, 0, 0, 0)];
        assert_eq!(simulate(&endless, &SeccompData::default()), Err(Malformed::Jump { at: 0 }));
    }
}
