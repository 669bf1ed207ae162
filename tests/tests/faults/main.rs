//! Faults at the system calls of every command, of the host side and of init: whatever goes wrong, `delete --force` takes
//! away what is left, and nobody waits for ever. `make faults` strikes at every call; here it is a sample, always the same.
#![cfg(target_arch = "x86_64")]

use std::ffi::OsString;

use orlop_tests::campaign::{Campaign, Extent, ShimCampaign};
use orlop_tests::fault::{Fault, Point, Traced};
use orlop_tests::shim::messages::{Any, Create, Empty, Exec, Kill, Which};
use orlop_tests::shim::{Client, options_of};
use orlop_tests::{Container, criu, need, need_criu, runtime};
use serde_json::json;

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
    let campaign = Campaign {
        name: command[0],
        container: &container,
        set_up: &|_| (),
        command: all,
        with_init: false,
        alone: false,
    };
    campaign.run(Extent::of_environment(25));
}

fn changing(command: &[&str], set_up: &dyn Fn(&Container), with_init: bool) {
    let container = Container::lasting();
    let command = words(&container, command);
    let name = command[0].to_string_lossy().into_owned();
    let campaign = Campaign { name: &name, container: &container, set_up, command, with_init, alone: false };
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

/// CRIU is struck as well.
#[test]
fn checkpoint() {
    need_criu!();
    let container = Container::lasting();
    let images = criu::images(&container);
    let set_up = |container: &Container| {
        std::fs::remove_dir_all(&images).ok();
        container.up();
    };
    let mut command = words(&container, &["checkpoint", "--image-path"]);
    command.extend([images.clone().into(), "--work-path".into(), criu::work(&container).into()]);
    command.push(container.id.clone().into());
    let campaign = Campaign {
        name: "checkpoint",
        container: &container,
        set_up: &set_up,
        command,
        with_init: false,
        alone: false,
    };
    campaign.run(Extent::of_environment(12));
}

/// Only the host side is struck: CRIU traces what it makes, and so would we.
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
    container.adopt();
    container.start();
    criu::checkpoint(&container, &[]).ok();
    container.forget();
    let mut command = words(&container, &["restore", "--detach", "--image-path"]);
    command.extend([criu::images(&container).into(), "--work-path".into(), criu::work(&container).into()]);
    command.extend(["--bundle".into(), container.bundle.path().into(), container.id.clone().into()]);
    let campaign = Campaign {
        name: "restore",
        container: &container,
        set_up: &|_| (),
        command,
        with_init: false,
        alone: true,
    };
    campaign.run(Extent::of_slow(12));
}

/// The shim while it answers these calls, about a container that it has brought so far before.
fn shim(name: &str, before: &[&str], calls: fn(&mut Client, &Create) -> bool) {
    need!(runtime::is_orlop(), "the shim is ours");
    let container = Container::lasting();
    let request = Create {
        id: container.id.clone(),
        bundle: container.bundle.path().to_string_lossy().into_owned(),
        options: Some(options_of(&container)),
        ..Create::default()
    };
    let set_up = |client: &mut Client| {
        for method in before {
            assert!(call(client, method, &request), "{method}");
        }
    };
    let calls = |client: &mut Client| calls(client, &request);
    let campaign = ShimCampaign { name, container: &container, set_up: &set_up, calls: &calls };
    campaign.run(Extent::of_slow(12));
}

/// One call about the container; whether it succeeds.
fn call(client: &mut Client, method: &str, request: &Create) -> bool {
    let (id, which) = (request.id.clone(), Which { id: request.id.clone(), ..Which::default() });
    let answer = match method {
        "Create" => client.try_call::<Empty>(method, request),
        "Kill" => client.try_call(method, &Kill { id, signal: 9, ..Kill::default() }),
        _ => client.try_call(method, &which),
    };
    answer.is_some_and(|answer| answer.is_ok())
}

#[test]
fn shim_create() {
    shim("shim create", &[], |client, request| call(client, "Create", request));
}

#[test]
fn shim_start() {
    shim("shim start", &["Create"], |client, request| call(client, "Start", request));
}

#[test]
fn shim_exec() {
    shim("shim exec", &["Create", "Start"], |client, request| {
        let process =
            json!({ "args": ["true"], "cwd": "/", "user": { "uid": 0, "gid": 0 }, "env": ["PATH=/bin"] });
        let type_url = "types.containerd.io/opencontainers/runtime-spec/1/Process".into();
        let spec = Some(Any { type_url, value: process.to_string().into_bytes() });
        let (id, exec_id) = (request.id.clone(), "added".to_owned());
        let which = Which { id: id.clone(), exec_id: exec_id.clone() };
        let added = client.try_call::<Empty>("Exec", &Exec { id, exec_id, spec, ..Exec::default() });
        let mut calls = ["Start", "Wait", "Delete"].iter();
        added.is_some_and(|answer| answer.is_ok())
            && calls
                .all(|method| client.try_call::<Empty>(method, &which).is_some_and(|answer| answer.is_ok()))
    });
}

#[test]
fn shim_kill_and_delete() {
    shim("shim delete", &["Create", "Start"], |client, request| {
        ["Kill", "Wait", "Delete"].iter().all(|method| call(client, method, request))
    });
}
