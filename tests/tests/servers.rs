//! Real servers from a Debian root file system, as an engine would run them: seccomp, dropped capabilities, limits,
//! a user namespace, a network namespace; spoken to by their real clients.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use orlop_tests::seccomp::engine_profile;
use orlop_tests::spec::{HOST_ID, add_user_namespace};
use orlop_tests::{Container, Invocation, cgroup, events, need, rootfs, spec};
use serde_json::{Value, json};

/// A server's container and where its output goes.
struct Server {
    container: Container,
    output: PathBuf,
    errors: PathBuf,
    rootfs: PathBuf,
}

/// A command that makes the shared root visible below the container's home, where mapped users can reach it, in a
/// mount namespace of its own.
fn within_reach(rootfs: &Path, place: &Path) -> Vec<String> {
    let script = format!("mount --bind {} {} && exec \"$@\"", rootfs.display(), place.display());
    let words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", &script, "sh"];
    words.map(str::to_owned).into()
}

impl Server {
    /// A server that will run `args` under all restrictions, with writable places in memory and `/shared`, a
    /// directory that it has in common with the test.
    fn new(rootfs: PathBuf, args: &[&str]) -> Self {
        let mut container = Container::new(args);
        let place = container.home().join("root");
        let shared = container.home().join("shared");
        for directory in [&place, &shared] {
            fs::create_dir(directory).expect("a new directory");
        }
        rustix::fs::chmod(&shared, 0o777.into()).expect("our own directory");
        container.set("/root/path", place.to_string_lossy().as_ref());
        container.set("/process/env/0", "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
        container.set("/linux/seccomp", engine_profile());
        add_user_namespace(&mut container.bundle.config, &[(0, HOST_ID, 65536)]);
        for place in ["/tmp", "/run", "/var/lib/nginx", "/var/log/nginx"] {
            let options = json!(["nosuid", "nodev", "mode=1777", "size=16m"]);
            container.push(
                "/mounts",
                json!({"destination": place, "type": "tmpfs", "source": "tmpfs", "options": options}),
            );
        }
        let source = shared.to_string_lossy().into_owned();
        container
            .push("/mounts", json!({"destination": "/mnt", "source": source, "options": ["bind", "rw"]}));
        for (controller, pointer, value) in [
            ("memory", "memory/limit", json!(256 << 20)),
            ("pids", "pids/limit", json!(64)),
            ("cpu", "cpu/quota", json!(200_000)),
        ] {
            if cgroup::controller(controller).is_some() {
                container.set(&format!("/linux/resources/{pointer}"), value);
            }
        }
        Self { container, output: PathBuf::new(), errors: PathBuf::new(), rootfs }
    }

    /// Creates and starts it; its output is that of `create`.
    fn up(&mut self) {
        let pid_file = self.container.pid_file();
        let flags = ["--pid-file".as_ref(), pid_file.as_os_str()];
        let reach = within_reach(&self.rootfs, &self.container.home().join("root"));
        let create = self.container.with_bundle("create", &flags).within(&reach).spawn();
        create.stdout_file().clone_into(&mut self.output);
        self.errors = self.output.with_extension("err");
        create.wait().ok();
        self.container.adopt();
        self.container.start();
    }

    /// A client on the host, in the network namespace of the server.
    fn client(&self, args: &[&str]) -> Invocation {
        let namespace = format!("--net=/proc/{}/ns/net", self.container.pid());
        Invocation::new("nsenter", &self.container.io()).arg(namespace).args(args)
    }

    /// An answer of Redis.
    fn redis(&self, words: &[&str]) -> String {
        let out = self.client(&[&["redis-cli", "--raw"], words].concat()).ok();
        out.stdout.trim().to_owned()
    }

    /// Stops it as an engine does.
    fn stop(&self) {
        self.container.kill("TERM");
        assert_eq!(self.container.wait(), 0, "SIGTERM reaches it, and it ends in order");
        self.container.delete();
    }
}

/// The user and group ids that a user has in a root file system.
fn ids(rootfs: &Path, name: &str) -> (u32, u32) {
    let text = fs::read_to_string(rootfs.join("etc/passwd")).expect("it has users");
    let line =
        text.lines().find(|line| line.starts_with(&format!("{name}:"))).expect("the package made a user");
    let number = |n: usize| line.split(':').nth(n).and_then(|field| field.parse().ok()).expect("a number");
    (number(2), number(3))
}

/// A Redis as its own user, without any capability, with `lo` brought up by a hook as network plugins do it.
fn redis(rootfs: PathBuf) -> Server {
    let (uid, gid) = ids(&rootfs, "redis");
    let args = ["redis-server", "--bind", "127.0.0.1", "--save", "", "--dir", "/tmp"];
    let mut server = Server::new(rootfs, &args);
    let hook = server.container.home().join("lo-up");
    let script = "#!/bin/sh\npid=$(jq .pid)\nexec nsenter --net=/proc/$pid/ns/net ip link set lo up\n";
    fs::write(&hook, script).expect("a new file");
    rustix::fs::chmod(&hook, 0o755.into()).expect("our own file");
    let path = hook.to_string_lossy().into_owned();
    let env = format!("PATH={}", std::env::var("PATH").unwrap_or_default());
    server
        .container
        .push("/hooks/createRuntime", json!({"path": path, "env": [env]}))
        .set("/process/user", json!({"uid": uid, "gid": gid}))
        .set("/process/capabilities", json!({}));
    server.up();
    events::when_file(&server.output, |text| text.contains("Ready to accept connections"));
    server
}

macro_rules! debian {
    () => {
        match rootfs::debian() {
            Ok(path) => path,
            Err(why) => {
                need::skip(&why);
                return;
            }
        }
    };
}

#[test]
fn redis_serves_under_every_restriction() {
    let rootfs = debian!();
    let server = redis(rootfs.clone());
    assert_eq!(server.redis(&["SET", "greeting", "hello from a container"]), "OK");
    assert_eq!(server.redis(&["GET", "greeting"]), "hello from a container");

    let status = fs::read_to_string(format!("/proc/{}/status", server.container.pid())).expect("it runs");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("it is in status");
        line.split_whitespace().next().expect("a value").to_owned()
    };
    let (uid, _) = ids(&rootfs, "redis");
    assert_eq!(field("Uid:"), (HOST_ID + uid).to_string(), "mapped to a user without meaning on the host");
    assert_eq!(field("CapBnd:"), "0000000000000000");
    assert_eq!((field("Seccomp:"), field("NoNewPrivs:")), ("2".to_owned(), "1".to_owned()));
    server.stop();
}

