//! Our programs decide as libseccomp's do.

mod common;

use std::collections::BTreeSet;

use common::{agreed, arg, engine_profile, witness};
use orlop_seccomp::tables::Syscall as Name;
use orlop_seccomp::{Arch, Filter, Insn, Options, SeccompData, compile, simulate, verify};
use orlop_spec::seccomp::{Arg, Seccomp, Syscall};
use proptest::prelude::*;

/// The architectures of the profiles; one that no profile lists is tried as well.
const ARCHES: [Arch; 8] = [
    Arch::X86_64,
    Arch::X86,
    Arch::X32,
    Arch::Aarch64,
    Arch::Arm,
    Arch::Ppc64le,
    Arch::Riscv64,
    Arch::Mipsel,
];
const BIG_ENDIAN: [Arch; 4] = [Arch::S390x, Arch::S390, Arch::Ppc64, Arch::Mips64];

fn ours(profile: &Seccomp, native: Arch) -> Filter {
    compile(profile, &Options { enosys: false, ..Options::new(native) }).unwrap()
}

/// Numbers at which a filter could go wrong: all that exist, their neighbours, and the edges of the number space.
fn numbers(arch: Arch) -> BTreeSet<u32> {
    let known = Name::all().filter_map(|name| name.number(arch));
    let near = known.flat_map(|number| [number.wrapping_sub(1), number, number + 1]);
    let edges = [0, 0x4000_0000, 0x8000_0000, 0xc000_0000].into_iter().flat_map(|edge: u32| [edge, edge.wrapping_sub(1)]);
    near.chain(edges).chain([2000, 0x4000_0800, u32::MAX - 1]).collect()
}

/// Values around those that a profile compares with.
fn values(profile: &Seccomp) -> Vec<u64> {
    let args = profile.syscalls.iter().flat_map(|rule| &rule.args);
    let constants = args.flat_map(|arg| [arg.value, arg.value_two, arg.value & arg.value_two]);
    let near = constants.flat_map(|value| {
        let other_half = value ^ 1 << 32;
        [value, value.wrapping_sub(1), value.wrapping_add(1), other_half, !value, value & 0xffff_ffff, value << 32]
    });
    let multiplexed = 1..25;
    near.chain(multiplexed).chain([0, u64::MAX]).collect::<BTreeSet<_>>().into_iter().collect()
}

/// A few argument vectors out of `values`, the same ones in every run.
fn arguments(values: &[u64], seed: u32, count: usize) -> impl Iterator<Item = [u64; 6]> {
    let mut state = u64::from(seed) ^ 0x9e37_79b9_7f4a_7c15;
    (0..count).map(move |_| {
        std::array::from_fn(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            values[(state >> 33) as usize % values.len()]
        })
    })
}

/// Panics at the first call about which the programs disagree.
fn compare(profile: &Seccomp, program: &[Insn], witness: &[Insn], arches: &[Arch], count: usize) {
    verify(program).unwrap();
    let values = values(profile);
    for &arch in arches {
        for nr in numbers(arch) {
            for args in arguments(&values, nr, count) {
                let call = SeccompData { nr, arch: arch.token(), instruction_pointer: 0, args };
                let (ours, theirs) = (simulate(program, &call), simulate(witness, &call));
                assert_eq!(ours, theirs, "{arch:?} {:?} {call:x?}", Name::from_number(arch, nr).map(Name::name));
            }
        }
    }
    let unknown = SeccompData { arch: 0x1234, ..SeccompData::default() };
    assert_eq!(simulate(program, &unknown), simulate(witness, &unknown));
}

/// A profile without the names about which libseccomp's tables are too old.
fn known_to_both(mut profile: Seccomp, arches: &[Arch]) -> Seccomp {
    for rule in &mut profile.syscalls {
        rule.names.retain(|name| Name::from_name(name).is_some_and(|name| agreed(name, arches)));
    }
    profile
}

#[test]
fn an_engines_profile_decides_as_libseccomp() {
    let arches = [Arch::X86_64, Arch::X86, Arch::X32];
    let profile = known_to_both(engine_profile(), &arches);
    assert!(profile.syscalls[0].names.len() > 380);
    let witness = witness(&profile, Arch::X86_64, true).unwrap();
    compare(&profile, &ours(&profile, Arch::X86_64).program, &witness, &ARCHES, 30);
}

#[test]
fn big_endian_machines_decide_as_libseccomp() {
    for native in BIG_ENDIAN {
        let mut profile = engine_profile();
        profile.architectures.clear();
        let profile = known_to_both(profile, &[Arch::X86_64, native]);
        let witness = witness(&profile, native, false).unwrap();
        compare(&profile, &ours(&profile, native).program, &witness, &[native], 30);
    }
}

