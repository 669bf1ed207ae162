//! Profile to program.
//!
//! The program loads the architecture's token and goes to that architecture's part, or kills the thread: an
//! architecture that the profile does not list must not be a way around it. Each part is a search over number ranges
//! ([`crate::numbers`]); where arguments matter it ends in a chain of tests ([`crate::chain`]).
//!
//! Which rule decides is as in libseccomp, which the profiles of all engines were written for:
//! - A rule whose action is the default action has no effect.
//! - The first rule without conditions for a system call decides it, wherever it stands; conditions on the same system
//!   call are then without effect.
//! - Otherwise rules with conditions are alternatives. Where rules of *different* actions overlap, the order is: rules
//!   on later arguments first, then equalities, upper bounds, lower bounds, of these the tightest first; a rule before
//!   one that adds conditions to it. Profile order decides last.
//! - Calls that an architecture multiplexes (`socketcall`, `ipc`) are filtered on both ways. The multiplexer's other
//!   arguments are not the call's, but rules on them are kept, as a condition can only narrow a rule.

use orlop_spec::seccomp::Seccomp;

use crate::action::{Action, enosys};
use crate::arch::{Arch, X32_BIT};
use crate::assembler::{Assembler, Target};
use crate::bpf::{Insn, MAX_INSNS, data, op};
use crate::chain::{Chain, Written};
use crate::condition::Condition;
use crate::diagnostic::{Diagnostic, Place, Problem};
use crate::numbers::{Range, Run, add, overlay, search};
use crate::profile::{self, Profile};
use crate::tables::{Multiplexer, Places, number_at};
use crate::verdicts::{Verdict, Verdicts};

/// What a profile leaves open.
#[derive(Clone, Debug)]
pub struct Options {
    /// The architecture of this machine. It is always filtered, also if the profile does not list it.
    pub native: Arch,
    /// System calls newer than the profile fail with `ENOSYS`, so that programs fall back to older ones instead of
    /// giving up at the default action.
    ///
    /// This is runc's rule: unless the default action is permissive (allow, log, trace), every number above the
    /// largest that the profile names for an architecture fails so, also on x32 apart from `x86_64`; so does number 0
    /// on s390, where unknown calls arrive so. An architecture without any named call above number 0 keeps the default
    /// action. One difference: runc does not count the direct numbers of calls that can be multiplexed, and returns
    /// `ENOSYS` for such a call even if the profile allows it; here a named call never falls under the rule.
    pub enosys: bool,
    /// System calls that the launch makes after the filter is in force. `SCMP_ACT_NOTIFY` for them would wait for an
    /// agent that waits for the launch.
    pub launch_syscalls: &'static [&'static str],
}

impl Options {
    /// What runc does, on an architecture.
    pub fn new(native: Arch) -> Self {
        Self { native, enosys: true, launch_syscalls: &["write"] }
    }
}

/// A compiled profile.
#[derive(Clone, Debug)]
pub struct Filter {
    /// The program, 1 to 4096 instructions.
    pub program: Vec<Insn>,
    /// `SECCOMP_FILTER_FLAG_*` for `seccomp(2)`.
    pub flags: u32,
    /// Whether it can ask an agent: `seccomp(2)` then returns a notification file descriptor for `listenerPath`.
    pub notify: bool,
    /// What is odd about the profile, but no reason to fail.
    pub warnings: Vec<Diagnostic>,
}

impl Filter {
    /// The program as `seccomp(2)` takes it: an array of `struct sock_filter` in native byte order.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.program.iter().flat_map(|insn| insn.to_bytes()).collect()
    }
}

/// What the kernel does with a call of an architecture that the profile does not list.
const BAD_ARCH: Action = Action::KillThread;