#[test]
fn redis_takes_a_load_within_its_limits() {
    let server = redis(debian!());
    let run = ["redis-benchmark", "-q", "-n", "2000", "-c", "10", "-t", "set,get,lpush"];
    server.client(&run).ok();
    assert_eq!(server.redis(&["LLEN", "mylist"]), "2000");
    if cgroup::controller("pids").is_some() {
        let current = cgroup::read(server.container.pid(), "pids", "pids.current", "pids.current");
        assert!(current.parse::<u32>().expect("a number") > 1, "its threads are counted");
    }
    server.stop();
}

#[test]
fn pause_freezes_a_counter_in_redis_and_resume_lets_it_go_on() {
    let server = redis(debian!());
    let container = &server.container;
    let log = container.home().join("shared/log");
    fs::write(&log, "").expect("a new file");
    rustix::fs::chmod(&log, 0o666.into()).expect("our own file");
    container.exec_detached(&[], &["sh", "-c", "exec redis-cli -r -1 INCR counter >/mnt/log"]);
    events::when_file(&log, |text| text.lines().count() > 10);

    container.command::<&str>("pause", &[]).ok();
    // What was on its way through the page cache has arrived when pause returns: from here on nothing moves.
    let frozen_at = fs::metadata(&log).expect("it is there").len();
    assert!(!events::changes(&log, Duration::from_millis(300)), "the counter runs on while paused");
    assert_eq!(fs::metadata(&log).expect("it is there").len(), frozen_at);

    container.command::<&str>("resume", &[]).ok();
    assert!(events::changes(&log, orlop_tests::command::patience()), "the counter stands still after resume");
    let first: u64 = server.redis(&["GET", "counter"]).parse().expect("a number");
    events::changes(&log, orlop_tests::command::patience());
    let second: u64 = server.redis(&["GET", "counter"]).parse().expect("a number");
    assert!(second > first, "{first} then {second}");
    container.kill("KILL");
    for process in container.take_detached() {
        process.reap();
    }
    assert_eq!(container.wait(), 128 + 9);
}

