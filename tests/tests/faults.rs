//! Faults at the system calls of every command, of the host side and of init: whatever goes wrong, `delete --force` takes
//! away what is left, and nobody waits for ever. `make faults` strikes at every call; here it is a sample, always the same.
use std::ffi::OsString;

use orlop_tests::Container;
use orlop_tests::fault::{Fault, Point, Traced};

fn words(container: &Container, words: &[&str]) -> Vec<OsString> {
    words
        .iter()
        .map(|word| if *word == "ID" { container.id.clone() } else { (*word).to_owned() }.into())
        .collect()
}

/// The cgroup that a container asks for is another's: its `create` fails, or is killed before it finds that out.
#[test]
fn a_container_that_was_never_made_does_not_take_anothers_processes_with_it() {
    let (mut owner, mut rival) = (Container::lasting(), Container::lasting());
    rival.set("/linux/cgroupsPath", format!("/{}", owner.id));
    rival.bundle.save();
    owner.set("/linux/cgroupsPath", format!("/{}", owner.id));
    owner.up();
    let mut all = words(&rival, &["create", "--bundle"]);
    all.extend([rival.bundle.path().into(), rival.id.clone().into()]);
    let traced = Traced::new(&rival, &all);
    let clean = traced.run(None, &mut || ());
    assert!(clean.code == 1 && clean.stderr.contains("not empty"), "{}", clean.stderr);
    let mut struck = 0;
    for call in (0..clean.calls[0].len()).step_by(3) {
        let trace = traced.run(Some((Point { process: 0, call }, Fault::Kill)), &mut || ());
        struck += usize::from(trace.reached && rival.state_root().join(&rival.id).exists());
        for command in [&["kill", "--all", "ID", "KILL"][..], &["delete", "--force", "ID"]] {
            rival.runtime().args(words(&rival, command)).output();
        }
        rival.assert_no_leaks();
        assert_eq!(owner.status(), "running", "after a rival was killed at its call {call}");
    }
    assert!(struck > 10, "a state was there {struck} times only");
}
