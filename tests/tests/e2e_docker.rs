//! Docker Engine, as users drive it, with the runtime's command and with its shim.
//!
//! With the engines of `hack/engines`, in `make e2e`.
use orlop_tests::engine::Suite;
use orlop_tests::engine::docker::{Choice, Docker};
use orlop_tests::terminal::Terminal;
use orlop_tests::{need, need_engine, on_each_suite, runtime};
use rustix::process::Signal;
use std::fs;

on_each_suite!(
    command_run,
    shim_run,
    command_life,
    shim_life,
    command_build,
    shim_build,
    network,
    restart,
    compose,
    swarm
);

/// Starts a Docker Engine, or ends the test with SKIP.
macro_rules! docker {
    ($suite:expr, $choice:expr) => {
        docker!($suite, $choice, serde_json::json!({}))
    };
    ($suite:expr, $choice:expr, $more:expr) => {{
        need_engine!($suite, "dockerd", "docker");
        need!(runtime::is_orlop(), "the shim is orlop's");
        let old = $choice == Choice::Shim && $suite == Suite::Bookworm;
        need!(!old, "Docker 20.10 has no runtimeType in daemon.json");
        Docker::with($suite, $choice, &$more)
    }};
}

fn command_run(suite: Suite) {
    run(&docker!(suite, Choice::Command));
}

fn shim_run(suite: Suite) {
    run(&docker!(suite, Choice::Shim));
}

fn run(docker: &Docker) {
    let says = |flags: &[&str], script: &str| {
        let out = docker.run(&[&["--rm"], flags].concat(), &["sh", "-c", script]).output();
        (out.code, out.stdout + &out.stderr)
    };
    assert_eq!(says(&[], "echo hi; exit 7"), (7, "hi\n".to_owned()));
    assert_eq!(docker.run(&["--rm"], &["/nothing"]).output().code, 127, "not found, as docker reads it");
    assert_eq!(docker.run(&["--rm"], &["/etc/passwd"]).output().code, 126, "not executable");
    let limits = ["--memory", "64m", "--cpus", "0.5", "--pids-limit", "50", "--ulimit", "nofile=100:200"];
    assert_eq!(says(&limits, "ulimit -n; ulimit -Hn"), (0, "100\n200\n".to_owned()));
    assert_eq!(says(&["--user", "1000:1000"], "id -u"), (0, "1000\n".to_owned()));
    let read_only =
        ["--read-only", "--tmpfs", "/run", "--hostname", "box", "--env", "A=b", "--workdir", "/tmp"];
    let script = "touch /new 2>/dev/null || touch /run/new && echo $(hostname) $A $(pwd)";
    assert_eq!(says(&read_only, script), (0, "box b /tmp\n".to_owned()));
    assert_eq!(
        says(&["--cap-drop", "ALL"], "grep CapEff /proc/self/status").1,
        "CapEff:\t0000000000000000\n"
    );
    let may_mount = ["--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined"];
    assert_eq!(says(&may_mount, "mount -t tmpfs none /mnt && echo on").1, "on\n");
    assert_eq!(says(&["--init"], "cat /proc/1/comm").0, 0);
    assert_eq!(says(&["--network", "none"], "ls /sys/class/net").1, "lo\n");

    // A directory of the machine's, and a volume that two containers see.
    let shared = docker.room.home().join("shared");
    fs::create_dir(&shared).expect("a new directory");
    let volume = format!("{}:/mnt:rw", shared.display());
    assert_eq!(says(&["--volume", &volume], "echo hello >/mnt/made").0, 0);
    assert_eq!(fs::read_to_string(shared.join("made")).expect("it was made"), "hello\n");
    assert_eq!(says(&["--volume", "data:/mnt"], "echo kept >/mnt/file").0, 0);
    assert_eq!(says(&["--volume", "data:/mnt:ro"], "cat /mnt/file"), (0, "kept\n".to_owned()));

    let (mut terminal, peer) = Terminal::open();
    let tty = docker.run(&["--rm", "-it"], &["sh", "-c", "tty; read x; echo got $x; exit 4"]);
    let tty = tty.on(&peer).spawn();
    terminal.expect("/dev/pts/0");
    terminal.type_in("it\n");
    terminal.expect("got it");
    assert_eq!(tty.wait().code, 4);
}

fn command_life(suite: Suite) {
    life(&docker!(suite, Choice::Command));
}

