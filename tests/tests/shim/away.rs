//! containerd is away; and signals.

use std::fs;

use orlop_protobuf::Message as _;
use orlop_tests::command::patience;
use orlop_tests::shim::messages::{Create, Deleted, Empty, Ended, Kill, Pid, Pids, State};
use orlop_tests::{Container, Fifo, ProcessHandle, shim};
use rustix::process::Signal;
use serde_json::json;

use crate::stage::{NOT_FOUND, PRECONDITION, Stage};

#[test]
fn events_wait_for_a_containerd_that_is_away() {
    let mut stage = Stage::new(Container::sh("exit 0"));
    let (here, away) = (stage.path("events"), stage.path("away"));
    fs::rename(&here, &away).unwrap();
    stage.create();
    stage.start();
    let first = stage.which();
    assert_eq!(stage.wait(&first), 0);
    fs::rename(&away, &here).unwrap();
    stage.delete(&first);
    assert_eq!(stage.topics("/tasks/delete"), ["create", "start", "exit", "delete"]);
}

#[test]
fn a_signal_ends_the_shim_and_no_container() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut stage = Stage::new(Container::lasting());
        let pid = stage.create();
        stage.start();
        let init = ProcessHandle::open(pid as i32).unwrap();
        for harmless in [Signal::HUP, Signal::USR2, Signal::PIPE] {
            stage.shim.process.signal(harmless).unwrap();
        }
        let first = stage.which();
        assert_eq!(stage.status(&first), 2, "running");
        stage.shim.process.signal(signal).unwrap();
        assert_eq!(stage.shim.process.reap(), Some(0), "an end in good order");
        assert!(!stage.shim.socket.exists());
        assert!(!init.ended());
        assert_eq!(stage.topics("/tasks/start"), ["create", "start"]);
        // What containerd does then.
        let (id, bundle) = (stage.container.id.clone(), stage.container.bundle.path().to_owned());
        let arguments = ["-namespace", "state", "-id", &id, "-bundle", &bundle.to_string_lossy(), "delete"];
        let deleted = Deleted::decode(&shim::bytes(&arguments, &[], &bundle)).unwrap();
        assert_eq!((deleted.pid, deleted.exit_status), (pid, 137));
        assert!(init.wait(patience()));
    }
}

#[test]
fn a_shim_ends_that_holds_nothing_for_nobody() {
    let mut stage = Stage::new(Container::lasting());
    stage.create();
    let first = stage.which();
    drop(stage.shim.connect());
    assert_eq!(stage.delete(&first), 137);
    // The last connection goes, and no containerd comes back.
    stage.client = stage.shim.connect();
    stage.client.close();
    assert_eq!(stage.shim.process.reap(), Some(0), "an end in good order");
    assert!(!stage.shim.socket.exists());
}

/// A shim that has no container ends, though somebody is connected.
fn ends_unused(mut stage: Stage) {
    let first = stage.which();
    assert_eq!(stage.refused("Pids", &first), NOT_FOUND);
    assert_eq!(stage.shim.process.reap(), Some(0), "an end in good order");
    assert!(!stage.shim.socket.exists());
}

#[test]
fn a_shim_ends_for_which_a_new_containerd_has_no_use() {
    // So does containerd 1.6 that was killed before it made the container.
    ends_unused(Stage::new(Container::lasting()));
}

#[test]
fn a_shim_ends_whose_last_container_was_deleted_before_its_containerd_died() {
    let mut stage = Stage::new(Container::lasting());
    stage.create();
    let first = stage.which();
    stage.delete(&first);
    ends_unused(stage);
}

#[test]
fn a_shim_ends_whose_container_a_new_containerd_has_taken_away() {
    let mut stage = Stage::new(Container::lasting());
    stage.create();
    stage.start();
    stage.client.close();
    // A containerd that finds a bundle, but not what the shim has answered, calls `delete` and removes the bundle.
    let (id, bundle) = (stage.container.id.clone(), stage.container.bundle.path().to_owned());
    let arguments = ["-namespace", "state", "-id", &id, "-bundle", &bundle.to_string_lossy(), "delete"];
    shim::bytes(&arguments, &[], &bundle);
    assert!(!stage.shim.process.ended(), "there is a bundle still");
    let away = stage.path("away");
    fs::rename(&bundle, &away).unwrap();
    assert_eq!(stage.shim.process.reap(), Some(0), "an end in good order");
    assert!(!stage.shim.socket.exists());
    fs::rename(away, bundle).unwrap();
}

#[test]
fn a_signal_has_the_shim_say_what_it_waits_for() {
    let (mut stage, mut log) = Stage::logged(Container::lasting());
    let _stdout = stage.fifo("out");
    let request = Create { stdout: stage.text("out"), ..stage.request() };
    let pid = stage.client.call::<Pid>("Create", &request).unwrap().pid;
    stage.start();
    let mut waiting = stage.shim.connect();
    let first = stage.which();
    waiting.send("Wait", &first);
    // An answer to a later call shows that the earlier one was read; they come by two connections.
    while {
        stage.shim.process.signal(Signal::USR1).unwrap();
        let lines: Vec<_> =
            std::iter::from_fn(|| Some(log.line())).take_while(|l| !l.contains("that is all")).collect();
        let text = lines.join("\n");
        let process = format!("container {}: running, pid {pid}", stage.container.id);
        assert!(text.contains(&process), "{text}");
        assert!(text.contains("waits for something to read"), "{text}");
        assert!(text.contains("jobs: 0 under way"), "{text}");
        !text.contains("1 wait for its end")
    } {}
    stage.kill(9);
    stage.wait(&first);
    stage.delete(&first);
}

