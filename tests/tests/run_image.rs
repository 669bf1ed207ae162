//! `orlop run IMAGE`: containers of images, with options named as Docker's.
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;

use orlop_tests::command::patience;
use orlop_tests::images::Place;
use orlop_tests::unprivileged::{USER, Unprivileged};
use orlop_tests::{Invocation, ledger, need, runtime};
use serde_json::{Value, json};

#[test]
fn an_image_runs_as_it_says_and_leaves_nothing() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    let place = Place::new();
    assert_eq!(place.run(&["--rm"], &[]).ok().stdout, "hello\n");
    assert_eq!(
        place.prints(&[], "pwd; echo $WHO; cat /proc/self/status | grep -c 'Seccomp:.2'"),
        "/srv\nimage\n1\n"
    );
    let out = place.run(&["--rm", "--name", "ot-ends"], &["sh", "-c", "exit 7"]);
    assert_eq!(out.code, 7, "{out}");
    place.is_clean("ot-ends");
}

#[test]
fn what_a_container_changes_is_its_own() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    let place = Place::new();
    assert_eq!(place.prints(&[], "echo x >/new; rm /etc/group; ls / | grep new"), "new\n");
    assert_eq!(place.prints(&[], "ls /new /etc/group 2>/dev/null; true"), "/etc/group\n");
    let out = place.run(&["--rm", "--read-only", "--tmpfs", "/t"], &["sh", "-c", "echo >/t/a && echo >/b"]);
    assert!(out.code != 0 && out.stderr.contains("Read-only file system"), "{out}");
}

#[test]
fn users_are_looked_up_in_the_image() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    let place = Place::of(&json!({"Env": ["PATH=/bin"], "User": "web"}));
    assert_eq!(place.prints(&[], "id -u; id -g; id -G"), "33\n34\n34 77\n");
    assert_eq!(place.prints(&["-u", "0:web"], "id -u; id -g"), "0\n34\n");
    assert_eq!(place.prints(&[], "grep CapEff /proc/self/status"), "CapEff:\t0000000000000000\n");
    place.run(&["--rm", "-u", "nobody"], &["id"]).fails_with("nobody");
    assert_eq!(place.homes(), Vec::<String>::new());
}

#[test]
fn options_have_their_effect() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    let place = Place::new();
    let file = place.path("variables");
    fs::write(&file, "# some\nB=2\n").expect("a new file");
    let env_file = file.display().to_string();
    assert_eq!(
        place.prints(&["-e", "A=1", "--env-file", &env_file, "-w", "/tmp"], "echo $A$B; pwd"),
        "12\n/tmp\n"
    );
    assert_eq!(
        place.prints(&["-h", "deck", "--add-host", "db:10.0.0.9"], "hostname; grep db /etc/hosts"),
        "deck\n10.0.0.9\tdb\n"
    );
    assert_eq!(place.prints(&["--dns", "9.9.9.9"], "grep -c 9.9.9.9 /etc/resolv.conf"), "1\n");
    assert_eq!(place.prints(&["--ulimit", "nofile=100:200"], "ulimit -n; ulimit -Hn"), "100\n200\n");
    assert_eq!(
        place.prints(&["--cap-drop", "ALL", "--cap-add", "chown"], "grep CapEff /proc/self/status"),
        "CapEff:\t0000000000000001\n"
    );
    let privileges = "grep -c 'NoNewPrivs:.1' /proc/self/status; grep -c 'Seccomp:.0' /proc/self/status";
    assert_eq!(
        place.prints(
            &["--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined"],
            privileges
        ),
        "1\n1\n"
    );
    assert_eq!(place.prints(&["--shm-size", "1m"], "df -k /dev/shm | tail -1 | grep -c 1024"), "1\n");
    assert_eq!(place.prints(&["--device", "/dev/fuse:/dev/other:r"], "ls -l /dev/other | cut -c1"), "c\n");
    assert_eq!(
        place.prints(&["--sysctl", "net.ipv4.ip_default_ttl=7"], "cat /proc/sys/net/ipv4/ip_default_ttl"),
        "7\n"
    );
    assert_eq!(place.prints(&["--entrypoint", "echo"], "script"), "-c script\n".replace("-c", "sh -c"));
    assert_eq!(place.prints(&["--init"], "grep -c orlop-init /proc/1/cmdline"), "1\n");
}

