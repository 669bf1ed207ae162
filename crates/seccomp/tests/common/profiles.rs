//! Random profiles.

use orlop_seccomp::Arch;
use orlop_seccomp::tables::Syscall as Name;
use orlop_spec::seccomp::{Arg, Seccomp, Syscall};
use proptest::prelude::*;

use super::{agreed, arg, rule};

/// The architectures of the profiles.
pub const ARCHES: [Arch; 8] = [
    Arch::X86_64,
    Arch::X86,
    Arch::X32,
    Arch::Aarch64,
    Arch::Arm,
    Arch::Ppc64le,
    Arch::Riscv64,
    Arch::Mipsel,
];

/// What the profiles are made of.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How many different actions rules choose from.
    pub actions: usize,
    /// The most conditions of a rule.
    pub conditions: usize,
    /// The most rules.
    pub rules: usize,
    /// Whether conditions may be on the same argument.
    pub repeat: bool,
}

const ACTIONS: [(&str, Option<u32>); 10] = [
    ("KILL", None),
    ("KILL_PROCESS", None),
    ("TRAP", None),
    ("ERRNO", None),
    ("ERRNO", Some(38)),
    ("ERRNO", Some(4094)),
    ("TRACE", Some(77)),
    ("LOG", None),
    ("NOTIFY", None),
    ("ALLOW", None),
];

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

/// Names that matter: a few, so that rules meet, and any other.
fn any_name() -> impl Strategy<Value = &'static str> {
    let all: Vec<_> = Name::all().filter(|&name| agreed(name, &ARCHES)).map(Name::name).collect();
    prop_oneof![
        3 => prop::sample::select(&["read", "write", "socket", "semctl", "accept", "clone", "ioctl", "socketcall"]),
        1 => prop::sample::select(all),
    ]
}

fn any_rule(actions: Vec<(&'static str, Option<u32>)>, shape: Shape) -> impl Strategy<Value = Syscall> {
    let some = prop::collection::vec(any_arg(), 1..=shape.conditions).prop_map(move |mut args| {
        if !shape.repeat {
            args.sort_by_key(|arg| arg.index);
            args.dedup_by_key(|arg| arg.index);
        }
        args
    });
    let args = prop_oneof![1 => Just(vec![]), 5 => some];
    let names = prop::collection::vec(any_name(), 1..5);
    (names, prop::sample::select(actions), args)
        .prop_map(|(names, (action, errno_ret), args)| Syscall { errno_ret, ..rule(&names, action, args) })
}

pub fn any_profile(shape: Shape) -> impl Strategy<Value = Seccomp> {
    let default =
        prop::sample::select(&ACTIONS).prop_filter("no agent by default", |action| action.0 != "NOTIFY");
    let actions = prop::collection::vec(prop::sample::select(&ACTIONS), shape.actions);
    (default, actions, prop::sample::subsequence(&ARCHES[1..], 0..4)).prop_flat_map(
        move |(default, actions, arches)| {
            prop::collection::vec(any_rule(actions, shape), 1..=shape.rules).prop_map(move |syscalls| {
                Seccomp {
                    default_action: format!("SCMP_ACT_{}", default.0),
                    default_errno_ret: default.1,
                    architectures: arches.iter().map(|arch| format!("SCMP_ARCH_{}", arch.name())).collect(),
                    listener_path: "/run/agent".into(),
                    syscalls,
                    ..Seccomp::default()
                }
            })
        },
    )
}
