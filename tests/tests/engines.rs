//! Container engines: configs as they make them, and the engines themselves with the runtime under test.
use std::ffi::OsString;
use std::fs;
use std::os::fd::OwnedFd;

use orlop_tests::terminal::{ConsoleSocket, Terminal};
use orlop_tests::{Container, EngineRoom, Invocation, Running, cgroup, events, need, runtime, shim};
use serde_json::Value;

/// A container with a config of `tests/data/engines`.
fn recorded(name: &str) -> Container {
    let mut container = Container::new(&[]);
    let path = runtime::workspace().join(format!("tests/data/engines/{name}.json"));
    let files = container.home().join("files");
    fs::create_dir(&files).expect("a new directory");
    let text = fs::read_to_string(path).expect("the config was recorded");
    let text = text
        .replace("@ROOTFS@", &container.bundle.rootfs().to_string_lossy())
        .replace("@FILES@", &files.to_string_lossy())
        .replace("@NETNS@", &format!("/proc/{}/ns/net", std::process::id()))
        .replace("@ID@", &container.id);
    container.bundle.config = serde_json::from_str(&text).expect("JSON");
    for file in ["containerenv", "hostname", "hosts", "resolv.conf"] {
        fs::write(files.join(file), "").expect("a new file");
    }
    fs::create_dir(files.join("shm")).expect("a new directory");
    adapt(&mut container);
    container
}

/// Takes out what this machine does not have, and hands the root file system to the users that the container maps.
fn adapt(container: &mut Container) {
    let resources = &mut container.bundle.config["linux"]["resources"];
    for (part, controller) in [("memory", "memory"), ("cpu", "cpu"), ("pids", "pids"), ("blockIO", "io")] {
        let v1_name = if controller == "io" { "blkio" } else { controller };
        if cgroup::controller(controller).or_else(|| cgroup::controller(v1_name)).is_none()
            && let Some(map) = resources.as_object_mut()
        {
            map.remove(part);
        }
    }
    if let Some(id) = container.bundle.config["linux"]["uidMappings"][0]["hostID"].as_u64() {
        let owner = format!("{id}:{id}");
        Invocation::new("chown", &container.io()).args(["-R", &owner]).arg(container.bundle.rootfs()).ok();
    }
}

/// Runs recorded configs, each of which is to print this.
fn run_recorded(configs: &[(&str, &str)]) {
    for (name, expected) in configs {
        let out = recorded(name).run().ok();
        assert!(out.stdout.contains(expected), "{name}: {out}");
        assert_eq!(out.stderr, "", "{name}: an engine would show it");
    }
}

#[test]
fn configs_of_podman_run() {
    run_recorded(&[
        ("podman-run", "hi"),
        ("podman-read-only-user", "uid=1000(user) gid=1000(user)"),
        ("podman-uidmap", "uid=0(root)"),
        ("podman-privileged", "uid=0(root)"),
        ("podman-host", "uid=0(root)"),
    ]);
}

#[test]
fn configs_of_ctr_run() {
    run_recorded(&[("ctr-run", "hi"), ("ctr-seccomp", "uid=0(root)"), ("ctr-privileged", "uid=0(root)")]);
}

#[test]
fn configs_of_docker_run() {
    run_recorded(&[
        ("docker-run", "hi"),
        ("docker-limits", "uid=1000(user) gid=1000(user)"),
        ("docker-host", "uid=0(root)"),
    ]);
}

#[test]
fn configs_with_a_terminal_send_it_to_the_engine() {
    for name in ["podman-terminal", "ctr-terminal", "docker-terminal"] {
        let container = recorded(name);
        let socket = ConsoleSocket::listen(container.home());
        let pid_file = container.pid_file();
        let flags = ["--console-socket".as_ref(), socket.path(), "--pid-file".as_ref(), &pid_file];
        container.with_bundle("create", &flags).ok();
        container.adopt();
        let mut terminal = socket.receive();
        container.start();
        terminal.expect("/dev/pts/0");
        assert_eq!(container.wait(), 0, "{name}");
    }
}

/// Podman with an image, its own storage, and the runtime under test.
struct Podman(EngineRoom);

/// Settings that need nothing of the host: no network, no limits that it may not have.
const CONTAINERS_CONF: &str = "[containers]\ndefault_ulimits = []\npids_limit = 0\nnetns = \"none\"\n\
    [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nruntime_supports_json = [\"orlop\"]\n";