#[test]
fn limits_are_in_force() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    let place = Place::new();
    let out = place.run(
        &["-d", "--name", "ot-limits", "-m", "64m", "--pids-limit", "33", "--cpus", "0.5"],
        &["sleep", "1000"],
    );
    assert_eq!(out.ok().stdout, "ot-limits\n");
    let events = place.orlop(&["events", "--stats", "ot-limits"]).ok();
    let stats: Value = serde_json::from_str(&events.stdout).expect("JSON");
    assert_eq!(stats["data"]["memory"]["usage"]["limit"], 64 << 20, "{stats}");
    assert_eq!(stats["data"]["pids"]["limit"], 33, "{stats}");
    place.orlop(&["delete", "--force", "ot-limits"]).ok();
    place.is_clean("ot-limits");
}

#[test]
fn a_container_in_the_background_keeps_its_output_and_status() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    let place = Place::new();
    place.run(&["-d", "--name", "ot-background"], &["sh", "-c", "echo said; exit 5"]).ok();
    assert_eq!(place.orlop(&["wait", "ot-background"]).ok().stdout, "5\n");
    assert_eq!(place.orlop(&["logs", "ot-background"]).ok().stdout, "said\n");
    assert_eq!(place.homes(), ["ot-background"]);
    // One that is to be deleted when it has ended leaves nothing.
    let fifo = place.path("here");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).expect("a new fifo");
    let bind = format!("{}:/fifo", fifo.display());
    place.run(&["-d", "--rm", "--name", "ot-gone", "-v", &bind], &["sh", "-c", "read x </fifo"]).ok();
    let supervisor = place.supervisor("ot-gone");
    fs::write(&fifo, "end\n").expect("it is read");
    assert!(supervisor.wait(patience()), "the supervisor does not end");
    assert_eq!(place.homes(), ["ot-background"]);
    assert_eq!(ledger::leaks("ot-gone", &place.path("state")), Vec::<String>::new());
    // Neither its directory nor its image goes while it is there.
    place.orlop(&["image", "gc"]).ok();
    place.orlop(&["start", "ot-background"]).ok();
    assert_eq!(place.orlop(&["wait", "ot-background"]).ok().stdout, "5\n");
    place.run(&["--name", "ot-background"], &[]).fails_with("there is a container ot-background already");
    place.orlop(&["delete", "ot-background"]).ok();
    place.is_clean("ot-background");
}

#[test]
fn volumes_outlive_containers_and_are_not_removed_from_under_them() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    let place = Place::new();
    let here = place.path("here");
    let bind = format!("{}:/here", here.display());
    place.prints(
        &["-v", "data:/data", "-v", &bind, "-v", "/own"],
        "echo kept >/data/file; echo out >/here/file; touch /own/a",
    );
    assert_eq!(fs::read_to_string(here.join("file")).expect("it is there"), "out\n");
    assert_eq!(
        place.prints(
            &["--mount", "source=data,target=/d,readonly"],
            "cat /d/file; touch /d/x 2>/dev/null || echo ro"
        ),
        "kept\nro\n"
    );
    place.run(&["-d", "--name", "ot-volume", "-v", "data:/data"], &["sleep", "1000"]).ok();
    place.orlop(&["volume", "rm", "data"]).output().fails_with("in use by ot-volume");
    assert_eq!(place.orlop(&["volume", "prune"]).ok().stdout, "");
    place.orlop(&["delete", "--force", "ot-volume"]).ok();
    assert_eq!(place.orlop(&["volume", "ls", "-q"]).ok().stdout, "data\n");
    place.orlop(&["volume", "rm", "data"]).ok();
    assert!(!place.path("store/volumes/data").exists());
    place.is_clean("ot-volume");
}

