//! A program as text: one line per instruction, labels where jumps lead, and in words what numbers mean.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use crate::action::Action;
use crate::arch::Arch;
use crate::bpf::{Insn, data, op};
use crate::compile::Filter;
use crate::tables::Syscall;

/// What the accumulator holds at an instruction, as far as all ways there agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// Nothing leads here so far.
    Unreached,
    Arch,
    /// The number, and which architecture the way here has established.
    Number(Option<Arch>),
    Other(Option<Arch>),
}

/// The program of a filter as text.
pub fn disassemble(filter: &Filter) -> String {
    disassemble_program(&filter.program)
}

/// Any program as text. It need not be well-formed.
pub fn disassemble_program(program: &[Insn]) -> String {
    let targets: BTreeSet<usize> = (0..program.len()).flat_map(|at| targets(program, at)).collect();
    let labels: HashMap<usize, usize> =
        targets.iter().enumerate().map(|(name, &at)| (at, name + 1)).collect();
    let label = |at: usize| labels.get(&at).map_or_else(|| "?".to_owned(), |name| format!("L{name}"));
    let held = follow(program);
    let mut text = String::new();
    for (at, &insn) in program.iter().enumerate() {
        if targets.contains(&at) {
            // Writing to a string cannot fail.
            _ = writeln!(text, "{}:", label(at));
        }
        let code = instruction(insn, at, &label);
        let line = match comment(insn, held[at]) {
            Some(comment) => format!("{at:5}  {code:<34}; {comment}"),
            None => format!("{at:5}  {code}"),
        };
        _ = writeln!(text, "{line}");
    }
    text
}

/// Where a jump leads, other than to the next instruction.
fn targets(program: &[Insn], at: usize) -> Vec<usize> {
    let insn = program[at];
    let distances = match insn.code {
        op::JA => vec![insn.k as usize],
        code if code & 7 == 5 => vec![insn.jt.into(), insn.jf.into()],
        _ => vec![],
    };
    let ends = distances.into_iter().map(|distance| (at + 1).saturating_add(distance));
    ends.filter(|&end| end < program.len() && (end != at + 1 || insn.code == op::JA)).collect()
}

fn instruction(insn: Insn, at: usize, label: &impl Fn(usize) -> String) -> String {
    let k = insn.k;
    let jump = |name: &str| {
        let (yes, no) = (at + 1 + usize::from(insn.jt), at + 1 + usize::from(insn.jf));
        match (insn.jt, insn.jf) {
            (0, 0) => format!("{name:<4} {k:#x}"),
            (_, 0) => format!("{name:<4} {k:#x}, {}", label(yes)),
            (0, _) => format!("{name:<4} {k:#x}, next, {}", label(no)),
            _ => format!("{name:<4} {k:#x}, {}, {}", label(yes), label(no)),
        }
    };
    match insn.code {
        op::LD => format!("ld   {}", field(k)),
        op::AND => format!("and  {k:#x}"),
        op::JA => format!("ja   {}", label((at + 1).saturating_add(k as usize))),
        op::JEQ => jump("jeq"),
        op::JGT => jump("jgt"),
        op::JGE => jump("jge"),
        op::JSET => jump("jset"),
        op::RET => format!("ret  {}", Action::from_return(k)),
        code => format!("{code:#06x} jt {} jf {} k {k:#x}", insn.jt, insn.jf),
    }
}

/// The name of a word of `struct seccomp_data`.
fn field(offset: u32) -> String {
    let args = u32::from(data::ARGS);
    match offset {
        0 => "nr".to_owned(),
        4 => "arch".to_owned(),
        8 | 12 => format!("ip+{}", offset - 8),
        offset if offset % 4 == 0 && offset < data::SIZE => {
            let half = if offset % 8 == 0 { "" } else { "+4" };
            format!("arg{}{half}", (offset - args) / 8)
        }
        offset => format!("[{offset}]"),
    }
}

/// The system call that a number is compared with, or the architecture.
fn comment(insn: Insn, held: Held) -> Option<String> {
    match (insn.code, held) {
        (op::JEQ, Held::Arch) => {
            Arch::all().find(|arch| arch.token() == insn.k).map(|arch| arch.name().to_owned())
        }
        (op::JEQ | op::JGE | op::JGT, Held::Number(Some(arch))) => name(arch, insn.k),
        _ => None,
    }
}

fn name(arch: Arch, number: u32) -> Option<String> {
    let on = |arch| Syscall::from_number(arch, number);
    let found = on(arch).or_else(|| if arch == Arch::X86_64 { on(Arch::X32) } else { None });
    found.map(|syscall| syscall.name().to_owned())
}

/// What the accumulator holds at each instruction. One pass is enough: jumps go forward.
fn follow(program: &[Insn]) -> Vec<Held> {
    let mut held = vec![Held::Unreached; program.len()];
    if let Some(first) = held.first_mut() {
        *first = Held::Other(None);
    }
    for (at, insn) in program.iter().enumerate() {
        let now = held[at];
        let arch = match now {
            Held::Number(arch) | Held::Other(arch) => arch,
            Held::Arch | Held::Unreached => None,
        };
        let after = match (insn.code, insn.k) {
            (op::LD, 0) => Held::Number(arch),
            (op::LD, 4) => Held::Arch,
            (code, _) if code & 7 == 5 => now,
            _ => Held::Other(arch),
        };
        let mut arrive = |at: usize, with: Held| {
            if let Some(known) = held.get_mut(at) {
                *known = join(*known, with);
            }
        };
        match insn.code {
            op::JA => arrive((at + 1).saturating_add(insn.k as usize), after),
            code if code & 7 == 5 => {
                let equal = code == op::JEQ && now == Held::Arch;
                let found = Arch::all().find(|arch| equal && arch.token() == insn.k);
                arrive(at + 1 + usize::from(insn.jt), found.map_or(after, |arch| Held::Other(Some(arch))));
                arrive(at + 1 + usize::from(insn.jf), after);
            }
            code if code & 7 == 6 => {}
            _ => arrive(at + 1, after),
        }
    }
    held
}

fn join(known: Held, with: Held) -> Held {
    match (known, with) {
        (Held::Unreached, with) => with,
        (known, with) if known == with => known,
        (Held::Number(_), Held::Number(_)) => Held::Number(None),
        _ => Held::Other(None),
    }
}
