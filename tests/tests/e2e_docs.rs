//! What docs/engines.md tells people to put into files and to type, as it is written there.
//!
//! With the engines of `hack/engines`, in `make e2e`.
use std::fs;

use orlop_tests::engine::Suite;
use orlop_tests::{EngineRoom, Invocation, Running, events, need_engine, on_each_suite, runtime, shim};

on_each_suite!(containerd, docker, podman);

/// The first block of a language in the document that contains a text.
#[track_caller]
fn block(language: &str, with: &str) -> String {
    let path = runtime::workspace().join("docs/engines.md");
    let text = fs::read_to_string(path).expect("the document is there");
    let begin = format!("```{language}\n");
    let mut blocks = text.split(&begin).skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block);
    blocks.find(|block| block.contains(with)).unwrap_or_else(|| panic!("no {language} with {with}")).to_owned()
}

/// The commands of a block that shows a terminal, each with what follows.
fn typed(with: &str) -> Vec<(String, String)> {
    let block = block("console", with);
    let parts = block.split("# ").skip(1).filter_map(|part| part.split_once('\n'));
    parts.map(|(command, output)| (command.to_owned(), output.to_owned())).collect()
}

/// A place with orlop installed.
fn installed(suite: Suite) -> EngineRoom {
    let room = EngineRoom::of(suite);
    room.command("install").arg(runtime::binary()).arg(shim::binary()).args(["-t", "/usr/local/bin"]).ok();
    room
}

/// Writes a file of the place's own.
fn write(room: &EngineRoom, path: &str, text: &str) {
    let script = "mkdir -p \"${1%/*}\" && cat >\"$1\"";
    room.command("sh").args(["-c", script, "sh", path]).input(text.as_bytes()).ok();
}

/// Gives a directory of the place's own a file system that takes overlays.
fn plain(room: &EngineRoom, path: &str) {
    let to = room.home().join(path.replace('/', "-"));
    fs::create_dir(&to).expect("a new directory");
    room.command("mkdir").args(["-p", path]).ok();
    room.command("mount").arg("--bind").arg(to).arg(path).ok();
}

/// Starts a daemon with nothing said on its command line but what keeps it apart from others.
fn boot(command: Invocation, ready: &str) -> Running {
    let daemon = command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin").spawn();
    events::when_file(daemon.stderr_file(), |text| text.contains(ready));
    daemon
}

/// Makes an image in the form that `import` takes.
fn image(room: &EngineRoom) -> String {
    let layer = room.home().join("layer.tar").to_string_lossy().into_owned();
    room.command("tar").arg("-C").arg(room.rootfs()).args(["-cf", &layer, "."]).ok();
    layer
}

#[track_caller]
fn type_all(room: &EngineRoom, with: &str, change: impl Fn(&str) -> String) {
    let commands = typed(with);
    assert!(!commands.is_empty());
    for (command, output) in commands {
        let sh = room.command("sh").args(["-c", &change(&command)]);
        let out = sh.env("CONTAINERD_NAMESPACE", &room.id).env("STORAGE_DRIVER", "vfs").ok();
        assert_eq!(out.stdout, output, "{out}");
    }
}

fn containerd(suite: Suite) {
    need_engine!(suite, "containerd", "ctr");
    let room = installed(suite);
    let version = if suite == Suite::Sid { "version = 3" } else { "version = 2" };
    write(&room, "/etc/containerd/config.toml", &block("toml", version));
    plain(&room, "/var/lib/containerd");
    room.command("cp").arg("-a").arg(room.rootfs()).arg("/srv/busybox").ok();
    let _daemon = boot(room.command("containerd"), "containerd successfully booted");
    type_all(&room, "ctr run", str::to_owned);
    let dump = room.command("containerd").args(["config", "dump"]).ok().stdout;
    assert!(dump.contains("io.containerd.orlop.v2"), "{dump}");
    let plugins = room.command("ctr").args(["plugins", "list"]).ok();
    let cri = plugins.lines().into_iter().filter(|line| line.contains("cri")).collect::<Vec<_>>().join("\n");
    assert!(cri.contains(" ok") && !cri.contains("error"), "{cri}");
}

fn docker(suite: Suite) {
    need_engine!(suite, "dockerd", "docker");
    for kind in ["runtimeType", "\"path\""] {
        if suite == Suite::Bookworm && kind == "runtimeType" {
            continue;
        }
        let room = installed(suite);
        write(&room, "/etc/docker/daemon.json", &block("json", kind));
        plain(&room, "/var/lib/docker");
        let parent = format!("/{}", room.id);
        let _daemon = boot(room.command("dockerd").args(["--cgroup-parent", &parent]), "API listen on");
        room.command("docker").args(["import", "--change", "ENV PATH=/bin", &image(&room), "busybox"]).ok();
        type_all(&room, "docker run", str::to_owned);
    }
}

fn podman(suite: Suite) {
    need_engine!(suite, "podman", "conmon");
    let room = installed(suite);
    let toml = block("toml", "engine.runtimes");
    write(&room, "/etc/containers/containers.conf.d/orlop.conf", &toml);
    let machine = "[containers]\ndefault_ulimits = []\npids_limit = 0\nnetns = \"none\"\n\
                   [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n";
    write(&room, "/etc/containers/containers.conf.d/machine.conf", machine);
    let import = ["import", "--quiet", "--change", "ENV PATH=/bin", &image(&room), "localhost/busybox"];
    room.command("podman").args(import).env("STORAGE_DRIVER", "vfs").ok();
    let parent = format!("podman run --cgroup-parent /{} ", room.id);
    type_all(&room, "podman run", |command| command.replace("podman run ", &parent));
}