#[test]
fn without_root_an_image_runs_too_and_leaves_nothing() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    let place = Place::new();
    let user = Unprivileged::new(place.home.path());
    for directory in ["data", "run"] {
        fs::create_dir(place.path(directory)).expect("a new directory");
        chown(place.path(directory), Some(USER), Some(USER)).expect("root may");
    }
    fs::set_permissions(place.home.path(), fs::Permissions::from_mode(0o755)).expect("our own directory");
    let out = Invocation::new(runtime::binary(), &place.path("io"))
        .arg("--root")
        .arg(place.path("run"))
        .args(["run", "--rm", &place.image, "sh", "-c", "id -u; echo >/new; ls /new; rm /etc/group"])
        .env("XDG_DATA_HOME", place.path("data"))
        .within(&user.wrapper())
        .ok();
    assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("0\n/new\n", ""), "{out}");
    assert_eq!(fs::read_dir(place.path("data/orlop/containers")).expect("it is there").count(), 0);
}

#[test]
fn files_are_copied_into_a_container_and_out_of_it() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    let place = Place::new();
    let here = place.path("here");
    fs::create_dir_all(here.join("dir")).expect("a new directory");
    fs::write(here.join("dir/file"), "in\n").expect("a new file");
    chown(here.join("dir/file"), Some(7), Some(7)).expect("root may");
    place.run(&["-d", "--name", "ot-copy"], &["sleep", "1000"]).ok();
    let inside = |script: &str| place.orlop(&["exec", "ot-copy", "sh", "-c", script]).ok().stdout;
    let (dir, out) = (here.join("dir").display().to_string(), here.join("out").display().to_string());
    place.orlop(&["cp", &dir, "ot-copy:/srv"]).ok();
    assert_eq!(inside("cat /srv/dir/file; stat -c %u:%g /srv/dir/file"), "in\n0:0\n");
    place.orlop(&["cp", "-a", &format!("{dir}/."), "ot-copy:/srv"]).ok();
    assert_eq!(inside("stat -c %u:%g /srv/file"), "7:7\n");
    // What the container has made of its paths leads nowhere else.
    inside("ln -s / /srv/root; ln -s /etc/passwd /srv/link; echo mine >/etc/mine");
    place.orlop(&["cp", "ot-copy:/srv/root/etc/mine", &out]).ok();
    assert_eq!(fs::read_to_string(&out).expect("it is there"), "mine\n");
    let link = here.join("link");
    place.orlop(&["cp", "ot-copy:/srv/link", &link.display().to_string()]).ok();
    assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink());
    place.orlop(&["cp", &out, "ot-copy:/srv/link"]).ok();
    assert_eq!(inside("cat /srv/link; grep -c root /etc/passwd"), "mine\n1\n");
    place.orlop(&["cp", &out, &dir]).output().fails_with("one of the two is in a container");
    place.orlop(&["cp", "ot-copy:/missing", &dir]).output().fails_with("/missing");
    place.orlop(&["delete", "--force", "ot-copy"]).ok();
    place.orlop(&["cp", "ot-copy:/etc/mine", &dir]).output().fails_with("ot-copy");
    place.is_clean("ot-copy");
}

#[test]
fn what_a_container_has_changed_can_be_listed() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    let place = Place::new();
    let script = "mkdir -p /new/dir; echo >/new/dir/file; rm /etc/group; echo >>/etc/passwd; touch /srv; cat /etc/hosts >/dev/null";
    place.run(&["--name", "ot-diff"], &["sh", "-c", script]).ok();
    let out = place.orlop(&["diff", "ot-diff"]).ok();
    let changes: Vec<&str> = out.lines().into_iter().filter(|line| !line.starts_with("A /dev")).collect();
    for change in ["C /etc", "D /etc/group", "C /etc/passwd", "A /new", "A /new/dir", "A /new/dir/file"] {
        assert!(changes.contains(&change), "{change}: {out}");
    }
    assert!(!out.stdout.contains("bin"), "{out}");
    place.orlop(&["delete", "ot-diff"]).ok();
    place.is_clean("ot-diff");
}