fn shim_life(suite: Suite) {
    life(&docker!(suite, Choice::Shim));
}

fn life(docker: &Docker) {
    let script = "echo started; trap 'echo bye; exit 3' TERM; while :; do sleep 1000 & wait $!; done";
    let health = ["--health-cmd", "test -e /healthy", "--health-interval", "1s"];
    let flags = [&["--detach", "--name", "web"][..], &health].concat();
    let id = docker.run(&flags, &["sh", "-c", script]).ok().stdout;
    assert_eq!(docker.docker(&["exec", "web", "echo", "in"]).ok().stdout, "in\n");
    assert_eq!(docker.docker(&["exec", "web", "sh", "-c", "exit 9"]).output().code, 9);
    assert_eq!(docker.docker(&["exec", "--user", "1000", "web", "id", "-u"]).ok().stdout, "1000\n");
    assert_eq!(docker.docker(&["exec", "-i", "web", "cat"]).input(b"through\n").ok().stdout, "through\n");
    let (mut terminal, peer) = Terminal::open();
    let exec = docker.docker(&["exec", "-it", "web", "sh", "-c", "tty; read x; exit $x"]).on(&peer).spawn();
    terminal.expect("/dev/pts/");
    terminal.type_in("5\n");
    assert_eq!(exec.wait().code, 5);
    let stats = ["stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", "web"];
    let stats = docker.docker(&stats).ok().stdout;
    let (used, tasks) = (stats.split(' ').next().unwrap_or_default(), stats.trim().rsplit(' ').next());
    assert!(!used.starts_with("0B") && tasks.is_some_and(|tasks| tasks != "0"), "{stats}");
    assert!(docker.docker(&["top", "web"]).ok().stdout.contains("sleep 1000"));
    docker.docker(&["exec", "web", "touch", "/healthy"]).ok();
    let healthy =
        "until docker inspect -f '{{.State.Health.Status}}' web | grep -qx healthy; do sleep 0.2; done";
    docker.sh(healthy).ok();
    docker.docker(&["pause", "web"]).ok();
    let status = ["inspect", "--format", "{{.State.Status}}", "web"];
    assert_eq!(docker.docker(&status).ok().stdout, "paused\n");
    docker.docker(&["unpause", "web"]).ok();
    docker.docker(&["update", "--cpu-shares", "100", "--memory", "64m", "--memory-swap", "64m", "web"]).ok();
    docker.docker(&["cp", "web:/healthy", "/tmp/"]).ok();
    docker.docker(&["stop", "web"]).ok();
    assert_eq!(docker.docker(&["wait", "web"]).ok().stdout, "3\n");
    assert_eq!(docker.docker(&["logs", "web"]).ok().stdout, "started\nbye\n");
    docker.docker(&["restart", "web"]).ok();
    docker.docker(&["kill", "web"]).ok();
    assert_eq!(docker.docker(&["wait", "web"]).ok().stdout, "137\n");
    docker.docker(&["rm", "web"]).ok();
    docker.room.assert_nothing_left_of(id.trim());
}

fn command_build(suite: Suite) {
    build(&docker!(suite, Choice::Command));
}

fn shim_build(suite: Suite) {
    build(&docker!(suite, Choice::Shim));
}

/// By BuildKit, and by the builder before it, which starts containers as `run` does.
fn build(docker: &Docker) {
    let context = docker.room.home().join("context");
    fs::create_dir(&context).expect("a new directory");
    let file = "FROM busybox:test\nCOPY Dockerfile /copied\nRUN test -e /copied && echo built >/made\n\
                USER 1000\nWORKDIR /tmp\nRUN id -u >who\nCMD [\"cat\", \"/made\", \"who\"]\n";
    fs::write(context.join("Dockerfile"), file).expect("a new file");
    for buildkit in ["0", "1"] {
        let tag = format!("made:{buildkit}");
        let build = ["build", "--no-cache", "--network", "none", "--tag", &tag];
        docker.docker(&build).arg(&context).env("DOCKER_BUILDKIT", buildkit).ok();
        assert_eq!(docker.docker(&["run", "--rm", &tag]).ok().stdout, "built\n1000\n");
    }
}

