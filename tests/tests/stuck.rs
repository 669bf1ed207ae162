//! Processes that the kernel does not let go of: nothing hangs for them, and what is said names them.
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use orlop_tests::events::when_file;
use orlop_tests::{Container, Invocation, need, runtime};
use serde_json::json;

/// The runtime's deadlines are 10 seconds; a machine under load adds some.
const SOON: Duration = Duration::from_secs(60);

/// A FUSE file system that answers nobody, in a mount namespace of its own.
struct Stuck {
    server: Child,
    /// While this is open, nobody is let go.
    input: Option<ChildStdin>,
    directory: PathBuf,
    log: PathBuf,
}

impl Stuck {
    fn mount(container: &Container) -> Self {
        let (directory, log) = (container.home().join("stuck"), container.home().join("stuck.log"));
        fs::create_dir(&directory).expect("a new directory");
        File::create(&log).expect("a new file");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "python3"]);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/data/stuck-fuse.py")).arg(&directory).arg(&log);
        let mut server = command.stdin(Stdio::piped()).spawn().expect("python3 runs");
        when_file(&log, |text| text.contains("mounted"));
        let input = server.stdin.take();
        Self { server, input, directory, log }
    }

    /// A command where the file system is mounted.
    fn inside(&self, command: Invocation) -> Invocation {
        command.within(&["nsenter", "--mount", "--target", &self.server.id().to_string(), "--"])
    }

    /// Ends it: whoever waits in it is let go.
    fn end(&mut self) {
        drop(self.input.take());
        self.server.wait().expect("our own child");
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        self.end();
    }
}

/// A running container with a process that waits in the kernel and cannot be killed.
fn stuck() -> (Container, Stuck) {
    let mut container = Container::sh("while :; do cat /stuck/x; done & exec sleep 1000");
    let stuck = Stuck::mount(&container);
    let mount =
        json!({ "destination": "/stuck", "type": "bind", "source": stuck.directory, "options": ["bind"] });
    container.push("/mounts", mount);
    let flags = ["--pid-file".as_ref(), container.pid_file().as_os_str()].map(std::ffi::OsStr::to_owned);
    stuck.inside(container.with_bundle("create", &flags)).ok();
    container.adopt();
    container.start();
    when_file(&stuck.log, |text| text.contains("asked"));
    (container, stuck)
}

fn can_be_stuck() -> bool {
    fs::metadata("/dev/fuse").is_ok() && need::program("python3") && need::program("nsenter")
}

/// The kernel writes down that somebody waits a moment after the server has heard of it.
fn names_the_process(said: &str) -> bool {
    said.contains("(cat) is in state D in ") && said.contains("request_wait_answer")
}

#[test]
fn pause_gives_up_in_time_and_the_container_runs_on() {
    need!(can_be_stuck(), "it takes /dev/fuse and python3");
    let (container, mut stuck) = stuck();
    let begun = Instant::now();
    let out =
        container.command::<&str>("pause", &[]).output().fails_with("not frozen after 10s (thawed again)");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert!(names_the_process(&out.stderr), "{out}");
    assert_eq!(container.status(), "running");
    assert_eq!(container.exec(&["echo", "here"]).ok().stdout, "here\n");
    stuck.end();
    // Now nothing is in the way.
    container.command::<&str>("pause", &[]).ok();
    assert_eq!(container.status(), "paused");
    container.command("delete", &["--force"]).ok();
    container.wait();
}

#[test]
fn delete_gives_up_in_time_and_can_be_repeated() {
    need!(can_be_stuck(), "it takes /dev/fuse and python3");
    need!(runtime::is_orlop(), "the words are ours");
    let (container, mut stuck) = stuck();
    // It is sent, and that is all that kill says.
    container.kill("KILL");
    let begun = Instant::now();
    let out = container.command("delete", &["--force"]).output().fails_with("still has processes after 10s");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert!(names_the_process(&out.stderr), "{out}");
    // Others are not kept waiting by what is left.
    let begun = Instant::now();
    container.runtime().arg("list").ok();
    container.command::<&str>("state", &[]).ok();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    stuck.end();
    container.command("delete", &["--force"]).ok();
    container.wait();
    container.assert_no_leaks();
}

/// posix_spawn(3) waits for its child as vfork(2) does, and the child opens a FIFO before it becomes a program.
const WAITS_IN_VFORK: &str = "import os
os.posix_spawn('/bin/true', ['true'], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 5, '/tmp/fifo', os.O_RDONLY, 0)])
os.write(os.open('/tmp/done', os.O_WRONLY), b'done\\n')
while True: os.read(os.open('/tmp/fifo', os.O_RDONLY), 1)";

/// Waits until process `parent` waits for a child as after vfork(2).
fn waits_in_vfork(parent: i32) {
    let until = Instant::now() + orlop_tests::command::patience();
    loop {
        let wchan = fs::read_to_string(format!("/proc/{parent}/wchan"));
        if wchan.as_ref().is_ok_and(|text| text.contains("vfork") || text == "kernel_clone") {
            return;
        }
        assert!(Instant::now() < until, "the parent waits in {wchan:?}");
        // Nothing tells of the moment.
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_parent_in_vfork_counts_as_frozen_and_goes_on() {
    let python = fs::canonicalize("/usr/bin/python3").ok();
    need!(
        python.is_some() && fs::symlink_metadata("/lib").is_ok_and(|lib| lib.is_symlink()),
        "it takes the host's python3 in /usr"
    );
    let mut container = Container::new(&["/usr/bin/python3", "-c", WAITS_IN_VFORK]);
    let rootfs = container.bundle.rootfs();
    let mount =
        json!({ "destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"] });
    container.push("/mounts", mount);
    for name in ["lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{name}"), rootfs.join(name)).expect("a new link");
    }
    let mut done = container.fifo("tmp/done");
    // Without a writer: opening it waits.
    let fifo = rootfs.join("tmp/fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
    container.up();
    let parent = container.pid();
    waits_in_vfork(parent);
    for _ in 0..3 {
        container.command::<&str>("pause", &[]).ok();
        assert_eq!(container.status(), "paused");
        container.command::<&str>("resume", &[]).ok();
        assert_eq!(container.status(), "running");
    }
    // It has been woken, and has to find out that its child is not done.
    waits_in_vfork(parent);
    drop(fs::OpenOptions::new().write(true).open(&fifo).expect("the child reads"));
    assert_eq!(done.line(), "done");
    container.command::<&str>("pause", &[]).ok();
    container.kill("KILL");
    assert_eq!(container.wait(), 137);
    container.command("delete", &["--force"]).ok();
}