impl Podman {
    fn new() -> Self {
        let room = EngineRoom::new();
        room.file("containers.conf", CONTAINERS_CONF);
        let podman = Self(room);
        let layer = podman.0.home().join("layer.tar");
        podman.0.command("tar").arg("-C").arg(podman.0.rootfs()).arg("-cf").arg(&layer).arg(".").ok();
        let layer = layer.to_string_lossy();
        podman.command(&["import", "--quiet", "--change", "ENV PATH=/bin", &layer, "busybox:test"]).ok();
        podman
    }

    fn command(&self, args: &[&str]) -> Invocation {
        let home = self.0.home();
        let directory = |name: &str| home.join(name).to_string_lossy().into_owned();
        self.0
            .command("podman")
            .env("CONTAINERS_CONF", directory("containers.conf"))
            .env("HOME", home)
            .args(["--root", &directory("storage"), "--runroot", &directory("runroot")])
            .args(["--tmpdir", &directory("tmp"), "--storage-driver", "vfs"])
            .arg("--runtime")
            .arg(runtime::binary())
            .args(args)
    }

    /// `podman run FLAGS… busybox:test ARGS…`
    fn run(&self, flags: &[&str], args: &[&str]) -> Invocation {
        let parent = format!("/{}", self.0.id);
        self.command(&["run", "--cgroup-parent", &parent]).args(flags).arg("busybox:test").args(args)
    }
}

/// Puts a command on the other side of a terminal.
fn on(command: Invocation, terminal: &OwnedFd) -> Running {
    let copy = || terminal.try_clone().expect("a descriptor can be copied");
    command.within(&["setsid", "--ctty", "--wait"]).stdin(copy()).stdout(copy()).stderr(copy()).spawn()
}

#[test]
fn podman_runs_containers() {
    need!(need::program("podman") && need::program("conmon"), "podman is not installed (hack/setup.sh test)");
    let podman = Podman::new();
    assert_eq!(podman.run(&["--rm"], &["echo", "hi"]).ok().stdout, "hi\n");
    assert_eq!(podman.run(&["--rm"], &["sh", "-c", "exit 7"]).output().code, 7);
    assert_eq!(podman.run(&["--rm"], &["/nothing"]).output().code, 127, "not found, as podman reads it");
    assert_eq!(podman.run(&["--rm"], &["/etc/passwd"]).output().code, 126, "not executable");
    let read_only = ["--rm", "--read-only", "--user", "user", "--tmpfs", "/home"];
    let script = "id -un; [ -d /home/user ] && ! touch /new 2>/dev/null && touch /tmp/new && echo fine";
    assert_eq!(podman.run(&read_only, &["sh", "-c", script]).ok().stdout, "user\nfine\n");
    let uids = podman.run(&["--rm", "--uidmap", "0:100000:1000"], &["cat", "/proc/self/uid_map"]).ok().stdout;
    assert_eq!(uids.split_whitespace().collect::<Vec<_>>(), ["0", "100000", "1000"]);

    let (mut terminal, peer) = Terminal::open();
    let run = on(podman.run(&["--rm", "-it"], &["sh", "-c", "tty; read x; echo got $x; exit 4"]), &peer);
    terminal.expect("/dev/pts/0");
    terminal.type_in("it\n");
    terminal.expect("got it");
    assert_eq!(run.wait().code, 4);
}

#[test]
fn podman_leads_a_container_through_its_life() {
    need!(need::program("podman") && need::program("conmon"), "podman is not installed (hack/setup.sh test)");
    let podman = Podman::new();
    let script = "echo started; trap 'echo bye; exit 3' TERM; while :; do sleep 1000 & wait $!; done";
    let id = podman.run(&["--detach", "--name", "web"], &["sh", "-c", script]).ok().stdout;
    assert_eq!(podman.command(&["exec", "web", "echo", "in"]).ok().stdout, "in\n");
    assert_eq!(podman.command(&["exec", "web", "sh", "-c", "exit 9"]).output().code, 9);
    assert_eq!(podman.command(&["exec", "--user", "1000", "web", "id", "-u"]).ok().stdout, "1000\n");
    if cgroup::controller("memory").is_some() {
        let stats = ["stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDS}}", "web"];
        let stats = podman.command(&stats).ok().stdout;
        let (used, tasks) = (stats.split(' ').next().unwrap_or_default(), stats.trim().rsplit(' ').next());
        assert!(!used.starts_with("0B") && tasks.is_some_and(|tasks| tasks != "0"), "{stats}");
    }
    podman.command(&["pause", "web"]).ok();
    let status = ["inspect", "--format", "{{.State.Status}}", "web"];
    assert_eq!(podman.command(&status).ok().stdout, "paused\n");
    podman.command(&["unpause", "web"]).ok();
    podman.command(&["stop", "web"]).ok();
    assert_eq!(podman.command(&["wait", "web"]).ok().stdout, "3\n");
    assert_eq!(podman.command(&["logs", "web"]).ok().stdout, "started\nbye\n");
    podman.command(&["rm", "web"]).ok();
    podman.0.assert_nothing_left_of(id.trim());
}

