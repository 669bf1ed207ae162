//! `orlop doctor` tells what anybody has left, what removes it, and nothing that is in use.
//!
//! Each test makes leftovers by hand and looks for these only: others may be on the machine.
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use orlop_tests::command::patience;
use orlop_tests::rootless::Rootless;
use orlop_tests::{Container, Fifo, Invocation, ProcessHandle, cgroup, need, runtime};
use serde_json::Value;

/// What is in use is known only to those who see all processes of the machine.
fn sees_all() -> bool {
    fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link == Path::new("pid:[4026531836]"))
}

/// Whether a program runs.
fn runs(name: &str) -> bool {
    let processes = fs::read_dir("/proc").expect("procfs is mounted").flatten();
    let mut names = processes.filter_map(|entry| fs::read_to_string(entry.path().join("comm")).ok());
    names.any(|found| found.trim() == name)
}

/// A leftover that a doctor told of: what and why, and what removes it.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    what: String,
    remedy: String,
}

/// What a doctor said is left, of a kind, with a word in it.
fn left(said: &str, kind: &str, word: &str) -> Vec<Left> {
    let diagnosis: Value = serde_json::from_str(said).unwrap_or_else(|e| panic!("{e}: {said}"));
    let checks = diagnosis["checks"].as_array().expect("a list");
    let text = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    let of_kind = checks.iter().filter(|check| check["group"] == "Leftovers" && check["name"] == kind);
    let warnings = of_kind.filter(|check| check["outcome"] == "warn");
    let all = warnings.map(|check| Left { what: text(check, "what"), remedy: text(check, "remedy") });
    all.filter(|left| left.what.contains(word)).collect()
}

/// What a doctor who is not of the container's own root of state says.
fn ask(container: &Container, kind: &str, word: &str) -> Vec<Left> {
    let elsewhere = container.home().join("elsewhere");
    let out = Invocation::new(runtime::binary(), &container.io())
        .arg("--root")
        .arg(elsewhere)
        .args(["doctor", "--format", "json"])
        .ok();
    left(&out.stdout, kind, word)
}

/// Does what a doctor has proposed.
fn follow(container: &Container, left: &[Left]) {
    let [one] = left else { panic!("one, not {left:?}") };
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", runtime::binary().parent().expect("a directory").display());
    Invocation::new("sh", &container.io()).env("PATH", path).args(["-ec", &one.remedy]).ok();
}

/// Makes something look as if it were there for long.
fn make_old(path: &Path) {
    let old = SystemTime::now() - Duration::from_secs(7200);
    File::open(path).and_then(|file| file.set_modified(old)).expect("our own directory");
}

/// Where cgroups of version 2 are.
fn unified() -> PathBuf {
    cgroup::hierarchies().into_iter().find(|hierarchy| hierarchy.unified).expect("version 2").mount
}

/// The directory of a new cgroup in version 2.
fn new_cgroup(name: &str) -> PathBuf {
    let path = unified().join(name);
    fs::create_dir(&path).expect("a new cgroup");
    path
}

/// An id as engines give it, that nobody else has.
fn long_id(container: &Container) -> String {
    let mut hasher = DefaultHasher::new();
    container.id.hash(&mut hasher);
    format!("{:064x}", hasher.finish())
}

/// A process that stays, and that is ended with the test.
struct Staying(Child);