/// Compiles a profile.
///
/// # Errors
/// Everything that is wrong with it.
pub fn compile(seccomp: &Seccomp, options: &Options) -> Result<Filter, Vec<Diagnostic>> {
    let profile = profile::read(seccomp, options)?;
    let too_long = |insns| vec![Diagnostic { place: Place::Profile, problem: Problem::TooLong(insns) }];
    let writer = Writer {
        profile: &profile,
        enosys: options.enosys && !profile.default.is_permissive(),
        assembler: Assembler::new(),
        written: Written::new(),
        verdicts: Verdicts::new(),
    };
    let program = writer.write().map_err(too_long)?;
    if program.len() > MAX_INSNS {
        return Err(too_long(program.len()));
    }
    debug_assert!(crate::verify::verify(&program).is_ok());
    let Profile { flags, notify, warnings, .. } = profile;
    Ok(Filter { program, flags, notify, warnings })
}

struct Writer<'a> {
    profile: &'a Profile,
    enosys: bool,
    assembler: Assembler,
    written: Written,
    /// Those of the architecture whose part is being written.
    verdicts: Verdicts,
}

impl Writer<'_> {
    /// The whole program. It is written backwards: the last architecture first, the choice among them last.
    fn write(mut self) -> Result<Vec<Insn>, usize> {
        let mut tokens: Vec<u32> = Vec::new();
        for arch in &self.profile.arches {
            if !tokens.contains(&arch.token()) {
                tokens.push(arch.token());
            }
        }
        let mut parts = Vec::with_capacity(tokens.len());
        for &token in tokens.iter().rev() {
            parts.push((token, self.part(token)?));
        }
        let other = Target::Return(BAD_ARCH);
        let choice = parts
            .iter()
            .fold(other, |no, &(token, part)| Target::At(self.assembler.branch(op::JEQ, token, part, no)));
        self.assembler.load(data::ARCH, choice);
        Ok(self.assembler.finish())
    }

    /// What happens to the calls of all architectures that share a token.
    fn part(&mut self, token: u32) -> Result<Target, usize> {
        let arches: Vec<Arch> =
            self.profile.arches.iter().copied().filter(|arch| arch.token() == token).collect();
        // All numbers of x32 are larger than those of the architecture that it shares its token with.
        let (mut runs, mut of_x32) = (Vec::new(), Vec::new());
        let mut largest = Vec::with_capacity(arches.len());
        for &arch in &arches {
            let named = self.largest(arch);
            self.read_verdicts(arch, named.unwrap_or_default());
            self.targets(arch, if arch == Arch::X32 { &mut of_x32 } else { &mut runs })?;
            largest.push((arch, self.without_newer(arch, named)));
        }
        runs.append(&mut of_x32);
        let ground = ground(&largest, self.profile.default);
        Ok(search(&mut self.assembler, &overlay(&ground, &runs)))
    }

    /// The largest place that the profile names on an architecture.
    fn largest(&self, arch: Arch) -> Option<u16> {
        let places = Places::new(arch);
        self.profile.named().filter_map(|syscall| places.of(syscall)).max()
    }

    /// The number of the largest place, if newer ones are to fail with `ENOSYS`.
    fn without_newer(&self, arch: Arch, largest: Option<u16>) -> Option<u32> {
        let number = largest.map(|place| number_at(arch, place));
        number.filter(|&number| self.enosys && number & !x32_bit(arch) != 0)
    }

    /// Where every number with a rule on `arch` leads, in the order of numbers. Tests of arguments are written here.
    fn targets(&mut self, arch: Arch, runs: &mut Vec<Run>) -> Result<(), usize> {
        for place in 0..self.verdicts.places() {
            let target = match self.verdicts.of(place) {
                Verdict::Open => continue,
                Verdict::Decided(action) => Target::Return(action),
                Verdict::Depends => self.chain(arch, place)?,
            };
            if self.assembler.len() > MAX_INSNS {
                return Err(self.assembler.len());
            }
            add(runs, number_at(arch, place), target);
        }
        Ok(())
    }

    /// Finds what the rules say on `arch`, where the profile names places up to `largest`.
    fn read_verdicts(&mut self, arch: Arch, largest: u16) {
        self.verdicts.clear(largest);
        let places = Places::new(arch);
        let multiplexes = places.of(Multiplexer::Socketcall.syscall()).is_some();
        for rule in self.profile.rules() {
            for conditions in &rule.alternatives {
                let conditions = effective(conditions, arch);
                for &syscall in &rule.syscalls {
                    if let Some(place) = places.of(syscall) {
                        self.verdicts.add(place, &conditions, rule.action);
                    }
                    if multiplexes && let Some(way) = syscall.multiplexed() {
                        self.add_multiplexed(places, way, &conditions, rule.action);
                    }
                }
            }
        }
    }

    /// Adds a rule on the other way to a system call: the multiplexer's arguments must be such that it stands for this call, and
    /// the conditions hold.
    fn add_multiplexed(
        &mut self,
        places: Places,
        way: (Multiplexer, u8),
        conditions: &[Condition],
        action: Action,
    ) {
        let (multiplexer, call) = way;
        let Some(place) = places.of(multiplexer.syscall()) else { return };
        let mut chosen = vec![Condition::first_arg_is(call.into())];
        chosen.extend(conditions.iter().filter(|condition| condition.arg != 0));
        self.verdicts.add(place, &chosen, action);
    }

    fn chain(&mut self, arch: Arch, place: u16) -> Result<Target, usize> {
        let mut rules = self.verdicts.take_rules(place);
        // Stable: of equal rules the first decides.
        rules.sort_by(|a, b| a.ranks().cmp(b.ranks()));
        rules.dedup_by(|later, earlier| later.conditions == earlier.conditions);
        let chain = Chain::new(&rules, self.profile.default, arch)?;
        Ok(chain.write(&mut self.assembler, &mut self.written))
    }
}

