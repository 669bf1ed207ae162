//! The policy as a program. The kernel runs it at every open(2) and mknod(2) of a device node; 1 allows, 0 is `EPERM`.

use orlop_spec::{DeviceRule, DeviceRuleKind};
use orlop_sys::bpf::Insn;

use super::policy::{Access, Kind, Match, Policy, Refused};

/// A device filter, compiled and ready to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceProgram {
    instructions: Vec<Insn>,
    policy: Policy,
}

// Registers. The kernel passes struct bpf_cgroup_dev_ctx { u32 access_type, major, minor } in r1.
const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

// Operation codes (Documentation/bpf/standardization/instruction-set.rst). The 32-bit jumps are since Linux 5.1.
pub(super) const LOAD_WORD: u8 = 0x61;
pub(super) const AND: u8 = 0x54;
pub(super) const SHIFT_RIGHT: u8 = 0x74;
pub(super) const MOVE: u8 = 0xb4;
pub(super) const JUMP: u8 = 0x05;
pub(super) const JUMP_IF_NOT: u8 = 0x56;
pub(super) const JUMP_IF_BITS: u8 = 0x46;
pub(super) const EXIT: u8 = 0x95;

impl DeviceProgram {
    /// Compiles a rule list; see OCI runtime-spec, config-linux.md, "Allowed Device list".
    ///
    /// An empty list denies everything.
    ///
    /// # Errors
    /// The first rule that cannot be used.
    pub fn compile(rules: &[DeviceRule]) -> Result<Self, Refused> {
        let policy = Policy::of(rules)?;
        let mut instructions = vec![
            Insn::new(LOAD_WORD, KIND, CONTEXT, 0, 0),
            Insn::new(AND, KIND, 0, 0, 0xffff),
            Insn::new(LOAD_WORD, ACCESS, CONTEXT, 0, 0),
            Insn::new(SHIFT_RIGHT, ACCESS, 0, 0, 16),
            Insn::new(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
            Insn::new(LOAD_WORD, MINOR, CONTEXT, 8, 0),
        ];
        for (which, access) in &policy.exceptions {
            exception(&mut instructions, *which, *access, policy.default_allow);
        }
        end(&mut instructions, policy.default_allow);
        Ok(Self { instructions, policy })
    }

    /// The program that allows every access, for a runtime in a user namespace: it may not load programs, and device nodes
    /// are out of its reach anyway.
    pub fn unrestricted() -> Self {
        let mut instructions = Vec::new();
        end(&mut instructions, true);
        let policy = Policy { default_allow: true, ..Policy::default() };
        Self { instructions, policy }
    }

    /// Whether the program allows every access, so that a new cgroup does not need it.
    pub fn allows_all(&self) -> bool {
        self.policy.default_allow && self.policy.exceptions.is_empty()
    }

    /// The devices that it allows, if it denies all others: rules that only allow, of which each is about one kind.
    pub fn allowed(&self) -> Option<Vec<DeviceRule>> {
        let rule = |(which, access): (&Match, &Access)| DeviceRule {
            allow: true,
            kind: if which.kind == Kind::Block { DeviceRuleKind::Block } else { DeviceRuleKind::Char },
            major: which.major.map(Into::into),
            minor: which.minor.map(Into::into),
            access: access.to_string(),
        };
        (!self.policy.default_allow).then(|| self.policy.exceptions.iter().map(rule).collect())
    }

    /// The instructions.
    pub fn instructions(&self) -> &[Insn] {
        &self.instructions
    }
}

/// One exception: a chain of tests that jumps behind itself as soon as one fails, and then the verdict.
fn exception(program: &mut Vec<Insn>, which: Match, access: Access, default_allow: bool) {
    let mut tests = vec![Insn::new(JUMP_IF_NOT, KIND, 0, 0, which.kind as i32)];
    if access != Access::ALL && default_allow {
        // Denied if any bit is denied. There is no "jump if no bits", hence the pair.
        tests.push(Insn::new(JUMP_IF_BITS, ACCESS, 0, 1, access.0.into()));
        tests.push(Insn::new(JUMP, 0, 0, 0, 0));
    } else if access != Access::ALL {
        // Allowed if no bit is outside the exception.
        tests.push(Insn::new(JUMP_IF_BITS, ACCESS, 0, 0, (Access::ALL.0 & !access.0).into()));
    }
    for (register, number) in [(MAJOR, which.major), (MINOR, which.minor)] {
        if let Some(number) = number {
            tests.push(Insn::new(JUMP_IF_NOT, register, 0, 0, number.cast_signed()));
        }
    }
    let behind = tests.len() + 2;
    for (i, test) in tests.into_iter().enumerate() {
        // An offset counts from the next instruction; the one that is set already skips within the pair.
        let offset = if test.offset() == 0 { (behind - i - 1) as i16 } else { test.offset() };
        program.push(test.with_offset(offset));
    }
    end(program, !default_allow);
}

fn end(program: &mut Vec<Insn>, allow: bool) {
    program.push(Insn::new(MOVE, RESULT, 0, 0, allow.into()));
    program.push(Insn::new(EXIT, 0, 0, 0, 0));
}
