//! Faults at the system calls of the shim, and of what it starts, while it answers calls of its Task service.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use orlop_tests::campaign::{Extent, ShimCampaign};
use orlop_tests::shim::messages::{
    Any, Checkpoint, CloseIo, Create, Empty, Exec, Kill, Resize, Update, Which,
};
use orlop_tests::shim::{Client, options_of};
use orlop_tests::{Container, Fifo, criu, need, need_criu, runtime};
use serde_json::json;

type Calls = fn(&mut Client, &Create) -> bool;

const SAMPLE: fn(&ShimCampaign<'_>) = |campaign| campaign.run(Extent::of_slow(12));

/// The shim while it answers these calls, about a container that it has brought so far before.
fn shim(name: &str, before: &[&str], calls: Calls) {
    shim_of(name, &Container::lasting(), before, (calls, |_| {}), SAMPLE);
}

/// The same, about a container of some kind, with a change to what is asked of Create.
fn shim_of(
    name: &str,
    container: &Container,
    before: &[&str],
    (calls, change): (Calls, fn(&mut Create)),
    run: fn(&ShimCampaign<'_>),
) {
    need!(runtime::is_orlop(), "the shim is ours");
    let mut request = Create {
        id: container.id.clone(),
        bundle: container.bundle.path().to_string_lossy().into_owned(),
        options: Some(options_of(container)),
        ..Create::default()
    };
    change(&mut request);
    let set_up = |client: &mut Client| {
        for method in before {
            assert!(call(client, method, &request), "{method}");
        }
    };
    let calls = |client: &mut Client| calls(client, &request);
    run(&ShimCampaign { name, container, set_up: &set_up, calls: &calls, pod: false });
}

/// A file beside the bundle.
fn beside(request: &Create, name: &str) -> PathBuf {
    Path::new(&request.bundle).with_file_name(name)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// One call about the container; whether it succeeds.
fn call(client: &mut Client, method: &str, request: &Create) -> bool {
    let (id, which) = (request.id.clone(), Which { id: request.id.clone(), ..Which::default() });
    let answer = match method {
        "Create" => client.try_call::<Empty>(method, request),
        "Kill" => client.try_call(method, &Kill { id, signal: 9, ..Kill::default() }),
        "ResizePty" => client.try_call(method, &Resize { id, width: 80, height: 25, ..Resize::default() }),
        "CloseIO" => client.try_call(method, &CloseIo { id, stdin: true, ..CloseIo::default() }),
        "Update" => {
            let limits = r#"{"pids":{"limit":77},"memory":{"limit":67108864}}"#;
            let resources = Some(Any { type_url: "LinuxResources".into(), value: limits.into() });
            client.try_call(method, &Update { id, resources })
        }
        "Checkpoint" => {
            let path = beside(request, "images");
            fs::remove_dir_all(&path).ok();
            client.try_call(method, &Checkpoint { id, path: text(&path), ..Checkpoint::default() })
        }
        _ => client.try_call(method, &which),
    };
    answer.is_some_and(|answer| answer.is_ok())
}

fn all(client: &mut Client, methods: &[&str], request: &Create) -> bool {
    methods.iter().all(|method| call(client, method, request))
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
fn shim_pause() {
    shim("shim pause", &["Create", "Start"], |client, request| call(client, "Pause", request));
}

#[test]
fn shim_resume() {
    shim("shim resume", &["Create", "Start", "Pause"], |client, request| call(client, "Resume", request));
}

#[test]
fn shim_update() {
    shim("shim update", &["Create", "Start"], |client, request| call(client, "Update", request));
}

/// What asks and tells, about a container with a terminal.
#[test]
fn shim_looks() {
    let mut container = Container::lasting();
    container.set("/process/terminal", true);
    let _streams = ["in", "out"].map(|name| Fifo::make(&container.home().join(name)));
    let calls: Calls = |client, request| {
        all(client, &["State", "Pids", "Stats", "ResizePty", "CloseIO", "Connect"], request)
    };
    shim_of(
        "shim looks",
        &container,
        &["Create", "Start"],
        (calls, |request| {
            request.terminal = true;
            request.stdin = text(&beside(request, "in"));
            request.stdout = text(&beside(request, "out"));
        }),
        SAMPLE,
    );
}

/// CRIU is struck as well.
#[test]
fn shim_checkpoint() {
    need_criu!();
    need!(!need::in_vm(), "CRIU, traced, takes too long in the test VM");
    shim("shim checkpoint", &["Create", "Start"], |client, request| call(client, "Checkpoint", request));
}

/// Create from a checkpoint, and Start, which restores it.
#[test]
fn shim_restore() {
    need_criu!();
    let container = Container::lasting();
    // Made with the streams that it will be restored with.
    let pid_file = text(&container.pid_file());
    let create = container.with_bundle("create", &["--pid-file", &pid_file]);
    create.stdout(Stdio::null()).stderr(Stdio::null()).ok();
    crate::save(&container);
    assert!(criu::images(&container).ends_with("images"));
    let calls: Calls = |client, request| all(client, &["Create", "Start"], request);
    let from = |request: &mut Create| request.checkpoint = text(&beside(request, "images"));
    shim_of("shim restore", &container, &[], (calls, from), SAMPLE);
}

/// As [`crate::what_is_killed_while_it_is_saved_ends`].
#[test]
fn what_is_killed_while_the_shim_saves_it_ends() {
    need_criu!();
    need!(!need::in_vm(), "CRIU, traced, takes too long in the test VM");
    let calls: Calls = |client, request| call(client, "Checkpoint", request);
    let kill: fn(&ShimCampaign<'_>) = |campaign| campaign.kill_while_saved();
    shim_of("shim killed", &Container::lasting(), &["Create", "Start"], (calls, |_| {}), kill);
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
        all(client, &["Kill", "Wait", "Delete"], request)
    });
}