/// The conditions that can fail on `arch`.
pub(crate) fn effective(conditions: &[Condition], arch: Arch) -> Vec<Condition> {
    let narrow = |condition: &Condition| if arch.is_wide() { *condition } else { condition.narrow() };
    conditions.iter().map(narrow).filter(|condition| !condition.is_empty()).collect()
}

/// The bit that all numbers of `arch` have and that says nothing about their size.
fn x32_bit(arch: Arch) -> u32 {
    if arch == Arch::X32 { X32_BIT } else { 0 }
}

/// What happens to numbers without a rule: the default action, but `ENOSYS` above the largest number of the profile.
fn ground(arches: &[(Arch, Option<u32>)], default: Action) -> Vec<Range> {
    let default = Target::Return(default);
    let largest = |wanted| arches.iter().find(|(arch, _)| *arch == wanted).map(|(_, largest)| *largest);
    let (first, first_largest) = arches[0];
    if matches!(first, Arch::X86_64 | Arch::X32) {
        return ground_x86(largest(Arch::X86_64), largest(Arch::X32), default);
    }
    let enosys = Target::Return(enosys(first));
    let mut ranges = vec![(0, default)];
    if let Some(largest) = first_largest {
        if first.has_unknown_as_zero() {
            ranges = vec![(0, enosys), (1, default)];
        }
        ranges.push((largest + 1, enosys));
    }
    ranges
}

/// `x86_64` and x32 share a token; bit 30 of the number tells them apart. The outer option says whether the profile
/// lists the architecture. If it does not, its numbers are treated as those of an unlisted architecture, as in
/// libseccomp, which asks whether the number is below bit 30 and makes an exception for −1, by which tracers skip a
/// call. Whether a number is newer than the profile goes by bit 30 alone, as in runc.
#[allow(clippy::option_option)]
fn ground_x86(x86_64: Option<Option<u32>>, x32: Option<Option<u32>>, default: Target) -> Vec<Range> {
    let bad = Target::Return(BAD_ARCH);
    let enosys = Target::Return(enosys(Arch::X86_64));
    let (low, high) = match (x86_64, x32) {
        (Some(_), Some(_)) => (default, default),
        (Some(_), None) => (default, bad),
        _ => (bad, default),
    };
    let newer = |largest: Option<Option<u32>>, otherwise| largest.flatten().map_or(otherwise, |_| enosys);
    let mut ranges = vec![(0, low)];
    ranges.extend(x86_64.flatten().map(|largest| (largest + 1, enosys)));
    ranges.push((X32_BIT, high));
    ranges.extend(x32.flatten().map(|largest| (largest + 1, enosys)));
    ranges.push((0x8000_0000, newer(x86_64, high)));
    ranges.push((0xc000_0000, newer(x32, high)));
    ranges.push((u32::MAX, newer(x32, default)));
    ranges
}
