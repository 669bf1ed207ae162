//! From Create to Delete: the Task service.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use orlop_protobuf::Message as _;
use orlop_tests::shim::messages::{
    Any, Connected, Create, Deleted, Empty, Ended, Exec, Exit, Kill, Pid, Pids, ProcessDetails, State, Stats,
    Update, Which,
};
use orlop_tests::{Container, cgroup, need};

use crate::stage::{EXISTS, INVALID, NOT_FOUND, OVERDUE, PRECONDITION, Stage, UNAVAILABLE, UNKNOWN};

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
    let late = stage.request();
    stage.client.send("Shutdown", &first);
    stage.client.send("Create", &late);
    stage.client.answer::<Empty>().unwrap();
    assert_eq!(stage.client.answer::<Pid>().unwrap_err().code, UNAVAILABLE, "it is about to end");
    stage.client.close();
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
    let (mut stage, mut log) = Stage::logged(container);
    stage.create();
    stage.start();
    let first = stage.which();
    stage.wait(&first);
    stage.delete(&first);
    assert_eq!(stage.topics("/tasks/delete"), ["create", "start", "oom", "exit", "delete"]);
    // The event has no place for whose limit it was.
    let told = std::iter::from_fn(|| Some(log.line())).find(|line| line.contains("want of memory")).unwrap();
    assert!(told.contains("its own limit was hit") && told.contains(&stage.container.id), "{told}");
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
fn added_processes_are_known_by_their_names() {
    let mut stage = Stage::new(Container::lasting());
    let nobody = Which { id: "nobody".into(), ..Which::default() };
    let who: Connected = stage.client.call("Connect", &nobody).expect("it never fails");
    assert_eq!((who.shim_pid as i32, who.task_pid), (stage.shim.process.pid(), 0));
    let first = stage.create();
    stage.start();
    stage.exec("x", &["sleep", "1000"]);
    let added = stage.added("x");
    let state: State = stage.client.call("State", &added).unwrap();
    let pids = stage.pids();
    let info = |pid: u32| pids.iter().find(|(number, _)| *number == pid).unwrap().1.as_ref();
    assert_eq!(info(first), None);
    let details = info(state.pid).unwrap();
    assert!(details.type_url.ends_with("containerd.runc.v1.ProcessDetails"));
    assert_eq!(ProcessDetails::decode(&details.value).unwrap().exec_id, "x");
    let kill =
        |exec_id: &str, id: &str| Kill { exec_id: exec_id.into(), id: id.into(), signal: 9, all: false };
    stage.client.call::<Empty>("Kill", &kill("x", &first_id(&stage))).unwrap();
    assert_eq!(stage.wait(&added), 137);
    let again = kill("x", &first_id(&stage));
    assert_eq!(stage.refused("Kill", &again), NOT_FOUND, "it has finished");
    assert_eq!(stage.refused("Kill", &kill("", "nobody")), NOT_FOUND);
    let strange = Kill { signal: 65, ..kill("", &first_id(&stage)) };
    assert_eq!(stage.refused("Kill", &strange), INVALID);
    stage.delete(&added);
    stage.client.call::<Empty>("Shutdown", &stage.which()).expect("it stays while there are containers");
    let all = Kill { all: true, ..kill("", &first_id(&stage)) };
    stage.client.call::<Empty>("Kill", &all).unwrap();
    let first = stage.which();
    assert_eq!(stage.wait(&first), 137);
    stage.delete(&first);
}

fn first_id(stage: &Stage) -> String {
    stage.container.id.clone()
}

#[test]
fn programs_find_their_signals_as_they_should_be() {
    // Rust's runtime ignores SIGPIPE, and the shim blocks what it collects.
    let mut stage = Stage::new(Container::new(&["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"]));
    let mut stdout = stage.fifo("out");
    let request = Create { stdout: stage.text("out"), ..stage.request() };
    assert_eq!(stage.run(&request), 0);
    for _ in 0..2 {
        let line = stdout.line();
        assert!(line.ends_with("\t0000000000000000"), "{line}");
    }
    assert_eq!(u64::from_str_radix(&stage.status_of_shim("SigIgn"), 16).unwrap() >> 12 & 1, 1, "SIGPIPE");
}

#[test]
fn who_waits_need_not_wait_for_ever() {
    let mut stage = Stage::new(Container::lasting());
    stage.create();
    stage.start();
    let first = stage.which();
    stage.client.send_within(1_000_000, "Wait", &first);
    assert_eq!(stage.client.answer::<Empty>().unwrap_err().code, OVERDUE);
    // Another one has time enough, and one goes away.
    let mut patient = stage.shim.connect();
    patient.send_within(3_600_000_000_000, "Wait", &first);
    stage.shim.connect().send("Wait", &first);
    stage.kill(9);
    assert_eq!(patient.answer::<Ended>().unwrap().exit_status, 137);
    assert_eq!(stage.wait(&first), 137);
    stage.delete(&first);
}

#[test]
fn everybody_is_told_the_same_of_an_end() {
    let mut stage = Stage::new(Container::sh("exit 9"));
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    stage.create();
    stage.start();
    let first = stage.which();
    let ended: Ended = stage.client.call("Wait", &first).unwrap();
    let at = ended.exited_at.clone().expect("a moment");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!((before..=now).contains(&at.seconds), "{at:?}, between {before} and {now}");
    // Who asks later hears the same.
    assert_eq!(stage.client.call::<Ended>("Wait", &first).unwrap(), ended);
    let state: State = stage.client.call("State", &first).unwrap();
    assert_eq!((state.exit_status, state.exited_at.as_ref()), (9, Some(&at)));
    let deleted: Deleted = stage.client.call("Delete", &first).unwrap();
    assert_eq!((deleted.exit_status, deleted.exited_at), (9, Some(at)));
}
