//! Every target with what it begins with, and with a fixed number of changes of that. `make fuzz` goes on from there.
//!
//! `ORLOP_SEED` is the seed, `ORLOP_FUZZ_INPUT` a file to try alone, which is how a finding is seen again.
#![allow(missing_docs)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use orlop_fuzz::change::{Chance, changed};
use orlop_fuzz::{Target, corpus, targets};

fn run(name: &str) {
    let target = targets::named(name).expect("the name of a target");
    if let Some(file) = std::env::var_os("ORLOP_FUZZ_INPUT") {
        return (target.run)(&std::fs::read(file).expect("ORLOP_FUZZ_INPUT names a file"));
    }
    let seed = std::env::var("ORLOP_SEED").map_or(1, |text| text.parse().expect("ORLOP_SEED is a number"));
    let beginnings = corpus::of(target);
    assert!(!beginnings.is_empty(), "there is nothing to begin with");
    for (from, bytes) in &beginnings {
        attempt(target, bytes, from);
    }
    let mut chance = Chance(seed);
    for number in 0..target.tries {
        let bytes = changed(&beginnings, target.words, &mut chance);
        attempt(target, &bytes, &format!("change {number} of seed {seed}"));
    }
}

/// Tries bytes; those that break something are kept in a file.
fn attempt(target: &Target, bytes: &[u8], from: &str) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))).is_ok() {
        return;
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = directory.join(format!("fuzz-{}", target.name));
    std::fs::write(&file, bytes).expect("cargo's own directory");
    let file = file.display();
    panic!("{from} broke {0}; again: hack/fuzz -r {file} {0}", target.name);
}

macro_rules! bounded {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*

        #[test]
        fn every_target_has_its_test() {
            let names = [$(stringify!($name)),*];
            assert!(targets::TARGETS.iter().map(|target| target.name).eq(names));
        }
    };
}

bounded!(config process resources program init seccomp bpf protobuf ttrpc request dbus property passwd state);