/// Containers on a bridge of their own reach each other by name, and what they publish is reached from outside.
fn network(suite: Suite) {
    let docker = docker!(suite, Choice::Command);
    docker.docker(&["network", "create", "inner"]).ok();
    let serve = ["sh", "-c", "while :; do echo from $(hostname) | nc -l -p 80; done"];
    let flags =
        ["--detach", "--name", "web", "--hostname", "web", "--network", "inner", "--publish", "8080:80"];
    docker.run(&flags, &serve).ok();
    let ask =
        docker.run(&["--rm", "--network", "inner"], &["sh", "-c", "until nc web 80; do sleep 0.1; done"]);
    assert_eq!(ask.ok().stdout, "from web\n");
    let ask =
        docker.room.command("busybox").args(["sh", "-c", "until nc 127.0.0.1 8080; do sleep 0.1; done"]);
    assert_eq!(ask.input(b"").ok().stdout, "from web\n");
    docker.docker(&["rm", "--force", "web"]).ok();
    docker.docker(&["network", "rm", "inner"]).ok();
}

/// With `live-restore`, containers go on while the daemon is away, and it finds them again.
fn restart(suite: Suite) {
    let mut docker = docker!(suite, Choice::Shim, serde_json::json!({"live-restore": true}));
    let script = "trap 'exit 6' TERM; while :; do sleep 1000 & wait $!; done";
    docker.run(&["--detach", "--name", "web"], &["sh", "-c", script]).ok();
    docker.crash(Signal::KILL);
    docker.boot();
    let state = ["inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "web"];
    assert_eq!(docker.docker(&state).ok().stdout, "running 0\n");
    assert_eq!(docker.docker(&["exec", "web", "sh", "-c", "exit 8"]).output().code, 8);
    docker.docker(&["stop", "web"]).ok();
    assert_eq!(docker.docker(&state).ok().stdout, "exited 6\n");
}

fn compose(suite: Suite) {
    need_engine!(suite, "docker-compose");
    let docker = docker!(suite, Choice::Command);
    let file = "services:\n  web:\n    image: busybox:test\n    init: true\n\
                \x20   command: sh -c 'while :; do echo served | nc -l -p 80; done'\n\
                \x20   volumes: [\"data:/data\"]\n\
                \x20 client:\n    image: busybox:test\n    depends_on: [web]\n\
                \x20   command: sh -c 'until nc web 80 | grep served; do sleep 0.1; done; touch /data/x'\n\
                \x20   volumes: [\"data:/data\"]\nvolumes:\n  data: {}\n";
    // Debian 12 has version 1, which wants to be told the file's.
    let file = if suite == Suite::Bookworm { format!("version: \"3\"\n{file}") } else { file.to_owned() };
    docker.room.file("compose.yaml", &file);
    let compose = |args: &[&str]| {
        let file = docker.room.home().join("compose.yaml");
        docker.tool("docker-compose").arg("--file").arg(file).args(["--project-name", "both"]).args(args)
    };
    compose(&["up", "--detach"]).ok();
    let id = compose(&["ps", "--quiet", "--all", "client"]).output();
    let id = if id.code == 0 { id } else { compose(&["ps", "--quiet", "client"]).ok() };
    assert_eq!(docker.docker(&["wait", id.stdout.trim()]).ok().stdout, "0\n");
    assert!(docker.docker(&["logs", id.stdout.trim()]).ok().stdout.contains("served"));
    assert_eq!(compose(&["exec", "-T", "web", "ls", "/data"]).ok().stdout, "x\n");
    compose(&["down", "--volumes"]).ok();
    assert_eq!(docker.docker(&["ps", "--all", "--quiet"]).ok().stdout, "");
}

/// One node, a service of two tasks.
fn swarm(suite: Suite) {
    let docker = docker!(suite, Choice::Command);
    docker.docker(&["swarm", "init", "--advertise-addr", "127.0.0.1"]).ok();
    let service = ["service", "create", "--quiet", "--name", "web", "--replicas", "2", "--network", "host"];
    let sleep = "trap exit TERM; sleep 1000 & wait";
    docker.docker(&service).args(["--no-resolve-image", "busybox:test", "sh", "-c", sleep]).ok();
    let tasks =
        ["service", "ps", "--filter", "desired-state=running", "--format", "{{.CurrentState}}", "web"];
    let tasks = docker.docker(&tasks).ok();
    assert_eq!(tasks.lines().iter().filter(|line| line.starts_with("Running")).count(), 2, "{tasks}");
    docker.docker(&["service", "rm", "web"]).ok();
    docker.docker(&["swarm", "leave", "--force"]).ok();
}