#[test]
fn a_container_becomes_an_image_and_others_are_made_of_that() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    let place = Place::new();
    place.run(&["-d", "--name", "ot-commit"], &["sleep", "1000"]).ok();
    let script =
        "rm /etc/passwd /etc/group && echo new >/etc/motd && ln -s motd /etc/link && chown 33:34 /etc/motd";
    place.orlop(&["exec", "ot-commit", "sh", "-c", script]).ok();
    place.orlop(&["commit", "-m", "for a test", "ot-commit", "made:1"]).ok();
    assert!(place.orlop(&["state", "ot-commit"]).ok().stdout.contains("\"running\""));
    let out = place
        .orlop(&["run", "--rm", "made:1", "sh", "-c", "cat /etc/link; stat -c %u:%g /etc/motd; ls /etc"])
        .ok();
    // The files about names are mounted there.
    let names: Vec<&str> = out.lines().into_iter().filter(|name| !name.starts_with("host")).collect();
    assert_eq!(names, ["new", "33:34", "link", "motd", "resolv.conf"], "{out}");
    assert_eq!(place.orlop(&["run", "--rm", "made:1"]).ok().stdout, "hello\n");
    let history = place.orlop(&["image", "history", "made:1"]).ok();
    assert!(history.stdout.contains("commit ot-commit"), "{history}");
    // An image of an image, whose first name is gone meanwhile.
    place.orlop(&["run", "--name", "ot-again", "made:1", "sh", "-c", "echo >/more"]).ok();
    place.orlop(&["image", "rm", "made:1"]).ok();
    place.orlop(&["image", "gc"]).ok();
    place.orlop(&["commit", "ot-again", "made:2"]).ok();
    assert_eq!(
        place.orlop(&["run", "--rm", "made:2", "ls", "/more", "/etc/motd"]).ok().stdout,
        "/etc/motd\n/more\n"
    );
    for id in ["ot-again", "ot-commit"] {
        place.orlop(&["delete", "--force", id]).ok();
        place.is_clean_of(id);
    }
    place.orlop(&["commit", "ot-commit", "made:3"]).output().fails_with("ot-commit");
}

#[test]
fn containers_share_a_network_if_they_are_asked_to() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    let place = Place::new();
    place.run(&["-d", "--name", "ot-net"], &["sleep", "1000"]).ok();
    let inside = |options: &[&str]| place.prints(options, "readlink /proc/self/ns/net");
    let own = place.orlop(&["exec", "ot-net", "readlink", "/proc/self/ns/net"]).ok().stdout;
    assert_eq!(inside(&["--network", "container:ot-net"]), own);
    let host = fs::read_link("/proc/self/ns/net").expect("procfs is there");
    assert_eq!(inside(&["--network", "host"]).trim(), host.to_string_lossy());
    assert_eq!(inside(&["--network", "ns:/proc/self/ns/net"]).trim(), host.to_string_lossy());
    assert_ne!(inside(&[]).trim(), host.to_string_lossy());
    place.orlop(&["delete", "--force", "ot-net"]).ok();
    place.is_clean("ot-net");
}

