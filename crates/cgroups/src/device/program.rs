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
/// Both numbers as the kernel has them in one (include/linux/kdev_t.h).
const DEVICE: u8 = 6;
const MINOR_BITS: i32 = 20;
const MINOR_MAX: u32 = (1 << MINOR_BITS) - 1;
const MAJOR_MAX: u32 = (1 << 12) - 1;

// Operation codes (Documentation/bpf/standardization/instruction-set.rst). The 32-bit jumps are since Linux 5.1.
pub(super) const LOAD_WORD: u8 = 0x61;
pub(super) const AND: u8 = 0x54;
pub(super) const OR: u8 = 0x4c;
pub(super) const SHIFT_LEFT: u8 = 0x64;
pub(super) const SHIFT_RIGHT: u8 = 0x74;
pub(super) const MOVE: u8 = 0xb4;
pub(super) const MOVE_REGISTER: u8 = 0xbc;
pub(super) const JUMP: u8 = 0x05;
pub(super) const JUMP_IF: u8 = 0x16;
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
        let tests = Test::all(&policy);
        let everything = Test { access: Access::ALL.0, kind: None, major: None, minor: None };
        if tests.is_empty() || tests.contains(&everything) {
            let mut instructions = Vec::new();
            end(&mut instructions, policy.default_allow == tests.is_empty());
            return Ok(Self { instructions, policy });
        }
        let mut assembly = Assembly::new(policy.default_allow);
        for tests in tests.chunk_by(|a, b| a.access == b.access) {
            assembly.access(Access(tests[0].access), tests);
        }
        let instructions = assembly.finish();
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

/// The instructions as they grow, and which of them jump to the verdict against the default, once it is known where that is.
///
/// The kernel's verifier follows both ways of every jump, which is most of what loading a program costs. So there is one
/// verdict for all, tests of kind and access are shared by all devices to which they apply, and a device is one test.
struct Assembly {
    instructions: Vec<Insn>,
    to_verdict: Vec<usize>,
    default_allow: bool,
}

impl Assembly {
    fn new(default_allow: bool) -> Self {
        let instructions = vec![
            Insn::new(LOAD_WORD, KIND, CONTEXT, 0, 0),
            Insn::new(AND, KIND, 0, 0, 0xffff),
            Insn::new(LOAD_WORD, ACCESS, CONTEXT, 0, 0),
            Insn::new(SHIFT_RIGHT, ACCESS, 0, 0, 16),
            Insn::new(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
            Insn::new(LOAD_WORD, MINOR, CONTEXT, 8, 0),
            Insn::new(MOVE_REGISTER, DEVICE, MAJOR, 0, 0),
            Insn::new(SHIFT_LEFT, DEVICE, 0, 0, MINOR_BITS),
            Insn::new(OR, DEVICE, MINOR, 0, 0),
        ];
        Self { instructions, to_verdict: Vec::new(), default_allow }
    }

    /// All exceptions of one access: tests that are skipped where the access is another one.
    fn access(&mut self, access: Access, tests: &[Test]) {
        let mut skip = None;
        if access != Access::ALL && self.default_allow {
            // Denied if any bit is denied. There is no "jump if no bits", hence the pair.
            self.instructions.push(Insn::new(JUMP_IF_BITS, ACCESS, 0, 1, access.0.into()));
            skip = Some(self.jump(Insn::new(JUMP, 0, 0, 0, 0)));
        } else if access != Access::ALL {
            // Allowed if no bit is outside the exception.
            let outside = Access::ALL.0 & !access.0;
            skip = Some(self.jump(Insn::new(JUMP_IF_BITS, ACCESS, 0, 0, outside.into())));
        }
        for tests in tests.chunk_by(|a, b| a.kind == b.kind) {
            // Sorted, so that what is about all devices of a kind, or of both kinds, is the first; the rest says nothing more.
            let all = (tests[0].major, tests[0].minor) == (None, None);
            match (tests[0].kind, all) {
                (None, true) => {
                    let jump = self.jump(Insn::new(JUMP, 0, 0, 0, 0));
                    self.to_verdict.push(jump);
                    break;
                }
                (None, false) => self.devices(tests),
                (Some(kind), true) => {
                    let jump = self.jump(Insn::new(JUMP_IF, KIND, 0, 0, kind as i32));
                    self.to_verdict.push(jump);
                }
                (Some(kind), false) => {
                    let other = self.jump(Insn::new(JUMP_IF_NOT, KIND, 0, 0, kind as i32));
                    self.devices(tests);
                    self.land(other);
                }
            }
        }
        if let Some(skip) = skip {
            self.land(skip);
        }
    }

    fn devices(&mut self, tests: &[Test]) {
        for test in tests {
            let (register, number) = match (test.major, test.minor) {
                (Some(major), Some(minor)) => (DEVICE, major << MINOR_BITS | minor),
                (Some(major), None) => (MAJOR, major),
                (None, minor) => (MINOR, minor.unwrap_or_default()),
            };
            let jump = self.jump(Insn::new(JUMP_IF, register, 0, 0, number.cast_signed()));
            self.to_verdict.push(jump);
        }
    }

    /// Adds a jump to a place that is not known yet.
    fn jump(&mut self, instruction: Insn) -> usize {
        self.instructions.push(instruction);
        self.instructions.len() - 1
    }

    /// Lets a jump end here. Offsets count from the next instruction.
    fn land(&mut self, jump: usize) {
        let offset = self.instructions.len() - jump - 1;
        let offset = i16::try_from(offset).expect("no list of rules that the kernel takes is as long");
        self.instructions[jump] = self.instructions[jump].with_offset(offset);
    }

    fn finish(mut self) -> Vec<Insn> {
        end(&mut self.instructions, self.default_allow);
        let jumps = std::mem::take(&mut self.to_verdict);
        for jump in &jumps {
            self.land(*jump);
        }
        // The verifier refuses instructions that nothing leads to.
        if !jumps.is_empty() {
            end(&mut self.instructions, !self.default_allow);
        }
        self.instructions
    }
}

/// What one exception looks at: its numbers, and its kind unless the other kind has the same exception.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Test {
    access: u8,
    kind: Option<Kind>,
    major: Option<u32>,
    minor: Option<u32>,
}

impl Test {
    /// The tests of a policy, in the order in which they are made.
    fn all(policy: &Policy) -> Vec<Self> {
        let mut tests = Vec::with_capacity(policy.exceptions.len());
        for (which, access) in &policy.exceptions {
            let Match { major, minor, kind } = *which;
            // No device of this kernel has such a number.
            if major.is_some_and(|n| n > MAJOR_MAX) || minor.is_some_and(|n| n > MINOR_MAX) {
                continue;
            }
            let other = if kind == Kind::Block { Kind::Char } else { Kind::Block };
            let both = policy.exceptions.get(&Match { kind: other, ..*which }) == Some(access);
            if both && kind == Kind::Char {
                continue;
            }
            tests.push(Self { access: access.0, kind: (!both).then_some(kind), major, minor });
        }
        tests.sort_unstable();
        tests
    }
}

fn end(program: &mut Vec<Insn>, allow: bool) {
    program.push(Insn::new(MOVE, RESULT, 0, 0, allow.into()));
    program.push(Insn::new(EXIT, 0, 0, 0, 0));
}
