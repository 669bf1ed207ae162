//! The shim: who may talk to it, what it opens, and what it keeps.
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;

use orlop_protobuf::Message;
use orlop_tests::shim::messages::{Any, Create, Empty, Ended, Exec, Kill, Pid, Which};
use orlop_tests::shim::{Client, Shim};
use orlop_tests::{Container, Fifo};
use serde_json::json;

use crate::stage::{Attack, Victim};

const NONE: &str = "it has no shim of its own";

/// A container, its shim, and a connection; dropped in this order.
struct Scene {
    client: Client,
    shim: Shim,
    container: Container,
}

impl Scene {
    fn of(container: Container) -> Self {
        let shim = Shim::start(&container);
        Self { client: shim.connect(), shim, container }
    }

    fn request(&self, stdout: &str) -> Create {
        Create {
            id: self.container.id.clone(),
            bundle: self.container.bundle.path().to_string_lossy().into_owned(),
            stdout: stdout.to_owned(),
            options: self.shim.options(),
            ..Create::default()
        }
    }

    fn which(&self, exec_id: &str) -> Which {
        Which { id: self.container.id.clone(), exec_id: exec_id.to_owned() }
    }

    fn up(&mut self) {
        let request = self.request("");
        self.call::<Pid>("Create", &request);
        self.start("");
    }

    fn start(&mut self, exec_id: &str) {
        let which = self.which(exec_id);
        self.call::<Pid>("Start", &which);
    }

    fn wait(&mut self, exec_id: &str) -> u32 {
        let which = self.which(exec_id);
        self.call::<Ended>("Wait", &which).exit_status
    }

    #[track_caller]
    fn call<R: Message>(&mut self, method: &str, request: &impl Message) -> R {
        self.client.call(method, request).unwrap_or_else(|status| panic!("{method}: {status:?}"))
    }

    /// Adds and starts a process with this description; what it writes goes to a file.
    fn exec(&mut self, exec_id: &str, process: &serde_json::Value, stdout: &str) {
        let type_url = "types.containerd.io/opencontainers/runtime-spec/1/Process".into();
        let spec = Some(Any { type_url, value: process.to_string().into_bytes() });
        let (id, exec_id) = (self.container.id.clone(), exec_id.to_owned());
        let exec = Exec { id, exec_id: exec_id.clone(), stdout: stdout.into(), spec, ..Exec::default() };
        self.call::<Empty>("Exec", &exec);
        self.start(&exec_id);
    }
}

#[test]
fn cve_2020_15257_nobody_else_talks_to_the_shim() {
    let attack = Attack::new(
        "CVE-2020-15257",
        "a process with the host's network, or another user, connects to the shim and has it start programs",
        "a socket with a path that only its user reaches (`shim/src/address.rs`); the peer's user is checked",
    );
    if !attack.applies_to_orlop(NONE) {
        return;
    }
    let scene = Scene::of(Attack::lasting());
    let unix = fs::read_to_string("/proc/net/unix").expect("procfs is mounted");
    let abstracts = unix.lines().filter(|line| line.contains(" @") && line.contains(&scene.container.id));
    attack.succeeds_if(abstracts.count() != 0, "it listens at an address that is no path");
    let mode = |path: &std::path::Path| fs::metadata(path).expect("it is there").mode() & 0o777;
    let directory = scene.shim.socket.parent().expect("it has one");
    let modes = (mode(&scene.shim.socket), mode(directory));
    attack.succeeds_if(
        modes.0 & 0o077 != 0 || modes.1 & 0o077 != 0,
        format!("modes {:o} and {:o}", modes.0, modes.1),
    );
    // With a way to it, as if both had been left open.
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).expect("it is ours");
    fs::set_permissions(&scene.shim.socket, fs::Permissions::from_mode(0o666)).expect("it is ours");
    let ask = format!(
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect({:?}); s.sendall(b'\\0\\0\\0\\1\\0\\0\\0\\1\\1\\0x'); print(len(s.recv(99)))",
        scene.shim.socket
    );
    let answered = |user: &str| {
        let user = [format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".into()];
        let out = Command::new("setpriv").args(user).args(["python3", "-c", &ask]).output();
        let out = out.expect("setpriv is there");
        (String::from_utf8_lossy(&out.stdout).trim().parse::<u32>().unwrap_or(0) > 0, out)
    };
    let (root, out) = answered("0");
    assert!(root, "its own user is answered: {out:?}");
    let (other, out) = answered("64321");
    attack.succeeds_if(other, format!("another user is answered: {out:?}"));
}

#[test]
fn cve_2021_41103_directories_are_not_open_to_others() {
    let attack = Attack::new(
        "CVE-2021-41103, CVE-2024-25621",
        "other users of the machine go through directories that belong to a container",
        "state directories are made with mode 0700 (`runtime/src/store.rs`)",
    );
    let container = Attack::lasting();
    // The kit's own is there already, as `/run/orlop` is not.
    let root = container.state_root();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).expect("it is ours");
    container.up();
    let mode = fs::metadata(root.join(&container.id)).expect("it has a state").mode() & 0o777;
    attack.succeeds_if(mode & 0o022 != 0, format!("the state has mode {mode:o}"));
    let file = fs::read_dir(root.join(&container.id)).expect("a directory").flatten();
    let open: Vec<_> = file
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .filter(|entry| mode & 0o011 != 0 && entry.metadata().is_ok_and(|found| found.mode() & 0o044 != 0))
        .map(|entry| entry.file_name())
        .collect();
    attack.succeeds_if(!open.is_empty(), format!("{open:?} can be read, in a directory of mode {mode:o}"));
}

