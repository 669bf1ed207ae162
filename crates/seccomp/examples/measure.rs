//! Measures the compiler: `measure [FILE…]`, each a bundle's `config.json` or a bare profile; without files, a profile
//! like an engine's. Prints times, instructions and steps, beside libseccomp's for the same profile.
//!
//! Run with `cargo run --release -p orlop-seccomp --example measure`.
#![allow(clippy::print_stdout, clippy::unwrap_used)] // It prints, and has nobody to report errors to.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use orlop_seccomp::tables::Syscall as Name;
use orlop_seccomp::{Arch, Insn, Options, SeccompData, compile, verify};
use orlop_spec::seccomp::Seccomp;

fn main() {
    let files: Vec<_> = std::env::args().skip(1).collect();
    if files.is_empty() {
        let profile = common::engine_profile();
        measure("engine-like, three architectures", &profile);
        measure("engine-like, native only", &Seccomp { architectures: Vec::new(), ..profile });
    }
    for file in files {
        measure(&file, &common::read(&file));
    }
}

fn measure(what: &str, profile: &Seccomp) {
    let options = Options { enosys: false, ..Options::new(Arch::X86_64) };
    let filter = compile(profile, &options).unwrap();
    println!("{what}: {} warnings", filter.warnings.len());
    report("orlop", &filter.program, median(200, || compile(profile, &options).is_ok()));
    let enosys = Options { enosys: true, ..options };
    let with = compile(profile, &enosys).unwrap();
    report("orlop, ENOSYS", &with.program, median(200, || compile(profile, &enosys).is_ok()));
    for optimize in [false, true] {
        let name = if optimize { "libseccomp, tree" } else { "libseccomp, list" };
        let program = common::witness(profile, Arch::X86_64, optimize).unwrap();
        let time = median(5, || common::witness(profile, Arch::X86_64, optimize).is_some());
        report(name, &program, time);
    }
    let names: Vec<_> = profile.syscalls.iter().flat_map(|rule| rule.names.iter()).collect();
    let lookups =
        || names.iter().filter_map(|name| Name::from_name(name)).map(known_numbers).sum::<u64>() > 0;
    println!("  {} names × 3 numbers: {:?}", names.len(), median(200, lookups));
}

fn known_numbers(name: Name) -> u64 {
    [Arch::X86_64, Arch::X86, Arch::X32].iter().filter_map(|&arch| name.number(arch)).map(u64::from).sum()
}

fn median(rounds: usize, mut work: impl FnMut() -> bool) -> Duration {
    let mut times: Vec<_> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            assert!(work());
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[rounds / 2]
}

/// Mean steps over what the kernel tries when it loads a filter: all numbers of the native and the compatible
/// architecture, without arguments.
fn report(what: &str, program: &[Insn], time: Duration) {
    let program = verify(program).unwrap();
    let calls = [Arch::X86_64, Arch::X86].into_iter().flat_map(|arch| {
        (0..450).map(move |nr| SeccompData { nr, arch: arch.token(), ..SeccompData::default() })
    });
    let steps: Vec<_> = calls.map(|call| program.run(&call).steps).collect();
    let mean = steps.iter().sum::<usize>() / steps.len();
    let insns = program.program().len();
    println!("  {what:18} {time:>12.1?}  {insns:5} instructions  {mean:4} steps a call");
}
