//! The benchmark compares like with like.
use std::path::Path;

use orlop_tests::{Invocation, need, runtime};

#[test]
fn a_container_cannot_tell_whether_the_floor_or_orlop_has_made_it() {
    need!(need::root(), "containers are made");
    need!(runtime::is_orlop(), "the floor does what orlop does");
    need!(!need::in_vm(), "the figures are those of this machine, not of the emulated one");
    for program in ["python3", "gcc", "busybox", "unshare"] {
        need!(need::program(program), "no {program} here");
    }
    let home = tempfile::tempdir().expect("a temporary directory");
    let script = runtime::workspace().join("hack/bench");
    let bench = Invocation::new(Path::new("python3"), home.path()).arg(script);
    let out = bench.args(["--check", "--with", "orlop"]).env("ORLOP", runtime::binary()).output().ok();
    assert!(out.stdout.contains("alike"), "{}", out.stdout);
}