#[test]
fn cve_2021_21334_a_process_has_nothing_of_another_ones() {
    let attack = Attack::new(
        "CVE-2021-21334",
        "a process looks for variables of another one's that was added before it",
        "each process has its own description (`shim/src/task.rs`)",
    );
    if !attack.applies_to_orlop(NONE) {
        return;
    }
    let mut scene = Scene::of(Attack::lasting());
    scene.up();
    let log = scene.container.home().join("log");
    let address = format!("file://{}", log.display());
    for (number, env) in [json!(["PATH=/bin", "SECRET=one"]), json!(["PATH=/bin"])].iter().enumerate() {
        let process = json!({"args": ["env"], "cwd": "/", "user": {"uid": 0, "gid": 0}, "env": env});
        let name = format!("x{number}");
        scene.exec(&name, &process, &address);
        scene.wait(&name);
        let which = scene.which(&name);
        scene.call::<Empty>("Delete", &which);
        let text = fs::read_to_string(&log).expect("it is there");
        attack.succeeds_if(number == 1 && text.contains("SECRET"), &text);
        fs::write(&log, "").expect("it is ours");
    }
}

#[test]
fn cve_2022_31030_output_that_nobody_reads_fills_no_memory() {
    let attack = Attack::new(
        "CVE-2022-31030, CVE-2022-23471",
        "a process writes without end and its reader sleeps: the shim keeps it all",
        "at most one piece is kept, then nothing more is read (`shim/src/stdio.rs`)",
    );
    if !attack.applies_to_orlop(NONE) {
        return;
    }
    let mut scene = Scene::of(Attack::lasting());
    scene.up();
    let mut out = Fifo::make(&scene.container.home().join("out"));
    let process = json!({"args": ["yes"], "cwd": "/", "user": {"uid": 0, "gid": 0}, "env": ["PATH=/bin"]});
    let path = out.path().to_string_lossy().into_owned();
    scene.exec("x", &process, &path);
    // It has begun; then nobody reads any more while others are served.
    assert_eq!(out.line(), "y");
    for _ in 0..100 {
        let which = scene.which("x");
        scene.call::<Empty>("State", &which);
    }
    let status = fs::read_to_string(format!("/proc/{}/status", scene.shim.process.pid())).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it is there");
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    attack.succeeds_if(kilobytes > 32 << 10, peak);
    attack.held(format!("{kilobytes} kB at most"));
    let kill = Kill { id: scene.container.id.clone(), exec_id: "x".into(), signal: 9, all: false };
    scene.call::<Empty>("Kill", &kill);
    scene.wait("x");
}

#[test]
fn cve_2026_53488_a_program_for_the_log_is_one_that_only_root_can_change() {
    let attack = Attack::new(
        "CVE-2026-53488",
        "an address for the log, `binary://`, names a program that others can write to, or an address in the config does",
        "addresses are the caller's only, and the program has to be root's own (`shim/src/stdio/logger.rs`)",
    );
    if !attack.applies_to_orlop(NONE) {
        return;
    }
    for (mode, owner, parent) in [(0o777, 0, 0o755), (0o775, 0, 0o755), (0o755, 1000, 0o755)] {
        let mut container = Attack::lasting();
        let victim = Victim::of(&container);
        let program = container.home().join("logger/program");
        fs::create_dir(program.parent().expect("it has one")).expect("a new directory");
        fs::write(&program, format!("#!/bin/sh\ntouch {}/made\n", victim.text())).expect("a new file");
        fs::set_permissions(&program, fs::Permissions::from_mode(mode)).expect("it is ours");
        std::os::unix::fs::chown(&program, Some(owner), None).expect("root may");
        fs::set_permissions(program.parent().expect("it has one"), fs::Permissions::from_mode(parent))
            .expect("ours");
        let address = format!("binary://{}", program.display());
        // Nothing in the config is an address.
        container.bundle.config["annotations"]["containerd.io/restart.loguri"] = json!(address);
        let mut scene = Scene::of(container);
        let request = scene.request(&address);
        let refused = scene.client.call::<Pid>("Create", &request).is_err();
        if !refused {
            scene.start("");
        }
        attack.succeeds_if(!refused || !victim.harm().is_empty(), format!("mode {mode:o}, owner {owner}"));
    }
}

#[test]
fn cve_2026_53489_a_link_in_the_place_of_a_log() {
    let attack = Attack::new(
        "CVE-2026-53489",
        "the file for the log is a link to a file of the host's, to which the output is appended",
        "`O_NOFOLLOW`, and files only (`shim/src/stdio/place.rs`)",
    );
    if !attack.applies_to_orlop(NONE) {
        return;
    }
    let mut scene = Scene::of(Attack::sh("echo overwritten"));
    let victim = Victim::of(&scene.container);
    let link = scene.container.home().join("link");
    symlink(victim.path.join("ptmx"), &link).expect("a new link");
    for address in [format!("file://{}", link.display()), link.display().to_string()] {
        let request = scene.request(&address);
        let refused = scene.client.call::<Pid>("Create", &request).is_err();
        if !refused {
            scene.start("");
            scene.wait("");
        }
        attack.succeeds_if(!refused || !victim.harm().is_empty(), format!("{address}: {:?}", victim.harm()));
    }
}