/// containerd with the runtime under test.
struct Containerd {
    room: EngineRoom,
    /// The options of `ctr run` that choose it.
    runtime: Vec<OsString>,
    /// Where it finds programs.
    path: OsString,
    daemon: Option<Running>,
}

impl Containerd {
    /// With its own shim, which starts the runtime's command.
    fn with_command() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::new(vec!["--runc-binary".into(), runtime::binary().into()], path)
    }

    /// With the runtime's shim.
    fn with_shim() -> Self {
        let mut path = shim::binary().parent().expect("a directory").as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        Self::new(vec!["--runtime".into(), "io.containerd.orlop.v2".into()], path)
    }

    fn new(runtime: Vec<OsString>, path: OsString) -> Self {
        let mut containerd = Self { room: EngineRoom::new(), runtime, path, daemon: None };
        let home = containerd.room.home().display();
        let config = format!(
            "version = 2\nroot = \"{home}/root\"\nstate = \"{home}/state\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = \"{home}/socket\"\n\
             [ttrpc]\naddress = \"{home}/socket.ttrpc\"\n"
        );
        containerd.room.file("containerd.toml", &config);
        containerd.boot();
        containerd
    }

    fn boot(&mut self) {
        let config = self.room.home().join("containerd.toml");
        let daemon =
            self.room.command("containerd").env("PATH", &self.path).arg("--config").arg(config).spawn();
        let errors = daemon.stdout_file().with_extension("err");
        events::when_file(&errors, |text| text.contains("containerd successfully booted"));
        self.daemon = Some(daemon);
    }

    /// Kills it as the kernel does for want of memory.
    fn crash(&mut self) {
        self.room.command("sh").args(["-c", "kill -KILL $(pidof containerd)"]).ok();
        self.daemon.take().map(Running::wait);
    }

    /// `ctr ARGS…`
    fn ctr(&self, args: &[&str]) -> Invocation {
        let socket = self.room.home().join("socket");
        self.room.command("ctr").arg("--address").arg(socket).args(["--namespace", &self.room.id]).args(args)
    }

    /// `ctr run FLAGS… ROOTFS ID ARGS…`
    fn run(&self, flags: &[&str], id: &str, args: &[&str]) -> Invocation {
        let run = self.ctr(&["run"]).args(&self.runtime);
        let fifos = self.room.home().join("fifos");
        run.arg("--fifo-dir")
            .arg(fifos)
            .args(flags)
            .arg("--rootfs")
            .arg(self.room.rootfs())
            .arg(id)
            .args(args)
    }
}

#[test]
fn containerd_leads_a_container_through_its_life() {
    need!(
        need::program("containerd") && need::program("ctr"),
        "containerd is not installed (hack/setup.sh test)"
    );
    need!(
        cgroup::controller("cpu").is_some(),
        "ctr asks for CPU shares, and there is no cpu controller here"
    );
    lead_through_its_life(&Containerd::with_command());
}

#[test]
fn containerd_does_so_with_the_shim() {
    need!(runtime::is_orlop(), "the shim is orlop's");
    need!(
        need::program("containerd") && need::program("ctr"),
        "containerd is not installed (hack/setup.sh test)"
    );
    need!(
        cgroup::controller("cpu").is_some(),
        "ctr asks for CPU shares, and there is no cpu controller here"
    );
    let mut containerd = Containerd::with_shim();
    lead_through_its_life(&containerd);

    containerd.run(&["--detach"], "again", &["/bin/sleep", "1000"]).ok();
    let exec = containerd.ctr(&["task", "exec", "--exec-id", "in", "again", "/bin/cat"]).input(b"through\n");
    assert_eq!(exec.ok().stdout, "through\n");
    // Containers outlive containerd, and it finds them again.
    containerd.crash();
    containerd.boot();
    let exec = containerd.ctr(&["task", "exec", "--exec-id", "after", "again", "/bin/sh", "-c", "exit 8"]);
    assert_eq!(exec.output().code, 8);
    assert!(containerd.ctr(&["task", "metrics", "again"]).ok().stdout.contains("pids.current"));
    containerd.ctr(&["task", "delete", "--force", "again"]).ok();
    containerd.ctr(&["containers", "delete", "again"]).ok();
    let sockets = containerd.room.command("ls").arg("/run/containerd/s").ok().stdout;
    assert_eq!(sockets, "", "no shim is left");
    containerd.room.assert_nothing_left_of(&format!("{}/again", containerd.room.id));
}

