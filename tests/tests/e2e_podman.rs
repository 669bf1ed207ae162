//! Podman, as users drive it, with the runtime's command.
//!
//! With what is installed here in every run of the tests; with the engines of `hack/engines` in `make e2e`.
use std::fs;

use orlop_tests::engine::Suite;
use orlop_tests::engine::podman::Podman;
use orlop_tests::terminal::Terminal;
use orlop_tests::{cgroup, need_engine, on_each_suite, on_suite};

on_each_suite!(run, life, build, network, pod, kube);
on_suite!(installed, run, life);

/// Makes a Podman, or ends the test with SKIP.
macro_rules! podman {
    ($suite:expr) => {{
        need_engine!($suite, "podman", "conmon");
        Podman::new($suite)
    }};
}

fn run(suite: Suite) {
    let podman = podman!(suite);
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
    let run =
        podman.run(&["--rm", "-it"], &["sh", "-c", "tty; read x; echo got $x; exit 4"]).on(&peer).spawn();
    terminal.expect("/dev/pts/0");
    terminal.type_in("it\n");
    terminal.expect("got it");
    assert_eq!(run.wait().code, 4);
}

fn life(suite: Suite) {
    let podman = podman!(suite);
    let script = "echo started; trap 'echo bye; exit 3' TERM; while :; do sleep 1000 & wait $!; done";
    let id = podman
        .run(&["--detach", "--name", "web", "--health-cmd", "test -e /healthy"], &["sh", "-c", script])
        .ok()
        .stdout;
    assert_eq!(podman.command(&["exec", "web", "echo", "in"]).ok().stdout, "in\n");
    assert_eq!(podman.command(&["exec", "web", "sh", "-c", "exit 9"]).output().code, 9);
    assert_eq!(podman.command(&["exec", "--user", "1000", "web", "id", "-u"]).ok().stdout, "1000\n");
    if cgroup::controller("memory").is_some() {
        let stats = ["stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDS}}", "web"];
        let stats = podman.command(&stats).ok().stdout;
        let (used, tasks) = (stats.split(' ').next().unwrap_or_default(), stats.trim().rsplit(' ').next());
        assert!(!used.starts_with("0B") && tasks.is_some_and(|tasks| tasks != "0"), "{stats}");
    }
    assert!(podman.command(&["top", "web"]).ok().stdout.contains("sleep 1000"));
    podman.command(&["pause", "web"]).ok();
    let status = ["inspect", "--format", "{{.State.Status}}", "web"];
    assert_eq!(podman.command(&status).ok().stdout, "paused\n");
    podman.command(&["unpause", "web"]).ok();
    podman.command(&["healthcheck", "run", "web"]).output().fails_with("");
    podman.command(&["exec", "web", "touch", "/healthy"]).ok();
    podman.command(&["healthcheck", "run", "web"]).ok();
    podman.command(&["stop", "web"]).ok();
    assert_eq!(podman.command(&["wait", "web"]).ok().stdout, "3\n");
    assert_eq!(podman.command(&["logs", "web"]).ok().stdout, "started\nbye\n");
    podman.command(&["rm", "web"]).ok();
    podman.0.assert_nothing_left_of(id.trim());
}

fn build(suite: Suite) {
    let podman = podman!(suite);
    let context = podman.0.home().join("context");
    fs::create_dir(&context).expect("a new directory");
    let file = "FROM busybox:test\nCOPY Containerfile /copied\nRUN test -e /copied && echo built >/made\n\
                USER 1000\nWORKDIR /tmp\nRUN id -u >who\nCMD [\"cat\", \"/made\", \"who\"]\n";
    fs::write(context.join("Containerfile"), file).expect("a new file");
    let parent = format!("/{}", podman.0.id);
    let flags =
        ["build", "--network", "none", "--isolation", "oci", "--cgroup-parent", &parent, "--tag", "made"];
    // Buildah asks for more than a machine may have that does not let root raise limits.
    let limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];
    podman.command(&flags).args(limits).arg(&context).ok();
    let run = ["run", "--rm", "--cgroup-parent", &parent, "localhost/made"];
    assert_eq!(podman.command(&run).ok().stdout, "built\n1000\n");
}

/// What a container on the bridge publishes is reached from outside.
fn network(suite: Suite) {
    let podman = podman!(suite);
    let serve = ["sh", "-c", "while :; do echo from $(hostname) | nc -l -p 80; done"];
    let flags =
        ["--detach", "--name", "web", "--hostname", "web", "--network", "bridge", "--publish", "8080:80"];
    podman.run(&flags, &serve).ok();
    let ask = podman.0.command("busybox").args(["sh", "-c", "until nc 127.0.0.1 8080; do sleep 0.1; done"]);
    assert_eq!(ask.input(b"").ok().stdout, "from web\n");
    podman.command(&["rm", "--force", "--time", "0", "web"]).ok();
}

fn pod(suite: Suite) {
    let podman = podman!(suite);
    let parent = format!("/{}", podman.0.id);
    podman
        .command(&["pod", "create", "--name", "both", "--network", "none", "--cgroup-parent", &parent])
        .ok();
    let serve = ["sh", "-c", "while :; do echo in the pod | nc -l -p 80; done"];
    podman.command(&["run", "--detach", "--pod", "both", "busybox:test"]).args(serve).ok();
    let ask = ["sh", "-c", "until nc 127.0.0.1 80; do sleep 0.1; done"];
    let ask = podman.command(&["run", "--rm", "--pod", "both", "busybox:test"]).args(ask);
    assert_eq!(ask.ok().stdout, "in the pod\n");
    let state = ["pod", "inspect", "--format", "{{.State}} {{.NumContainers}}", "both"];
    assert_eq!(podman.command(&state).ok().stdout, "Running 2\n");
    podman.command(&["pod", "stop", "--time", "0", "both"]).ok();
    podman.command(&["pod", "rm", "both"]).ok();
    assert_eq!(podman.command(&["ps", "--all", "--quiet"]).ok().stdout, "");
}

fn kube(suite: Suite) {
    let podman = podman!(suite);
    let container = |name: &str| {
        let command = "[\"sh\", \"-c\", \"trap exit TERM; sleep 1000 & wait\"]";
        format!("  - {{name: {name}, image: \"localhost/busybox:test\", command: {command}}}\n")
    };
    let pod =
        "apiVersion: v1\nkind: Pod\nmetadata: {name: kube}\nspec:\n  restartPolicy: Never\n  containers:\n";
    let text = format!("{pod}{}{}", container("one"), container("two"));
    let file = podman.0.file("pod.yaml", &text).to_string_lossy().into_owned();
    podman.command(&["kube", "play", "--network", "none", &file]).ok();
    for name in ["kube-one", "kube-two"] {
        assert_eq!(podman.command(&["exec", name, "hostname"]).ok().stdout, "kube\n");
    }
    podman.command(&["kube", "down", &file]).ok();
    assert_eq!(podman.command(&["ps", "--all", "--quiet"]).ok().stdout, "");
}