/// A network namespace made by `ip netns`, as some engines do.
struct NetworkNamespace(String);

impl NetworkNamespace {
    fn new(name: &str) -> Self {
        let made = Command::new("ip").args(["netns", "add", name]).status().expect("ip starts");
        assert!(made.success(), "ip netns add {name}");
        let up =
            Command::new("ip").args(["-n", name, "link", "set", "lo", "up"]).status().expect("ip starts");
        assert!(up.success(), "lo comes up in {name}");
        Self(name.to_owned())
    }
}

impl Drop for NetworkNamespace {
    fn drop(&mut self) {
        Command::new("ip").args(["netns", "delete", &self.0]).status().ok();
    }
}

#[test]
fn nginx_serves_in_a_network_namespace_made_by_ip_netns() {
    let rootfs = debian!();
    let configuration = "daemon off; user www-data; worker_processes 2; pid /run/nginx.pid; error_log stderr notice;\n\
                         events {}\n\
                         http { access_log off; server { listen 127.0.0.1:80; root /mnt; } }\n";
    let mut server = Server::new(rootfs, &["nginx", "-c", "/mnt/nginx.conf"]);
    // A name of its own: it outlives the container, whose id must be nowhere by then.
    let namespace = NetworkNamespace::new(&server.container.id.replace("ot-", "net-"));
    let shared = server.container.home().join("shared");
    fs::write(shared.join("nginx.conf"), configuration).expect("a new file");
    fs::write(shared.join("page"), "x".repeat(100_000)).expect("a new file");
    let capabilities: Value = json!(["CAP_SETUID", "CAP_SETGID", "CAP_CHOWN", "CAP_NET_BIND_SERVICE"]);
    let sets = json!({"bounding": capabilities, "permitted": capabilities, "effective": capabilities});
    server.container.bundle.remove_namespace("network");
    let path = format!("/run/netns/{}", namespace.0);
    server.container.push("/linux/namespaces", json!({"type": "network", "path": path}));
    server.container.set("/process/capabilities", sets);
    // The namespace is not the user namespace's: there sysfs cannot be mounted, only bound as engines do, and port 80
    // is not the container's root's to take.
    spec::bind_sys(&mut server.container.bundle.config);
    let port_80 = Command::new("ip")
        .args([
            "netns",
            "exec",
            &namespace.0,
            "sh",
            "-c",
            "echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start",
        ])
        .status();
    assert!(port_80.expect("ip starts").success());
    server.up();
    events::when_file(&server.errors, |text| text.contains("start worker process "));

    let page = server.client(&["curl", "--silent", "--show-error", "--fail", "http://127.0.0.1/page"]).ok();
    assert_eq!(page.stdout.len(), 100_000);
    let missing = server.client(&[
        "curl",
        "--silent",
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code}",
        "http://127.0.0.1/no",
    ]);
    assert_eq!(missing.ok().stdout, "404");
    let json = server.container.command("ps", &["--format", "json"]).ok();
    let pids: Vec<i32> = serde_json::from_str(&json.stdout).expect("a list of numbers");
    assert_eq!(pids.len(), 3, "a master and two workers: {pids:?}");
    server.stop();
    drop(namespace);
}
