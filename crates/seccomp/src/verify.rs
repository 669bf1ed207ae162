//! The kernel's check of a program before it accepts it, modelled: what passes here loads there.
//!
//! Follows `bpf_check_classic` (`net/core/filter.c`) and `seccomp_check_filter` (`kernel/seccomp.c`): known operations
//! only, jumps that stay inside and go forward (so that every program ends), no shift by 32 or more and no division by
//! zero, scratch memory written before it is read, aligned loads inside `struct seccomp_data`, `RET` at the end.

use crate::bpf::{Insn, MAX_INSNS, data};

/// Why a program cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is empty or longer than [`MAX_INSNS`].
    #[error("a program has 1 to {MAX_INSNS} instructions, this has {0}")]
    Length(usize),
    /// An operation that seccomp does not allow.
    #[error("instruction {at}: operation {code:#06x} is not allowed")]
    Operation {
        /// Where.
        at: usize,
        /// Which.
        code: u16,
    },
    /// A constant that the operation does not allow: division by zero, a shift of 32 bits or more, memory beyond the
    /// sixteenth word, a load that is unaligned or outside the data.
    #[error("instruction {at}: constant {k:#x} is out of range")]
    Constant {
        /// Where.
        at: usize,
        /// Which.
        k: u32,
    },
    /// A jump past the end.
    #[error("instruction {at} jumps past the end")]
    Jump {
        /// Where.
        at: usize,
    },
    /// Memory that some path reads before it is written.
    #[error("instruction {at} reads memory that is not written on every way there")]
    Uninitialised {
        /// Where.
        at: usize,
    },
    /// The last instruction is not a return.
    #[error("the last instruction does not return")]
    NoReturn,
}

/// A program that the kernel would take; it can be run ([`crate::simulate()`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified<'a>(&'a [Insn]);

impl<'a> Verified<'a> {
    /// The program.
    pub fn program(&self) -> &'a [Insn] {
        self.0
    }
}

/// Checks that the kernel would take the program.
///
/// # Errors
/// The first thing that it would reject.
pub fn verify(program: &[Insn]) -> Result<Verified<'_>, Malformed> {
    if program.is_empty() || program.len() > MAX_INSNS {
        return Err(Malformed::Length(program.len()));
    }
    for (at, &insn) in program.iter().enumerate() {
        check_operation(at, insn, program.len())?;
    }
    check_memory(program)?;
    match program.last().map(|insn| insn.code) {
        Some(0x06 | 0x16) => Ok(Verified(program)),
        _ => Err(Malformed::NoReturn),
    }
}

/// The operations that take any constant.
#[rustfmt::skip]
const FREE: [u16; 24] = [
    // A and X from the data's length, from a constant.
    0x80, 0x81, 0x00, 0x01,
    // A + - * & | ^ k.
    0x04, 0x14, 0x24, 0x54, 0x44, 0xa4,
    // A + - * / & | ^ << >> X; -A.
    0x0c, 0x1c, 0x2c, 0x3c, 0x5c, 0x4c, 0xac, 0x6c, 0x7c, 0x84,
    // Moves between A and X; return k, return A.
    0x07, 0x87, 0x06, 0x16,
];

fn check_operation(at: usize, insn: Insn, length: usize) -> Result<(), Malformed> {
    let k = insn.k;
    let constant = |good: bool| if good { Ok(()) } else { Err(Malformed::Constant { at, k }) };
    // A jump's target must exist; distances count from the next instruction.
    let jump =
        |distance: usize| if distance < length - at - 1 { Ok(()) } else { Err(Malformed::Jump { at }) };
    match insn.code {
        // A = data[k]
        0x20 => constant(k < data::SIZE && k.is_multiple_of(4)),
        // A, X = memory[k]; memory[k] = A, X
        0x60 | 0x61 | 0x02 | 0x03 => constant(k < 16),
        // A /= k
        0x34 => constant(k != 0),
        // A <<= k, A >>= k
        0x64 | 0x74 => constant(k < 32),
        code if FREE.contains(&code) => Ok(()),
        0x05 => jump(k as usize),
        // == > >= & with k, with X
        0x15 | 0x25 | 0x35 | 0x45 | 0x1d | 0x2d | 0x3d | 0x4d => {
            jump(insn.jt.into()).and_then(|()| jump(insn.jf.into()))
        }
        code => Err(Malformed::Operation { at, code }),
    }
}

/// Which of the sixteen words are written on every way to an instruction (`check_load_and_stores`).
fn check_memory(program: &[Insn]) -> Result<(), Malformed> {
    let mut written = vec![u16::MAX; program.len()];
    let mut now = 0;
    for (at, insn) in program.iter().enumerate() {
        now &= written[at];
        match insn.code {
            0x02 | 0x03 => now |= 1 << insn.k,
            0x60 | 0x61 if now & 1 << insn.k == 0 => return Err(Malformed::Uninitialised { at }),
            0x05 => {
                written[at + 1 + insn.k as usize] &= now;
                now = u16::MAX;
            }
            code if code & 7 == 5 => {
                written[at + 1 + usize::from(insn.jt)] &= now;
                written[at + 1 + usize::from(insn.jf)] &= now;
                now = u16::MAX;
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insn(code: u16, jt: u8, jf: u8, k: u32) -> Insn {
        Insn { code, jt, jf, k }
    }

    const RET: Insn = Insn { code: 0x06, jt: 0, jf: 0, k: 0 };

    #[test]
    fn rejects_what_the_kernel_rejects() {
        let bad = |program: &[Insn]| verify(program).unwrap_err();
        assert_eq!(bad(&[]), Malformed::Length(0));
        assert_eq!(bad(&vec![RET; 4097]), Malformed::Length(4097));
        assert_eq!(bad(&[insn(0x20, 0, 0, 0)]), Malformed::NoReturn);
        assert_eq!(bad(&[insn(0x20, 0, 0, 64), RET]), Malformed::Constant { at: 0, k: 64 });
        assert_eq!(bad(&[insn(0x20, 0, 0, 2), RET]), Malformed::Constant { at: 0, k: 2 });
        assert_eq!(bad(&[insn(0x34, 0, 0, 0), RET]), Malformed::Constant { at: 0, k: 0 });
        assert_eq!(bad(&[insn(0x64, 0, 0, 32), RET]), Malformed::Constant { at: 0, k: 32 });
        assert_eq!(bad(&[insn(0x05, 0, 0, 1), RET]), Malformed::Jump { at: 0 });
        assert_eq!(bad(&[insn(0x05, 0, 0, u32::MAX), RET]), Malformed::Jump { at: 0 });
        assert_eq!(bad(&[insn(0x15, 0, 1, 7), RET]), Malformed::Jump { at: 0 });
        // Half-word loads, modulo and indirect loads are BPF, but not seccomp's.
        for code in [0x28, 0x94, 0x40, 0xffff] {
            assert_eq!(bad(&[insn(code, 0, 0, 0), RET]), Malformed::Operation { at: 0, code });
        }
    }

    #[test]
    fn memory_must_be_written_on_every_path() {
        let skip = insn(0x15, 1, 0, 0);
        let (store, load) = (insn(0x02, 0, 0, 3), insn(0x60, 0, 0, 3));
        assert_eq!(verify(&[skip, store, load, RET]), Err(Malformed::Uninitialised { at: 2 }));
        assert!(verify(&[store, skip, store, load, RET]).is_ok());
    }
}
