//! System calls at which a filter could go wrong.

use std::collections::BTreeSet;

use orlop_seccomp::tables::Syscall as Name;
use orlop_seccomp::{Arch, SeccompData};
use orlop_spec::seccomp::Seccomp;

/// All numbers that exist, their neighbours, and the edges of the number space.
fn numbers(arch: Arch) -> BTreeSet<u32> {
    let known = Name::all().filter_map(|name| name.number(arch));
    let near = known.flat_map(|number| [number.wrapping_sub(1), number, number + 1]);
    let edges = [0, 0x4000_0000, 0x8000_0000, 0xc000_0000_u32].into_iter();
    let edges = edges.flat_map(|edge| [edge, edge.wrapping_sub(1)]);
    near.chain(edges).chain([2000, 0x4000_0800, u32::MAX - 1]).collect()
}

/// Values around those that a profile compares with.
fn values(profile: &Seccomp) -> Vec<u64> {
    let args = profile.syscalls.iter().flat_map(|rule| &rule.args);
    let constants = args.flat_map(|arg| [arg.value, arg.value_two, arg.value & arg.value_two]);
    let near = constants.flat_map(|value| {
        let other_half = value ^ 1 << 32;
        [
            value,
            value.wrapping_sub(1),
            value.wrapping_add(1),
            other_half,
            !value,
            value & 0xffff_ffff,
            value << 32,
        ]
    });
    let multiplexed = 1..25;
    near.chain(multiplexed).chain([0, u64::MAX]).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Calls of one architecture, `count` for each number; the same ones in every run.
pub fn calls(profile: &Seccomp, arch: Arch, count: usize) -> impl Iterator<Item = SeccompData> {
    let values = values(profile);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    numbers(arch).into_iter().flat_map(move |nr| std::iter::repeat_n(nr, count)).map(move |nr| {
        let args = std::array::from_fn(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            values[(state >> 33) as usize % values.len()]
        });
        SeccompData { nr, arch: arch.token(), instruction_pointer: 0, args }
    })
}
