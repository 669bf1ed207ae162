//! containerd is away; and signals.

use std::fs;

use orlop_protobuf::Message as _;
use orlop_tests::command::patience;
use orlop_tests::shim::messages::{Create, Deleted, Pid};
use orlop_tests::{Container, ProcessHandle, shim};
use rustix::process::Signal;

use crate::stage::Stage;

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
        assert_eq!(deleted, Deleted { pid, exit_status: 137 });
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
