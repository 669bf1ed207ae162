//! The shim, with containerd's side played by the test.
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use orlop_protobuf::Message as _;
use orlop_tests::shim::messages::{
    Any, BootstrapParams, CloseIo, Connected, Create, Deleted, Empty, Ended, Exec, Exit, Kill, Options, Pid,
    Pids, Resize, RuntimeInfo, State, Stats, Update, Which,
};
use orlop_tests::shim::{self, Client, Shim, call_start, frame};
use orlop_tests::{Container, Fifo, cgroup, need};
use serde_json::{Value, json};

const UNKNOWN: i32 = 2;
const INVALID: i32 = 3;
const NOT_FOUND: i32 = 5;
const EXISTS: i32 = 6;
const EXHAUSTED: i32 = 8;
const PRECONDITION: i32 = 9;
const UNIMPLEMENTED: i32 = 12;

/// A container, its shim, and a connection.
struct Stage {
    // Dropped in this order: the shim has to be gone before what it made is taken away.
    client: Client,
    shim: Shim,
    container: Container,
}

impl Stage {
    fn new(container: Container) -> Self {
        let shim = Shim::start(&container);
        Self { client: shim.connect(), shim, container }
    }

    fn which(&self) -> Which {
        Which { id: self.container.id.clone(), exec_id: String::new() }
    }

