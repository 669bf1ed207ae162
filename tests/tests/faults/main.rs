//! Faults at the system calls of every command, of the host side and of init: whatever goes wrong, `delete --force` takes
//! away what is left, and nobody waits for ever. `make faults` strikes at every call; here it is a sample, always the same.
#![cfg(target_arch = "x86_64")]

mod others;
mod pod;
mod shim;

use std::ffi::OsString;

use orlop_tests::campaign::{Campaign, Extent, while_saved};
use orlop_tests::fault::{Fault, Point, Traced};
use orlop_tests::{Container, command, criu, need, need_criu, runtime};

fn words(container: &Container, words: &[&str]) -> Vec<OsString> {
    words
        .iter()
        .map(|word| if *word == "ID" { container.id.clone() } else { (*word).to_owned() }.into())
        .collect()
}

/// `create` or `run --detach`.
fn making(command: &[&str]) {
    let container = Container::lasting();
    container.bundle.save();
    let mut all = words(&container, command);
    all.extend(["--bundle".into(), container.bundle.path().into()]);
    all.extend(["--pid-file".into(), container.pid_file().into(), container.id.clone().into()]);
    let campaign =
        Campaign { name: command[0], container: &container, set_up: &|_| (), command: all, with_init: false };
    campaign.run(Extent::of_environment(25));
}

fn changing(command: &[&str], set_up: &dyn Fn(&Container), with_init: bool) {
    let container = Container::lasting();
    let command = words(&container, command);
    let name = command[0].to_string_lossy().into_owned();
    let campaign = Campaign { name: &name, container: &container, set_up, command, with_init };
    campaign.run(Extent::of_environment(15));
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
    let step = if need::in_vm() { 12 } else { 3 };
    for call in (0..clean.calls[0].len()).step_by(step) {
        let trace = traced.run(Some((Point { process: 0, call }, Fault::Kill)), &mut || ());
        struck += usize::from(trace.reached && rival.state_root().join(&rival.id).exists());
        for command in [&["kill", "--all", "ID", "KILL"][..], &["delete", "--force", "ID"]] {
            rival.runtime().args(words(&rival, command)).output();
        }
        rival.assert_no_leaks();
        assert_eq!(owner.status(), "running", "after a rival was killed at its call {call}");
    }
    assert!(struck > 30 / step, "a state was there {struck} times only");
}

#[test]
fn create() {
    making(&["create"]);
}

#[test]
fn run() {
    making(&["run", "--detach"]);
}

#[test]
fn start() {
    changing(&["start", "ID"], &|container| drop(container.create()), true);
}

#[test]
fn exec() {
    changing(&["exec", "ID", "true"], &|container| drop(container.up()), false);
}

#[test]
fn pause() {
    changing(&["pause", "ID"], &|container| drop(container.up()), false);
}

#[test]
fn resume() {
    let paused = |container: &Container| {
        container.up();
        container.command::<&str>("pause", &[]).ok();
    };
    changing(&["resume", "ID"], &paused, false);
}

#[test]
fn update() {
    changing(&["update", "--pids-limit", "100", "ID"], &|container| drop(container.up()), false);
}

#[test]
fn kill() {
    changing(&["kill", "ID", "KILL"], &|container| drop(container.up()), false);
}

#[test]
fn delete() {
    changing(&["delete", "--force", "ID"], &|container| drop(container.up()), false);
}

fn checkpoint_command(container: &Container) -> Vec<OsString> {
    let mut command = words(container, &["checkpoint", "--image-path"]);
    command.extend([criu::images(container).into(), "--work-path".into(), criu::work(container).into()]);
    command.push(container.id.clone().into());
    command
}

/// CRIU is struck as well.
#[test]
fn checkpoint() {
    need_criu!();
    need!(!need::in_vm(), "CRIU, traced, takes too long in the test VM");
    let container = Container::lasting();
    let images = criu::images(&container);
    let set_up = |container: &Container| {
        std::fs::remove_dir_all(&images).ok();
        container.up();
    };
    let command = checkpoint_command(&container);
    let campaign =
        Campaign { name: "checkpoint", container: &container, set_up: &set_up, command, with_init: false };
    campaign.run(Extent::of_slow(12));
}

/// CRIU would wait for ever for what is dead, and what is dead for CRIU, which traces it.
#[test]
fn what_is_killed_while_it_is_saved_ends() {
    need_criu!();
    need!(!need::in_vm(), "CRIU, traced, takes too long in the test VM");
    need!(runtime::is_orlop(), "other runtimes may wait");
    let container = Container::lasting();
    let traced = Traced::new(&container, &checkpoint_command(&container));
    let struck = |fault, meanwhile: &mut dyn FnMut()| {
        std::fs::remove_dir_all(criu::images(&container)).ok();
        container.up();
        let trace = traced.run(fault, meanwhile);
        assert!(!trace.hung, "after {fault:?}: {}", trace.stderr);
        assert!(container.forget_within(command::patience()), "after {fault:?}");
        container.command("delete", &["--force"]).ok();
        trace
    };
    let clean = struck(None, &mut || ());
    for point in while_saved(&clean) {
        struck(Some((point, Fault::StallAndGoOn)), &mut || container.kill("KILL"));
    }
    container.assert_no_leaks();
}

/// Starts a container that was created, and makes images of it, which ends it.
fn save(container: &Container) {
    container.adopt();
    container.start();
    criu::checkpoint(container, &[]).ok();
    container.forget();
}

/// CRIU is struck as well.
#[test]
fn restore() {
    need_criu!();
    let container = Container::lasting();
    container.bundle.save();
    // Made with the streams that it will be restored with.
    let mut create = words(&container, &["create", "--bundle"]);
    create.extend([container.bundle.path().into(), "--pid-file".into(), container.pid_file().into()]);
    create.push(container.id.clone().into());
    let made = Traced::new(&container, &create).run(None, &mut || ());
    assert_eq!(made.code, 0, "{}", made.stderr);
    save(&container);
    let mut command = words(&container, &["restore", "--detach", "--image-path"]);
    command.extend([criu::images(&container).into(), "--work-path".into(), criu::work(&container).into()]);
    command.extend(["--bundle".into(), container.bundle.path().into(), container.id.clone().into()]);
    let campaign =
        Campaign { name: "restore", container: &container, set_up: &|_| (), command, with_init: false };
    campaign.run(Extent::of_slow(12));
}