impl Staying {
    /// A program by another name.
    fn named(name: &str, directory: &Path, command: &[&str], stdin: impl Into<Stdio>) -> Self {
        let (program, link) = (Path::new(command[0]), directory.join(name));
        // Not a copy: it could not be executed while another thread's child has it open for writing.
        symlink(runtime::in_path(program).expect("it is installed"), &link).expect("a new link");
        let mut started = Command::new(&link);
        // What it is called by matters to those that are many programs in one.
        started.arg0(program).args(&command[1..]).stdin(stdin);
        Self(started.spawn().expect("it starts"))
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Staying {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("our own child");
    }
}

#[test]
fn cgroups_of_containers_that_are_gone() {
    need!(runtime::is_orlop(), "a command of ours");
    let container = Container::sh("true");
    let name = format!("docker-{}.scope", long_id(&container));
    let group = new_cgroup(&name);
    fs::create_dir(group.join("init")).expect("a cgroup below");
    let ask = || ask(&container, "cgroups", &name);
    assert_eq!(ask(), [], "it may be one that is being made");
    make_old(&group);
    let found = ask();
    assert!(found[0].what.contains("as Docker makes"), "{found:?}");
    let process = Staying::named("inside", container.home(), &["sleep", "1000"], Stdio::null());
    fs::write(group.join("init/cgroup.procs"), process.pid()).expect("our own process");
    assert_eq!(ask(), [], "a process is in it");
    let handle = ProcessHandle::open(process.0.id() as i32).expect("our own child");
    drop(process);
    assert!(handle.wait(patience()));
    make_old(&group);
    follow(&container, &ask());
    assert!(!group.exists());
    assert_eq!(ask(), []);
}

#[test]
fn cgroups_and_processes_of_orlop_at_another_root() {
    need!(runtime::is_orlop(), "a command of ours");
    need!(sees_all(), "a PID namespace of its own");
    let container = Container::lasting();
    container.create();
    let processes = || ask(&container, "processes", &container.state_root().display().to_string());
    let cgroups = || {
        ask(
            &container,
            "cgroups",
            &format!("{}, is gone", container.state_root().join(&container.id).display()),
        )
    };
    assert_eq!((processes(), cgroups()), (vec![], vec![]), "it can be started");
    fs::remove_dir_all(container.state_root().join(&container.id)).expect("the state");
    assert_eq!(cgroups(), [], "a process is in it");
    let waiting = processes();
    assert!(waiting[0].what.contains(&format!("process {} ", container.pid())), "{waiting:?}");
    follow(&container, &waiting);
    container.wait();
    assert_eq!(processes(), []);
    let found = cgroups();
    // The default configuration has rules of devices, which are a program of version 2.
    assert!(found[0].what.contains("with a device program"), "{found:?}");
    follow(&container, &found);
    assert_eq!(cgroups(), []);
    container.assert_no_leaks();
}

/// Typed into a shell whose `/run` is its own. What it starts has no name of ours in its command line.
const ROOM: &str = r#"
set -e
mount -t tmpfs -o mode=755 none /run
doctor() { "$ORLOP" --root "$ROOT" doctor --format json >"$OUT/$1"; }
task=/run/containerd/io.containerd.runtime.v2.task/default/$ID
net=/run/netns/netns-$UUID
mkdir -p $task/rootfs /run/netns /run/containerd/s
mount --bind "$OUT/s" /run/containerd/s
mount -t tmpfs none $task/rootfs
touch -d '2 hours ago' $task /run/containerd/s/*
: >$net
unshare --net sh -c 'mount --bind /proc/self/ns/net "$0"' $net
# Of another container than the bundle above. It stands for a file system of pinned programs, which takes no other files.
mount -t tmpfs none /sys/fs/bpf
mkdir /sys/fs/bpf/crun
: >"/sys/fs/bpf/crun/crun-p${ID}_scope"
touch -d '2 hours ago' /sys/fs/bpf/crun/*
doctor left
mkdir "$GROUP"
mkfifo "$OUT/ready"
(cd $task/rootfs && exec nsenter --net=$net sh -c 'echo >"$OUT/ready"; exec sleep 1000') &
read -r line <"$OUT/ready"
doctor used
kill $!
wait $! || true
umount $task/rootfs
umount $net
rmdir "$GROUP"
rm $net /run/containerd/s/dead /sys/fs/bpf/crun/*
doctor gone
"#;

#[test]
fn mounts_networks_sockets_and_pins_that_nobody_uses() {
    need!(runtime::is_orlop(), "a command of ours");
    need!(sees_all(), "a PID namespace of its own");
    need!(!runs("podman") && !runs("buildah"), "the network could be one that Podman is making");
    let container = Container::sh("true");
    let io = container.io();
    fs::create_dir(io.join("s")).expect("our own directory");
    drop(UnixListener::bind(io.join("s/dead")).expect("a socket"));
    let served = UnixListener::bind(io.join("s/served")).expect("a socket");
    let uuid = format!("00000000-0000-0000-0000-{:012x}", std::process::id());
    Invocation::new("unshare", &io)
        .args(["--mount", "--propagation", "private", "sh"])
        .env("ORLOP", runtime::binary())
        .env("ROOT", container.state_root())
        .env("OUT", &io)
        .env("ID", &container.id)
        .env("GROUP", unified().join(format!("crun-p{}.scope", container.id)))
        .env("UUID", &uuid)
        .input(ROOM.as_bytes())
        .ok();
    let said = |moment: &str| fs::read_to_string(io.join(moment)).expect("what it said");
    let network = |moment| left(&said(moment), "network namespaces", &uuid);
    let mount = |moment| left(&said(moment), "mounts", &container.id);
    let socket = |moment, name| left(&said(moment), "sockets", &format!("/run/containerd/s/{name},"));
    let pin = |moment| left(&said(moment), "device programs", &container.id);
    assert!(network("left")[0].remedy.starts_with("umount /run/netns/netns-"), "{}", said("left"));
    assert!(mount("left")[0].remedy.ends_with("/rootfs"), "{}", said("left"));
    assert_eq!(socket("left", "dead")[0].remedy, "rm /run/containerd/s/dead");
    assert_eq!(pin("left")[0].remedy, format!("rm /sys/fs/bpf/crun/crun-p{}_scope", container.id));
    assert_eq!((network("used"), mount("used"), pin("used")), (vec![], vec![], vec![]));
    assert_eq!(socket("used", "dead").len(), 1);
    assert_eq!((network("gone"), mount("gone")), (vec![], vec![]));
    assert_eq!((socket("gone", "dead"), pin("gone")), (vec![], vec![]));
    for moment in ["left", "used", "gone"] {
        assert_eq!(socket(moment, "served"), []);
    }
    drop(served);
}

#[test]
fn a_shim_that_nobody_needs() {
    need!(runtime::is_orlop(), "a command of ours");
    need!(sees_all(), "a PID namespace of its own");
    let container = Container::sh("true");
    let address = container.home().join("containerd.sock");
    let listener = UnixListener::bind(&address).expect("a socket");
    let address = address.to_str().expect("our own path");
    let words = ["-namespace", "default", "-id", &container.id, "-address", address];
    let command = [&["sh", "-c", "read -r line", "sh"], &words[..]].concat();
    let shim = Staying::named("containerd-shim-none-v2", container.home(), &command, Stdio::piped());
    let ask = || ask(&container, "processes", &format!("process {} ", shim.pid()));
    assert_eq!(ask(), [], "containerd is there");
    drop(listener);
    let found = ask();
    assert!(found[0].what.contains("(containerd-shim)"), "{found:?}");
    assert!(found[0].remedy.ends_with(&format!("kill {}", shim.pid())), "{found:?}");
}

#[test]
fn a_process_at_a_gate_that_is_gone() {
    need!(runtime::is_orlop(), "a command of ours");
    let container = Container::sh("true");
    let state = container.home().join("gate");
    fs::create_dir(&state).expect("a new directory");
    let fifo = Fifo::make(&state.join("exec.fifo"));
    let open = File::options().read(true).write(true).open(fifo.path()).expect("our own fifo");
    let waiting = Staying::named("runc", container.home(), &["sleep", "1000"], open);
    let ask = || ask(&container, "processes", &format!("process {} ", waiting.pid()));
    assert_eq!(ask(), [], "it can be started");
    fs::remove_dir_all(&state).expect("our own directory");
    let found = ask();
    assert!(found[0].what.contains(&state.display().to_string()), "{found:?}");
    assert_eq!(found[0].remedy, format!("kill -KILL {}", waiting.pid()));
}

#[test]
fn a_zombie_whose_container_is_gone() {
    need!(runtime::is_orlop(), "a command of ours");
    let container = Container::sh("true");
    let group = new_cgroup(&container.id);
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("cat(1)");
    fs::write(group.join("cgroup.procs"), child.id().to_string()).expect("our own process");
    let handle = ProcessHandle::open(child.id() as i32).expect("our own child");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(b"the end\n").expect("it reads");
    drop(stdin);
    assert!(handle.wait(patience()));
    let word = format!(" {} (cat)", child.id());
    let ask = || ask(&container, "processes", &word);
    assert_eq!(ask(), [], "its container is there");
    fs::remove_dir(&group).expect("nobody is in it");
    let found = ask();
    assert!(found[0].what.contains(&format!("parent is {} ", std::process::id())), "{found:?}");
    child.wait().expect("our own child");
    assert_eq!(ask(), []);
}

#[test]
fn who_may_not_look_is_told_so() {
    need!(runtime::is_orlop(), "a command of ours");
    let rootless = Rootless::new("true", |_| ());
    // Where users can make no containers it is 1.
    let out = rootless.plain(&["doctor", "--format", "json"]).output();
    assert!(out.stdout.contains("\"keyrings\""), "{out}");
    assert_eq!(left(&out.stdout, "network namespaces", ""), [], "{out}");
}
