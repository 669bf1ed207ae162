//! Checkpoint, and Create from one.

use std::fs;

use orlop_protobuf::Message as _;
use orlop_tests::shim::messages::{Checkpoint, CheckpointOptions, Checkpointed, Create, Empty, Options, Pid};
use orlop_tests::{Container, Fifo, need_criu};

use crate::stage::{INVALID, PRECONDITION, Stage, any};

/// Says every line that it hears, with a number: only the very same process knows the next one.
const COUNTER: &str = "n=0; while read word; do n=$((n+1)); echo $word $n; done; exit 7";

/// A counter with its input and output.
struct Counter {
    stage: Stage,
    stdin: Fifo,
    stdout: Fifo,
}

impl Counter {
    fn new(container: Container) -> Self {
        let stage = Stage::new(container);
        let (stdin, stdout) = (stage.fifo("in"), stage.fifo("out"));
        Self { stage, stdin, stdout }
    }

    fn request(&self) -> Create {
        let (stdin, stdout) = (self.stage.text("in"), self.stage.text("out"));
        Create { stdin, stdout, ..self.stage.request() }
    }

    #[track_caller]
    fn counts(&mut self, number: u32) {
        self.stdin.tell("word");
        assert_eq!(self.stdout.line(), format!("word {number}"));
    }

    fn checkpoint(&self, options: &CheckpointOptions) -> Checkpoint {
        let options = Some(any("containerd.runc.v1.CheckpointOptions", options));
        Checkpoint { id: self.stage.container.id.clone(), path: self.stage.text("images"), options }
    }

    /// Ends it as it would have ended by itself.
    fn end(mut self) {
        let first = self.stage.which();
        drop(self.stdin);
        self.stage.close_input();
        assert_eq!(self.stage.wait(&first), 7);
        assert_eq!(self.stage.delete(&first), 7);
    }
}

#[test]
fn a_container_goes_on_after_a_checkpoint_and_from_it() {
    need_criu!();
    let mut counter = Counter::new(Container::sh(COUNTER));
    let request = counter.request();
    let images = counter.stage.text("images");
    assert_eq!(
        counter.stage.refused("Checkpoint", &counter.checkpoint(&CheckpointOptions::default())),
        crate::stage::NOT_FOUND
    );
    counter.stage.client.call::<Pid>("Create", &request).unwrap();
    let checkpoint = counter.checkpoint(&CheckpointOptions::default());
    assert_eq!(counter.stage.refused("Checkpoint", &checkpoint), PRECONDITION, "it does not run yet");
    counter.stage.start();
    counter.counts(1);
    for wrong in [
        CheckpointOptions { empty_namespaces: vec!["pid".into()], ..CheckpointOptions::default() },
        CheckpointOptions { cgroups_mode: "hard".into(), ..CheckpointOptions::default() },
    ] {
        assert_eq!(counter.stage.refused("Checkpoint", &counter.checkpoint(&wrong)), INVALID);
    }
    counter.stage.client.call::<Empty>("Checkpoint", &checkpoint).expect("it is written");
    counter.counts(2);
    fs::remove_dir_all(&images).unwrap();
    let exit = CheckpointOptions {
        exit: true,
        empty_namespaces: vec!["network".into()],
        ..CheckpointOptions::default()
    };
    counter.stage.client.call::<Empty>("Checkpoint", &counter.checkpoint(&exit)).expect("it is written");
    let first = counter.stage.which();
    assert_eq!(counter.stage.wait(&first), 137, "CRIU ends what it has written");
    assert_eq!(counter.stage.delete(&first), 137);
    let heard = counter.stage.shim.events.until("/tasks/delete");
    let written = heard.iter().filter(|event| event.topic == "/tasks/checkpointed");
    let written: Vec<_> =
        written.map(|event| Checkpointed::decode(&event.event.as_ref().unwrap().value).unwrap()).collect();
    assert_eq!(written.len(), 2);
    assert_eq!(
        written[0],
        Checkpointed { container_id: counter.stage.container.id.clone(), checkpoint: images.clone() }
    );

    let restored = Create { checkpoint: images, ..request };
    let none = counter.stage.client.call::<Pid>("Create", &restored).expect("it is created");
    assert_eq!(none.pid, 0, "it is Start that makes the process, as with containerd's own shim");
    assert_eq!(counter.stage.status(&first), 1, "created");
    let pid = counter.stage.client.call::<Pid>("Start", &first).expect("it is restored").pid;
    assert_eq!(counter.stage.status(&first), 2, "running");
    assert!(counter.stage.pids().iter().any(|(number, _)| *number == pid));
    let written = fs::read_to_string(counter.stage.container.bundle.path().join("init.pid")).unwrap();
    assert_eq!(written, pid.to_string());
    counter.counts(3);
    counter.stage.exec("x", &["true"]);
    let added = counter.stage.added("x");
    assert_eq!(counter.stage.wait(&added), 0);
    counter.stage.delete(&added);
    counter.end();
}

#[test]
fn what_cannot_be_restored_can_be_deleted() {
    need_criu!();
    let mut counter = Counter::new(Container::sh(COUNTER));
    let empty = counter.stage.path("images");
    fs::create_dir(&empty).unwrap();
    let request = Create { checkpoint: counter.stage.text("images"), ..counter.request() };
    counter.stage.client.call::<Pid>("Create", &request).unwrap();
    let first = counter.stage.which();
    let refused = counter.stage.client.call::<Pid>("Start", &first).unwrap_err();
    assert!(refused.message.contains("no checkpoint"), "{refused:?}");
    assert_eq!(counter.stage.status(&first), 1, "created, as before");
    assert_eq!(counter.stage.delete(&first), 0);
    let request = counter.request();
    counter.stage.client.call::<Pid>("Create", &request).unwrap();
    counter.stage.start();
    counter.counts(1);
    counter.end();
}

#[test]
fn a_terminal_comes_back_from_a_checkpoint() {
    need_criu!();
    let mut container = Container::sh(COUNTER);
    container.set("/process/terminal", true);
    let work = container.home().join("work");
    let mut counter = Counter::new(container);
    let own = Options {
        root: counter.stage.container.home().to_string_lossy().into_owned(),
        criu_image_path: counter.stage.text("images"),
        criu_work_path: work.to_string_lossy().into_owned(),
        ..Options::default()
    };
    let options = Some(any("containerd.runc.v1.Options", &own));
    let request = Create { terminal: true, options, ..counter.request() };
    counter.stage.client.call::<Pid>("Create", &request).unwrap();
    counter.stage.start();
    let says = |counter: &mut Counter, number: u32| {
        counter.stdin.tell("word");
        let lines = [counter.stdout.line(), counter.stdout.line()];
        assert_eq!(lines.each_ref().map(|line| line.trim_end()), ["word", &format!("word {number}")]);
    };
    says(&mut counter, 1);
    let exit = CheckpointOptions { exit: true, ..CheckpointOptions::default() };
    let checkpoint = Checkpoint { path: String::new(), ..counter.checkpoint(&exit) };
    counter.stage.client.call::<Empty>("Checkpoint", &checkpoint).expect("to where the options say");
    assert!(work.join("dump.log").exists());
    let first = counter.stage.which();
    counter.stage.wait(&first);
    counter.stage.delete(&first);
    let request = Create { checkpoint: counter.stage.text("images"), ..request };
    counter.stage.client.call::<Pid>("Create", &request).unwrap();
    counter.stage.start();
    says(&mut counter, 2);
    counter.stage.kill(9);
    assert_eq!(counter.stage.wait(&first), 137);
    counter.stage.delete(&first);
}