    fn added(&self, exec_id: &str) -> Which {
        Which { exec_id: exec_id.into(), ..self.which() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.container.home().join(name)
    }

    fn fifo(&self, name: &str) -> Fifo {
        Fifo::make(&self.path(name))
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    /// Create, without streams.
    fn request(&self) -> Create {
        Create {
            id: self.container.id.clone(),
            bundle: self.container.bundle.path().to_string_lossy().into_owned(),
            options: self.shim.options(),
            ..Create::default()
        }
    }

    fn create(&mut self) -> u32 {
        let request = self.request();
        self.client.call::<Pid>("Create", &request).expect("it is created").pid
    }

    fn start(&mut self) {
        let which = self.which();
        self.client.call::<Pid>("Start", &which).expect("it starts");
    }

    /// Exec and Start of a process without streams.
    fn exec(&mut self, exec_id: &str, args: &[&str]) {
        self.add(Exec { exec_id: exec_id.into(), ..Exec::default() }, args);
        let which = self.added(exec_id);
        self.client.call::<Pid>("Start", &which).expect("it starts");
    }

    fn add(&mut self, exec: Exec, args: &[&str]) {
        let spec = json!({ "args": args, "cwd": "/", "user": { "uid": 0, "gid": 0 }, "env": ["PATH=/bin"] });
        let type_url = "types.containerd.io/opencontainers/runtime-spec/1/Process".into();
        let spec = Some(Any { type_url, value: spec.to_string().into_bytes() });
        let exec = Exec { id: self.container.id.clone(), spec, ..exec };
        self.client.call::<Empty>("Exec", &exec).expect("it is added");
    }

    fn wait(&mut self, which: &Which) -> u32 {
        self.client.call::<Ended>("Wait", which).expect("it ends").exit_status
    }

    fn status(&mut self, which: &Which) -> i32 {
        self.client.call::<State>("State", which).expect("it has a state").status
    }

    fn delete(&mut self, which: &Which) -> u32 {
        self.client.call::<Deleted>("Delete", which).expect("it is deleted").exit_status
    }

    /// The code with which a call is refused.
    #[track_caller]
    fn refused(&mut self, method: &str, request: &impl orlop_protobuf::Message) -> i32 {
        self.client.call::<Empty>(method, request).expect_err("it is refused").code
    }

    fn kill(&mut self, signal: u32) {
        let kill = Kill { id: self.container.id.clone(), signal, ..Kill::default() };
        self.client.call::<Empty>("Kill", &kill).expect("it is killed");
    }

    /// The topics of the events until one.
    fn topics(&self, last: &str) -> Vec<String> {
        let heard = self.shim.events.until(last);
        heard.into_iter().map(|event| event.topic.trim_start_matches("/tasks/").to_owned()).collect()
    }
}

#[test]
fn a_container_lives_from_create_to_shutdown() {
    let mut stage = Stage::new(Container::lasting());
    let first = stage.which();
    let pid = stage.create();
    assert_eq!(stage.status(&first), 1, "created");
    let pids: Pids = stage.client.call("Pids", &first).unwrap();
    assert_eq!(pids.processes.first().map(|process| process.pid), Some(pid));
    stage.start();
    let who: Connected = stage.client.call("Connect", &first).unwrap();
    assert_eq!(who.task_pid, pid);

    stage.exec("x", &["sh", "-c", "exit 9"]);
    let added = stage.added("x");
    assert_eq!(stage.wait(&added), 9);
    assert_eq!(stage.status(&added), 3, "stopped");
    assert_eq!(stage.delete(&added), 9);
    assert_eq!(stage.refused("State", &added), NOT_FOUND);

    stage.client.call::<Empty>("Pause", &first).unwrap();
    assert_eq!(stage.status(&first), 4, "paused");
    stage.client.call::<Empty>("Resume", &first).unwrap();
    assert_eq!(stage.status(&first), 2, "running");
    let stats: Stats = stage.client.call("Stats", &first).unwrap();
    assert!(stats.stats.unwrap().type_url.starts_with("io.containerd.cgroups.v"));

    stage.kill(15);
    assert_eq!(stage.wait(&first), 0);
    assert_eq!(stage.wait(&first), 0, "long after the end too");
    assert_eq!(stage.delete(&first), 0);
    assert_eq!(stage.refused("State", &first), NOT_FOUND);
    let order =
        ["create", "start", "exec-added", "exec-started", "exit", "paused", "resumed", "exit", "delete"];
    assert_eq!(stage.topics("/tasks/delete"), order);
    stage.client.call::<Empty>("Shutdown", &first).unwrap();
    assert!(stage.shim.process.wait(orlop_tests::command::patience()), "it has ended");
    assert!(!stage.shim.socket.exists());
}

#[test]
fn the_older_service_is_the_same() {
    let mut stage = Stage::new(Container::sh("exit 3"));
    stage.client.service = "containerd.task.v2.Task";
    stage.create();
    stage.start();
    let first = stage.which();
    assert_eq!(stage.wait(&first), 3);
    assert_eq!(stage.delete(&first), 3);
}

#[test]
fn streams_go_through_fifos() {
    let mut stage = Stage::new(Container::sh("cat; echo bad >&2"));
    let (mut stdin, mut stdout, mut stderr) = (stage.fifo("in"), stage.fifo("out"), stage.fifo("err"));
    let (input, out, err) = (stage.text("in"), stage.text("out"), stage.text("err"));
    let request = Create { stdin: input, stdout: out, stderr: err, ..stage.request() };
    stage.client.call::<Pid>("Create", &request).unwrap();
    stage.start();
    stdin.tell("through");
    assert_eq!(stdout.line(), "through");
    // The kit's end of the FIFO ends with it, the shim's with this call.
    drop(stdin);
    let close = CloseIo { id: stage.container.id.clone(), stdin: true, ..CloseIo::default() };
    stage.client.call::<Empty>("CloseIO", &close).unwrap();
    assert_eq!(stderr.line(), "bad");
    let first = stage.which();
    assert_eq!(stage.wait(&first), 0);
    stage.delete(&first);
}

#[test]
fn streams_go_to_a_file() {
    let mut stage = Stage::new(Container::sh("echo out; echo err >&2"));
    let log = format!("file://{}", stage.text("new/log"));
    let request = Create { stdout: log.clone(), stderr: log, ..stage.request() };
    stage.client.call::<Pid>("Create", &request).unwrap();
    stage.start();
    let first = stage.which();
    stage.wait(&first);
    stage.delete(&first);
    let mut lines: Vec<_> =
        fs::read_to_string(stage.path("new/log")).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["err", "out"]);
}

/// A logging program that writes down its arguments, and the output with its words.
const LOGGER: &str = r#"#!/bin/sh
echo "$CONTAINER_NAMESPACE $*" >"$2"
exec 5>&-
sed 's/^/out /' <&3 >>"$2"
sed 's/^/err /' <&4 >>"$2"
echo end >>"$2"
"#;

#[test]
fn streams_go_to_a_program() {
    let mut stage = Stage::new(Container::sh("echo one; echo two >&2"));
    let (program, log) = (stage.path("logger"), stage.path("log"));
    fs::write(&program, LOGGER).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let address = format!("binary://{}?to={}", program.display(), log.display());
    let request = Create { stdout: address.clone(), stderr: address, ..stage.request() };
    stage.client.call::<Pid>("Create", &request).unwrap();
    stage.start();
    let first = stage.which();
    stage.wait(&first);
    stage.delete(&first);
    let text = orlop_tests::events::when_file(&log, |text| text.ends_with("end\n"));
    assert_eq!(text, format!("state to {}\nout one\nerr two\nend\n", log.display()));

    // One for one stream only.
    let half = Create { stderr: format!("binary://{}", program.display()), ..stage.request() };
    assert_eq!(stage.refused("Create", &half), INVALID);
    // One that never says that it is ready, though it has to, and one that others may write to.
    fs::write(&program, "#!/bin/sh\n").unwrap();
    let strict = Create { stdout: format!("binary-v2://{}", program.display()), ..stage.request() };
    assert_eq!(stage.refused("Create", &strict), UNKNOWN);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(stage.refused("Create", &strict), INVALID);
}

#[test]
fn many_processes_leave_nothing_in_the_shim() {
    let mut stage = Stage::new(Container::lasting());
    stage.create();
    stage.start();
    let descriptors =
        |stage: &Stage| fs::read_dir(format!("/proc/{}/fd", stage.shim.process.pid())).unwrap().count();
    let before = descriptors(&stage);
    let log = format!("file://{}", stage.text("log"));
    for number in 0..50 {
        let exec_id = format!("x{number}");
        let exec = Exec { exec_id: exec_id.clone(), stdout: log.clone(), ..Exec::default() };
        stage.add(exec, &["sh", "-c", &format!("echo {number}; exit {number}")]);
        let added = stage.added(&exec_id);
        stage.client.call::<Pid>("Start", &added).unwrap();
        assert_eq!(stage.wait(&added), number);
        assert_eq!(stage.delete(&added), number);
    }
    assert_eq!(descriptors(&stage), before);
    assert_eq!(fs::read_to_string(stage.path("log")).unwrap().lines().count(), 50);
}

#[test]
fn a_terminal_has_the_size_that_was_told() {
    let mut container = Container::sh("read x; stty size");
    container.set("/process/terminal", true);
    let mut stage = Stage::new(container);
    let (mut stdin, mut stdout) = (stage.fifo("in"), stage.fifo("out"));
    let (input, out) = (stage.text("in"), stage.text("out"));
    let request = Create { terminal: true, stdin: input, stdout: out, ..stage.request() };
    stage.client.call::<Pid>("Create", &request).unwrap();
    let size = Resize { id: stage.container.id.clone(), width: 123, height: 45, ..Resize::default() };
    stage.client.call::<Empty>("ResizePty", &size).unwrap();
    stage.start();
    stdin.tell("go");
    assert_eq!(stdout.line().trim_end(), "go", "the terminal's echo");
    assert_eq!(stdout.line().trim_end(), "45 123");
    let first = stage.which();
    assert_eq!(stage.wait(&first), 0);
    stage.delete(&first);
}

#[test]
fn a_child_that_keeps_the_output_open_does_not_keep_delete_waiting() {
    let mut stage = Stage::new(Container::lasting());
    stage.create();
    stage.start();
    let mut stdout = stage.fifo("out");
    let out = stage.text("out");
    stage.add(
        Exec { exec_id: "x".into(), stdout: out, ..Exec::default() },
        &["sh", "-c", "sleep 1000 & echo said"],
    );
    let added = stage.added("x");
    stage.client.call::<Pid>("Start", &added).unwrap();
    assert_eq!(stage.wait(&added), 0);
    // The kit's own time limit would end this test if it waited for the child.
    assert_eq!(stage.delete(&added), 0);
    assert_eq!(stdout.line(), "said", "what it wrote itself is delivered");
}

#[test]
fn the_end_of_a_container_is_told_last() {
    let mut stage = Stage::new(Container::lasting());
    stage.create();
    stage.start();
    stage.exec("x", &["sleep", "1000"]);
    stage.kill(9);
    let (first, added) = (stage.which(), stage.added("x"));
    assert_eq!(stage.wait(&first), 137);
    assert_eq!(stage.wait(&added), 137);
    stage.delete(&added);
    stage.delete(&first);
    let heard = stage.shim.events.until("/tasks/delete");
    let exits = heard.iter().filter(|event| event.topic == "/tasks/exit");
    let ended: Vec<_> = exits.map(|e| Exit::decode(&e.event.as_ref().unwrap().value).unwrap().id).collect();
    assert_eq!(ended, ["x", &stage.container.id]);
}

#[test]
fn a_kill_for_want_of_memory_is_told_before_the_end() {
    need!(cgroup::controller("memory").is_some(), "there is no memory controller here");
    let mut container = Container::sh("tail /dev/zero");
    container.set("/linux/resources/memory/limit", 16 << 20);
    let mut stage = Stage::new(container);
    stage.create();
    stage.start();
    let first = stage.which();
    stage.wait(&first);
    stage.delete(&first);
    assert_eq!(stage.topics("/tasks/delete"), ["create", "start", "oom", "exit", "delete"]);
}

#[test]
fn limits_can_be_changed() {
    need!(cgroup::controller("pids").is_some(), "there is no pids controller here");
    let mut stage = Stage::new(Container::lasting());
    let pid = stage.create();
    let limits = |text: &str| Any { type_url: "LinuxResources".into(), value: text.into() };
    let update =
        |text: &str, stage: &Stage| Update { id: stage.container.id.clone(), resources: Some(limits(text)) };
    let refused = update(r#"{"pids":{"limit":"many"}}"#, &stage);
    assert_eq!(stage.refused("Update", &refused), INVALID);
    let accepted = update(r#"{"pids":{"limit":77}}"#, &stage);
    stage.client.call::<Empty>("Update", &accepted).expect("it is changed");
    assert_eq!(cgroup::read(pid as i32, "pids", "pids.max", "pids.max").trim(), "77");
    let first = stage.which();
    stage.delete(&first);
}

#[test]
fn processes_without_a_pid_namespace_end_with_the_container() {
    let mut container = Container::sh("sleep 1000 & echo $! >/pid; read x <fifo");
    container.set("/root/readonly", false);
    container.bundle.remove_namespace("pid");
    let mut fifo = container.fifo("fifo");
    let mut stage = Stage::new(container);
    stage.create();
    stage.start();
    fifo.tell("end");
    let first = stage.which();
    assert_eq!(stage.wait(&first), 0);
    stage.delete(&first);
}

#[test]
fn calls_at_the_wrong_time_are_refused() {
    let mut stage = Stage::new(Container::lasting());
    let first = stage.which();
    for method in ["Start", "State", "Delete", "Pids", "Pause", "Resume", "Wait", "Stats"] {
        assert_eq!(stage.refused(method, &first), NOT_FOUND, "{method} before Create");
    }
    stage.create();
    let again = stage.request();
    assert_eq!(stage.refused("Create", &again), EXISTS);
    stage.start();
    assert_eq!(stage.refused("Start", &stage.added("x")), NOT_FOUND);
    assert_eq!(stage.refused("Start", &first), PRECONDITION);
    assert_eq!(stage.refused("Delete", &first), PRECONDITION);
    stage.add(Exec { exec_id: "x".into(), ..Exec::default() }, &["/nothing"]);
    let twice = Exec { id: stage.container.id.clone(), exec_id: "x".into(), ..Exec::default() };
    assert_eq!(stage.refused("Exec", &twice), EXISTS);
    let added = stage.added("x");
    assert_eq!(stage.refused("Start", &added), UNKNOWN, "no such program");
    assert_eq!(stage.wait(&added), 255, "and nobody waits for it for ever");
    stage.delete(&added);
    stage.client.call::<Empty>("Pause", &first).unwrap();
    stage.add(Exec { exec_id: "y".into(), ..Exec::default() }, &["true"]);
    assert_eq!(stage.refused("Start", &stage.added("y")), PRECONDITION, "it is paused");
    stage.client.call::<Empty>("Resume", &first).unwrap();
    stage.kill(9);
    assert_eq!(stage.wait(&first), 137);
    let late = Exec { exec_id: "z".into(), ..twice };
    assert_eq!(stage.refused("Exec", &late), PRECONDITION);
    let kill = Kill { id: stage.container.id.clone(), signal: 9, ..Kill::default() };
    assert_eq!(stage.refused("Kill", &kill), NOT_FOUND);
    stage.delete(&first);
}

#[test]
fn a_container_that_was_never_started_can_be_deleted() {
    let mut stage = Stage::new(Container::lasting());
    stage.create();
    let first = stage.which();
    assert_eq!(stage.delete(&first), 137);
    assert_eq!(stage.topics("/tasks/delete"), ["create", "exit", "delete"]);
}

#[test]
fn what_cannot_be_created_leaves_nothing_and_its_id_free() {
    let mut stage = Stage::new(Container::sh("exit 5"));
    let other = Options { binary_name: "/usr/bin/runc".into(), ..Options::default() };
    let options = Some(Any { type_url: "containerd.runc.v1.Options".into(), value: other.encode() });
    let request = Create { options, ..stage.request() };
    assert_eq!(stage.refused("Create", &request), INVALID);
    let request = Create { stdout: "tcp://127.0.0.1:1".into(), ..stage.request() };
    assert_eq!(stage.refused("Create", &request), INVALID);
    let request = Create { stdout: stage.text("no-fifo"), ..stage.request() };
    assert_eq!(stage.refused("Create", &request), UNKNOWN);
    stage.create();
    stage.start();
    let first = stage.which();
    assert_eq!(stage.wait(&first), 5);
    stage.delete(&first);
}

#[test]
fn hostile_peers_harm_nobody_else() {
    let mut stage = Stage::new(Container::lasting());
    stage.create();
    stage.start();
    let first = stage.which();
    assert_eq!(stage.refused("Dance", &first), UNIMPLEMENTED);
    stage.client.service = "containerd.runtime.sandbox.v1.Sandbox";
    assert_eq!(stage.refused("CreateSandbox", &first), UNIMPLEMENTED);
    stage.client.service = "containerd.task.v3.Task";

    let mut long = stage.shim.connect();
    long.send_bytes(&frame(1, 1, &vec![0; (4 << 20) + 1]));
    assert_eq!(long.answer::<Empty>().unwrap_err().code, EXHAUSTED);
    long.call::<State>("State", &first).expect("the connection is as good as before");
    let mut malformed = stage.shim.connect();
    malformed.send_bytes(&frame(1, 1, &[0xff; 100]));
    assert_eq!(malformed.answer::<Empty>().unwrap_err().code, INVALID);
    // Of unknown kinds, and cut off.
    stage.shim.connect().send_bytes(&frame(1, 77, b"what"));
    stage.shim.connect().send_bytes(&frame(1, 3, b"data"));
    stage.shim.connect().send_bytes(&frame(1, 1, &[1; 100])[..50]);
    stage.shim.connect().send_bytes(&[0]);
    // One who asks and never listens.
    let mut deaf = stage.shim.connect();
    for _ in 0..1000 {
        deaf.send("Wait", &first);
    }

    assert_eq!(stage.status(&first), 2, "running");
    stage.kill(9);
    assert_eq!(stage.wait(&first), 137);
    stage.delete(&first);
}

#[test]
fn containers_of_a_group_share_a_shim() {
    let mut container = Container::lasting();
    container.set("/annotations", json!({ "io.kubernetes.cri.sandbox-id": "pod" }));
    let stage = Stage::new(container);
    let params = &stage.shim.params;
    let another = BootstrapParams { instance_id: "another".into(), ..params.clone() };
    let answer: Value = serde_json::from_str(&call_start(&stage.container, &another).ok().stdout).unwrap();
    assert_eq!(answer["address"], format!("unix://{}", stage.shim.socket.display()));
    let written = fs::read_to_string(stage.container.bundle.path().join("address")).unwrap();
    assert_eq!(answer["address"], written);
}

#[test]
fn delete_cleans_up_after_a_dead_shim() {
    let mut stage = Stage::new(Container::lasting());
    let pid = stage.create();
    stage.start();
    stage.shim.process.signal(rustix::process::Signal::KILL).unwrap();
    assert!(stage.shim.process.wait(orlop_tests::command::patience()));
    let (id, bundle) = (stage.container.id.clone(), stage.container.bundle.path().to_owned());
    let arguments = ["-namespace", "state", "-id", &id, "-bundle", &bundle.to_string_lossy(), "delete"];
    for _ in 0..2 {
        let deleted = Deleted::decode(&shim::bytes(&arguments, &[], &bundle)).unwrap();
        assert_eq!(deleted, Deleted { pid, exit_status: 137 });
    }
    assert!(!stage.shim.socket.exists());
}

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
fn it_says_what_it_is() {
    let info = RuntimeInfo::decode(&shim::bytes(&["-info"], &[], "/".as_ref())).unwrap();
    assert_eq!(info.name, "io.containerd.orlop.v2");
    let features: Value = serde_json::from_slice(&info.features.unwrap().value).unwrap();
    assert!(features["ociVersionMax"].is_string());
    let version = String::from_utf8(shim::bytes(&["-v"], &[], "/".as_ref())).unwrap();
    assert!(version.starts_with("containerd-shim-orlop-v2 version"));
}