/// Every name on its own: the numbers of all architectures, multiplexed calls included.
#[test]
fn every_system_call_decides_as_libseccomp() {
    let mut profile = Seccomp { default_action: "SCMP_ACT_TRAP".into(), ..Seccomp::default() };
    profile.architectures = ARCHES.map(|arch| format!("SCMP_ARCH_{}", arch.name())).to_vec();
    for (at, name) in Name::all().enumerate() {
        profile.syscalls.push(Syscall { errno_ret: Some(at as u32), ..common::rule(&[name.name()], "ERRNO", vec![]) });
    }
    let mut profile = known_to_both(profile, &ARCHES);
    // libseccomp takes seconds for all at once.
    let rules = std::mem::take(&mut profile.syscalls);
    for rules in rules.chunks(60) {
        profile.syscalls = rules.to_vec();
        let witness = witness(&profile, Arch::X86_64, false).unwrap();
        compare(&profile, &ours(&profile, Arch::X86_64).program, &witness, &ARCHES, 3);
    }
}

fn any_value() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0_u64..8,
        2 => any::<u32>().prop_map(u64::from),
        2 => (0_u64..3, 0_u64..3).prop_map(|(high, low)| high << 32 | low),
        1 => Just(u64::MAX),
        1 => any::<u64>(),
    ]
}

fn any_arg() -> impl Strategy<Value = Arg> {
    let op = prop::sample::select(&["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]);
    (0_u32..4, op, any_value(), any_value()).prop_map(|(index, op, value, two)| arg(index, op, value, two))
}

/// Names that matter: some that few rules share, so that rules meet, and any other.
fn any_name() -> impl Strategy<Value = &'static str> {
    let all: Vec<_> = Name::all().filter(|&name| agreed(name, &ARCHES)).map(Name::name).collect();
    prop_oneof![
        3 => prop::sample::select(&["read", "write", "socket", "semctl", "accept", "clone", "ioctl", "socketcall"]),
        1 => prop::sample::select(all),
    ]
}

const ACTIONS: [(&str, Option<u32>); 10] = [
    ("KILL", None),
    ("KILL_PROCESS", None),
    ("TRAP", None),
    ("ERRNO", None),
    ("ERRNO", Some(38)),
    ("ERRNO", Some(4095)),
    ("TRACE", Some(77)),
    ("LOG", None),
    ("NOTIFY", None),
    ("ALLOW", None),
];

fn any_rule(action: impl Strategy<Value = (&'static str, Option<u32>)>) -> impl Strategy<Value = Syscall> {
    let args = prop_oneof![2 => Just(vec![]), 5 => prop::collection::vec(any_arg(), 1..4)];
    (prop::collection::vec(any_name(), 1..5), action, args).prop_map(|(names, (action, errno_ret), args)| Syscall {
        errno_ret,
        ..common::rule(&names, action, args)
    })
}

/// Profiles whose conditional rules all have one action (those without conditions have any).
fn any_profile(actions: usize) -> impl Strategy<Value = Seccomp> {
    let default = prop::sample::select(&ACTIONS).prop_filter("a listener", |action| action.0 != "NOTIFY");
    let chosen = prop::collection::vec(prop::sample::select(&ACTIONS), actions);
    (default, chosen, prop::sample::subsequence(&ARCHES[1..], 0..4)).prop_flat_map(|(default, chosen, arches)| {
        let rules = prop::collection::vec(any_rule(prop::sample::select(chosen)), 1..14);
        rules.prop_map(move |syscalls| Seccomp {
            default_action: format!("SCMP_ACT_{}", default.0),
            default_errno_ret: default.1,
            architectures: arches.iter().map(|arch| format!("SCMP_ARCH_{}", arch.name())).collect(),
            listener_path: "/run/agent".into(),
            syscalls,
            ..Seccomp::default()
        })
    })
}

fn check(profile: &Seccomp) {
    let options = Options { enosys: false, launch_syscalls: &[], ..Options::new(Arch::X86_64) };
    let ours = compile(profile, &options).unwrap();
    let Some(witness) = witness(profile, Arch::X86_64, false) else { return };
    compare(profile, &ours.program, &witness, &ARCHES, 12);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn profiles_of_one_action_decide_as_libseccomp(profile in any_profile(1)) {
        check(&profile);
    }

    #[test]
    fn profiles_of_many_actions_decide_as_libseccomp(profile in any_profile(3)) {
        check(&profile);
    }
}