/// A stage whose container has a hook that waits for a line.
fn gated(hook: &str) -> (Stage, Fifo) {
    let mut container = Container::lasting();
    let gate = Fifo::make(&container.home().join("gate"));
    let script = format!("read line <{}", gate.path().display());
    container.push(&format!("/hooks/{hook}"), json!({ "path": "/bin/sh", "args": ["sh", "-c", script] }));
    (Stage::new(container), gate)
}

/// Create is called, and containerd dies; a new one connects.
fn dies_in_create(stage: &mut Stage) {
    let (request, first) = (stage.request(), stage.which());
    stage.client.send("Create", &request);
    stage.client.send("State", &first);
    let state: State = stage.client.answer_to(3).expect("it is known");
    assert_eq!(state.status, 0, "nobody can say yet");
    stage.client.close();
    stage.client = stage.shim.connect();
}

/// A call is waiting: one that came later by the same connection was answered. The number of the first is 1.
fn is_waiting(stage: &mut Stage) {
    let first = stage.which();
    stage.client.send("State", &first);
    stage.client.answer_to::<State>(3).expect("the second call is answered before the first");
}

#[test]
fn a_new_containerd_hears_of_a_container_that_is_being_made() {
    let (mut stage, mut gate) = gated("createRuntime");
    dies_in_create(&mut stage);
    let first = stage.which();
    stage.client.send("Pids", &first);
    is_waiting(&mut stage);
    gate.tell("go on");
    let pids: Pids = stage.client.answer_to(1).expect("it has processes");
    assert_eq!(pids.processes.len(), 1, "containerd forgets a shim without any");
    stage.client = stage.shim.connect();
    stage.start();
    stage.kill(9);
    assert_eq!(stage.wait(&first), 137);
    stage.delete(&first);
}

#[test]
fn what_is_being_made_can_be_deleted_and_killed() {
    for kill in [false, true] {
        let (mut stage, mut gate) = gated("createRuntime");
        dies_in_create(&mut stage);
        let first = stage.which();
        if kill {
            let all = Kill { id: first.id.clone(), signal: 9, all: true, ..Kill::default() };
            stage.client.send("Wait", &first);
            stage.client.send("Kill", &all);
            stage.client.answer_to::<Empty>(3).expect("it will be killed");
            gate.tell("go on");
            assert_eq!(stage.client.answer_to::<Ended>(1).unwrap().exit_status, 137);
            stage.client = stage.shim.connect();
            assert_eq!(stage.delete(&first), 137);
        } else {
            stage.client.send("Delete", &first);
            is_waiting(&mut stage);
            gate.tell("go on");
            assert_eq!(stage.client.answer_to::<Deleted>(1).unwrap().exit_status, 137);
        }
    }
}

#[test]
fn a_new_containerd_may_delete_what_the_last_one_is_still_deleting() {
    let (mut stage, mut gate) = gated("poststop");
    stage.create();
    stage.start();
    let first = stage.which();
    stage.kill(9);
    stage.wait(&first);
    stage.client.send("Delete", &first);
    stage.client.close();
    stage.client = stage.shim.connect();
    stage.client.send("Delete", &first);
    is_waiting(&mut stage);
    gate.tell("go on");
    let refused = stage.client.answer_to::<Deleted>(1).expect_err("the first has done it");
    assert_eq!(refused.code, NOT_FOUND);
}

#[test]
fn not_everybody_can_wait_for_a_container() {
    const MOST: u32 = 64;
    let (mut stage, mut gate) = gated("createRuntime");
    dies_in_create(&mut stage);
    let first = stage.which();
    for _ in 0..=MOST {
        stage.client.send("Delete", &first);
    }
    let refused = stage.client.answer_to::<Deleted>(2 * MOST + 1).expect_err("there is no place");
    assert_eq!(refused.code, PRECONDITION);
    gate.tell("go on");
    let refused = (0..MOST).map(|_| stage.client.answer::<Deleted>());
    let codes: Vec<_> = refused.filter_map(|answer| answer.err().map(|status| status.code)).collect();
    assert_eq!(codes, [NOT_FOUND; MOST as usize - 1], "the first has deleted it");
}

#[test]
fn a_container_that_was_not_started_is_not_kept_for_nobody() {
    let mut stage = Stage::new(Container::lasting());
    let pid = stage.create();
    let init = ProcessHandle::open(pid as i32).unwrap();
    stage.client.close();
    // A containerd that knows no container of that name removes the bundle, and does no more.
    let (bundle, away) = (stage.container.bundle.path().to_owned(), stage.path("away"));
    fs::rename(&bundle, &away).unwrap();
    assert_eq!(stage.shim.process.reap(), Some(0), "an end in good order");
    assert!(init.ended());
    assert_eq!(stage.topics("/tasks/delete"), ["create", "exit", "delete"]);
    assert!(!stage.path("state").join(&stage.container.id).exists());
    fs::rename(away, bundle).unwrap();
}
