//! An interpreter of the few instructions that we emit, to test programs without a kernel.

use orlop_sys::bpf::Insn;

use super::program::{
    AND, EXIT, JUMP, JUMP_IF, JUMP_IF_BITS, JUMP_IF_NOT, LOAD_WORD, MOVE, MOVE_REGISTER, OR, SHIFT_LEFT,
    SHIFT_RIGHT,
};

/// Runs a program on a context; `access` has the bits of `BPF_DEVCG_ACC_*`.
pub(super) fn run(program: &[Insn], kind: u32, access: u32, major: u32, minor: u32) -> bool {
    let context = [access << 16 | kind, major, minor];
    let mut registers = [0_u32; 11];
    let mut at = 0_usize;
    for _ in 0..program.len() {
        let insn = program[at];
        let (dst, imm) = (usize::from(insn.dst()), insn.imm().cast_unsigned());
        let mut jump = false;
        match insn.code() {
            LOAD_WORD => {
                assert_eq!(insn.src(), 1, "only the context can be loaded from");
                registers[dst] = context[usize::try_from(insn.offset()).unwrap() / 4];
            }
            AND => registers[dst] &= imm,
            OR => registers[dst] |= registers[usize::from(insn.src())],
            SHIFT_LEFT => registers[dst] <<= imm,
            SHIFT_RIGHT => registers[dst] >>= imm,
            MOVE => registers[dst] = imm,
            MOVE_REGISTER => registers[dst] = registers[usize::from(insn.src())],
            JUMP => jump = true,
            JUMP_IF => jump = registers[dst] == imm,
            JUMP_IF_NOT => jump = registers[dst] != imm,
            JUMP_IF_BITS => jump = registers[dst] & imm != 0,
            EXIT => return registers[0] == 1,
            code => panic!("unknown code {code:#x}"),
        }
        at += 1;
        if jump {
            at += usize::try_from(insn.offset()).expect("jumps go forward only");
        }
    }
    panic!("the program does not end");
}