#[test]
fn ports_lead_to_a_container_and_their_rules_go_with_it() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    need!(PathBuf::from("/usr/lib/cni/portmap").exists(), "containernetworking-plugins is not installed");
    need!(runtime::in_path("iptables".as_ref()).is_some(), "iptables is not installed");
    let place = Place::new();
    let network = json!({"cniVersion": "1.0.0", "name": "ot", "plugins": [
        {"type": "bridge", "bridge": "ot0", "isGateway": true, "ipam": {"type": "host-local",
            "dataDir": place.path("ipam"), "ranges": [[{"subnet": "10.93.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
        {"type": "portmap", "capabilities": {"portMappings": true}, "snat": true}]});
    fs::write(place.path("net.d/ot.conflist"), network.to_string()).expect("a new file");
    // In a network of the test's own, nobody else has bridges or ports.
    let script = r#"set -e
        ip link set lo up
        "$0" --root "$1" run -d --name ot-ports --network cni:ot -p 8080:80 "$2" sh -c \
            'mkdir -p /w && echo served >/w/index.html && exec busybox httpd -f -p 80 -h /w' >&2
        for try in $(seq 200); do curl -s http://127.0.0.1:8080/ && break; done
        iptables -t nat -S | grep -c 'dport 8080'
        "$0" --root "$1" delete --force ot-ports
        iptables -t nat -S | grep -c 'dport 8080' || true
        ls "$3""#;
    let out = Invocation::new("unshare", &place.path("io"))
        .args(["--net", "--mount", "sh", "-c", script])
        .arg(runtime::binary())
        .arg(place.path("state"))
        .arg(&place.image)
        .arg(place.path("ipam/ot"))
        .env("ORLOP_STORE", place.path("store"))
        .env("NETCONFPATH", place.path("net.d"))
        .ok();
    let lines = out.lines();
    assert_eq!(lines[0], "served", "{out}");
    assert_ne!(lines[1], "0", "{out}");
    assert_eq!(lines[2], "0", "{out}");
    // The address is free again.
    assert!(!out.stdout.contains("10.93.0.2"), "{out}");
    place.is_clean("ot-ports");
}

#[test]
fn what_cannot_be_is_refused_and_leaves_nothing() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    let place = Place::new();
    for (options, why) in [
        (&["--network", "bridge"][..], "there are none, host"),
        (&["-p", "80:80"], "--publish needs --network cni:NAME"),
        (&["--network", "cni:none"], "no network \"none\""),
        (&["--network", "container:ot-none"], "ot-none"),
        (&["--cap-add", "FLY"], "is no capability"),
        (&["--security-opt", "seccomp=/missing"], "/missing"),
        (&["--device", "/etc/passwd"], "is not a device"),
        (&["-v", "/a:b"], "is not an absolute path"),
        (&["--memory-swap", "1m"], "--memory-swap is memory and swap together"),
        (&["--restart", "always"], "need --detach"),
        (&["-d", "--rm", "--restart", "always"], "a container that is deleted is not run again"),
        (&["-d", "-i"], "--interactive and --detach"),
        (&["--name", "a/b"], "a/b"),
        (&["--sysctl", "kernel.panic=1"], "kernel.panic"),
        (&["--nonsense"], "unexpected argument '--nonsense'"),
    ] {
        let out = place.run(options, &["true"]);
        assert!(out.code != 0 && out.stderr.contains(why), "{options:?} should say {why}: {out}");
        assert_eq!(place.homes(), Vec::<String>::new(), "{options:?}");
    }
    place.orlop(&["run", "--rm", "no:such"]).output().fails_with("no:such");
    let out = place.run(&["--rm"], &["no-such-program"]);
    assert!(out.code != 0 && out.stderr.contains("no-such-program"), "{out}");
    place.keeps_nothing();
}

#[test]
fn what_is_dangerous_is_refused_if_that_is_asked_for() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    let place = Place::new();
    for background in [&[][..], &["-d"]] {
        let dangerous = [background, &["--strict=critical", "-v", "/:/host", "--name", "ot-strict"]].concat();
        let out = place.run(&dangerous, &[]).fails_with("refused by --strict: [critical] host-root-mounted");
        assert!(out.code == 1 && out.stdout.is_empty(), "{out}");
        place.is_clean("ot-strict");
        place.run(&[&dangerous[..], &["--accept=host-rot"]].concat(), &[]).fails_with("no such rule");
        place.is_clean("ot-strict");
    }
    let accepted = ["--rm", "--strict=critical", "--accept=host-root-mounted", "-v", "/:/host"];
    assert_eq!(place.run(&accepted, &[]).ok().stdout, "hello\n");
}