fn lead_through_its_life(containerd: &Containerd) {
    // The sleeps are for ctr, which may close its end of a pipe before it has read what a very short process wrote.
    assert_eq!(containerd.run(&["--rm"], "a", &["/bin/sh", "-c", "echo hi; sleep 0.3"]).ok().stdout, "hi\n");
    assert_eq!(containerd.run(&["--rm"], "b", &["/bin/sh", "-c", "exit 7"]).output().code, 7);
    containerd.run(&["--rm"], "c", &["/nothing"]).output().fails_with("/nothing");

    let (mut terminal, peer) = Terminal::open();
    let run =
        on(containerd.run(&["--rm", "--tty"], "d", &["/bin/sh", "-c", "/bin/tty; sleep 0.3; exit 4"]), &peer);
    terminal.expect("/dev/pts/0");
    assert_eq!(run.wait().code, 4);

    let web = containerd.run(&["--rm"], "web", &["/bin/sh", "-c", "echo up; exec sleep 1000"]).spawn();
    events::when_file(web.stdout_file(), |text| text == "up\n");
    let exec = |id: &str, args: &[&str]| containerd.ctr(&["task", "exec", "--exec-id", id, "web"]).args(args);
    assert_eq!(exec("x", &["/bin/sh", "-c", "echo in; sleep 0.3"]).ok().stdout, "in\n");
    assert_eq!(exec("y", &["/bin/sh", "-c", "exit 9"]).output().code, 9);
    let metrics = containerd.ctr(&["task", "metrics", "web"]).ok().stdout;
    let value = |name: &str| {
        let line = metrics.lines().map(str::split_whitespace).find_map(|mut words| {
            words.next().filter(|word| word.starts_with(name)).and_then(|_| words.next())
        });
        line.and_then(|value| value.parse::<u64>().ok()).unwrap_or_else(|| panic!("no {name}: {metrics}"))
    };
    // Of version 1 these are `memory.usage_in_bytes` and `cpuacct.usage`.
    if cgroup::controller("memory").is_some() {
        assert!(value("memory.usage") > 0, "{metrics}");
    }
    assert!(value("cpu") > 0 && value("pids.current") > 0, "{metrics}");
    containerd.ctr(&["task", "pause", "web"]).ok();
    assert!(containerd.ctr(&["task", "list"]).ok().stdout.contains("PAUSED"));
    containerd.ctr(&["task", "resume", "web"]).ok();
    containerd.ctr(&["task", "kill", "--signal", "SIGKILL", "web"]).ok();
    assert_eq!(web.wait().code, 128 + 9);
    containerd.room.assert_nothing_left_of(&format!("{}/web", containerd.room.id));
}

#[test]
fn what_engines_read_is_as_they_expect_it() {
    let container = Container::lasting();
    let version = container.runtime().arg("--version").ok();
    let words: Vec<_> = version.lines()[0].split(' ').collect();
    assert_eq!(words[1], "version", "podman info and docker info show it");
    let features: Value =
        serde_json::from_str(&container.runtime().arg("features").ok().stdout).expect("JSON");
    assert!(features["ociVersionMax"].is_string());

    let log = container.home().join("log.json");
    let with_log = |args: &[&str]| {
        container.runtime().arg("--log").arg(&log).args(["--log-format", "json"]).args(args).output()
    };
    let last_error = || {
        let text = fs::read_to_string(&log).expect("the log is there");
        let line: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
        assert_eq!(line["level"], "error");
        line["msg"].as_str().expect("a message").to_owned()
    };
    assert_ne!(with_log(&["state", &container.id]).code, 0);
    assert!(last_error().contains("does not exist"));
    assert_eq!(with_log(&["delete", "--force", &container.id]).code, 0, "nothing is left to delete");
    container.up();
    container.kill("KILL");
    assert_eq!(container.wait(), 128 + 9);
    assert_ne!(with_log(&["kill", &container.id, "9"]).code, 0);
    assert!(last_error().contains("container not running"));
    assert_eq!(
        with_log(&["kill", "--all", &container.id, "9"]).code,
        0,
        "shims make sure that nothing is left"
    );
}
