//! `exec`: another process in a running container.
use std::fs;

use orlop_tests::cgroup::{self, Version};
use orlop_tests::events::when_file;
use orlop_tests::{Container, need};
use serde_json::json;

/// A running container.
fn running() -> Container {
    let container = Container::lasting();
    container.up();
    container
}

#[test]
fn exec_gives_output_and_exit_code() {
    let container = running();
    let out = container.exec(&["sh", "-c", "echo out; echo err >&2; exit 42"]);
    assert_eq!((out.code, out.stdout.as_str(), out.stderr.as_str()), (42, "out\n", "err\n"));
}

#[test]
fn exec_gives_128_plus_n_for_a_signal() {
    let out = running().exec(&["sh", "-c", "kill -KILL $$"]);
    assert_eq!(out.code, 128 + 9, "{out}");
}

#[test]
fn exec_passes_standard_input() {
    let container = running();
    let out = container.exec_command(&[], &["cat"]).input(b"in and out\n").output();
    assert_eq!(out.ok().stdout, "in and out\n");
}

#[test]
fn exec_is_in_all_namespaces_and_the_root_of_the_container() {
    let container = running();
    let script = "for n in pid net ipc uts mnt; do readlink /proc/self/ns/$n; done; hostname; ls /";
    let out = container.exec(&["sh", "-c", script]).ok();
    let lines = out.lines();
    for (line, name) in lines.iter().zip(["pid", "net", "ipc", "uts", "mnt"]) {
        let link = fs::read_link(format!("/proc/{}/ns/{name}", container.pid())).expect("it runs");
        assert_eq!(*line, link.to_string_lossy());
    }
    assert_eq!(lines[5], "box");
}

#[test]
fn exec_is_in_the_cgroups_of_the_container() {
    let container = running();
    let expected = fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).expect("it runs");
    let out = container.exec(&["cat", "/proc/self/cgroup"]).ok();
    assert_eq!(out.stdout, expected);
}

#[test]
fn exec_takes_environment_and_working_directory() {
    let container = running();
    let flags = ["--env", "A=1", "--env", "B=two words", "--cwd", "/home/user"];
    let out = container.exec_command(&flags, &["sh", "-c", "echo \"$A|$B|$TERM\"; pwd"]).output();
    assert_eq!(out.ok().stdout, "1|two words|xterm\n/home/user\n", "the container's own environment stays");
}

#[test]
fn exec_takes_a_user_and_groups() {
    let container = running();
    let flags = ["--user", "1000:1001", "--additional-gids", "5", "--additional-gids", "2000"];
    let out = container.exec_command(&flags, &["id"]).ok();
    assert!(out.stdout.starts_with("uid=1000(user) gid=1001"), "{out}");
    assert!(out.stdout.contains("groups=1001,5,2000(extra)") || out.stdout.contains("5,2000"), "{out}");
}

#[test]
fn exec_has_the_containers_capabilities_and_those_added() {
    let container = running();
    let mask = |flags: &[&str]| {
        let out = container.exec_command(flags, &["grep", "CapEff", "/proc/self/status"]).ok();
        let text = out.stdout.split_whitespace().last().expect("a mask").to_owned();
        u64::from_str_radix(&text, 16).expect("a hexadecimal mask")
    };
    let (audit_write, kill, net_bind, net_raw) = (1 << 29, 1 << 5, 1 << 10, 1 << 13);
    assert_eq!(mask(&[]), audit_write | kill | net_bind);
    assert_eq!(mask(&["--cap", "CAP_NET_RAW"]), audit_write | kill | net_bind | net_raw);
}

#[test]
fn exec_has_no_new_privileges_as_configured_or_demanded() {
    let mut container = Container::lasting();
    container.set("/process/noNewPrivileges", false);
    container.up();
    let args = ["grep", "NoNewPrivs", "/proc/self/status"];
    assert!(container.exec(&args).ok().stdout.ends_with("0\n"));
    assert!(container.exec_command(&["--no-new-privs"], &args).ok().stdout.ends_with("1\n"));
}

#[test]
fn exec_takes_a_process_file() {
    let container = running();
    let file = container.home().join("process.json");
    let process = json!({
        "terminal": false, "args": ["sh", "-c", "pwd; echo $X; id -u"], "cwd": "/home", "env": ["PATH=/bin", "X=y"],
        "user": {"uid": 1000, "gid": 1000}
    });
    fs::write(&file, process.to_string()).expect("a new file");
    let out = container.command("exec", &["--process", &file.to_string_lossy()]).output();
    assert_eq!(out.ok().stdout, "/home\ny\n1000\n");
}

#[test]
fn exec_detached_writes_the_pid_file_and_returns() {
    let container = running();
    let process = container.exec_detached(&[], &["sleep", "1000"]);
    let cmdline = fs::read_to_string(format!("/proc/{}/cmdline", process.pid())).expect("it runs");
    assert_eq!(cmdline, "sleep\x001000\0");
    process.signal(rustix::process::Signal::TERM).expect("it runs");
    assert_eq!(process.reap(), Some(128 + 15), "the caller's side can collect it");
}

#[test]
fn exec_of_a_program_that_does_not_exist_gives_its_own_exit_code() {
    let container = running();
    let out = container.exec(&["/no/such/program"]);
    assert_eq!(out.code, 255, "{out}");
    assert!(out.stderr.contains("/no/such/program"), "{out}");
}

#[test]
fn exec_in_a_container_that_is_not_running_is_refused() {
    let container = Container::sh("exit 0");
    container.up();
    container.wait();
    let out = container.exec(&["true"]);
    assert_ne!(out.code, 0, "{out}");
    assert!(out.stderr.contains("not running") || out.stderr.contains("stopped"), "{out}");
}

#[test]
fn exec_in_a_created_container_works() {
    let container = Container::lasting();
    container.create();
    assert_eq!(container.exec(&["echo", "early"]).ok().stdout, "early\n");
}

#[test]
fn exec_in_a_paused_container_is_refused() {
    let container = running();
    container.command::<&str>("pause", &[]).ok();
    let out = container.exec(&["true"]);
    assert_ne!(out.code, 0, "{out}");
    assert!(out.stderr.contains("paused"), "{out}");
    container.command::<&str>("resume", &[]).ok();
    container.exec(&["true"]).ok();
}

#[test]
fn exec_passes_descriptors_from_3_on() {
    let container = running();
    let file = container.home().join("three");
    fs::write(&file, "third\n").expect("a new file");
    let script = format!("exec 3<{}; exec \"$@\"", file.display());
    let command = container.exec_command(&["--preserve-fds", "1"], &["sh", "-c", "cat <&3"]);
    assert_eq!(command.within(&["sh", "-c", &script, "sh"]).ok().stdout, "third\n");
}

#[test]
fn a_process_of_exec_ends_with_the_container() {
    let container = running();
    let process = container.exec_detached(&[], &["sleep", "1000"]);
    container.kill("KILL");
    assert_eq!(process.reap(), Some(128 + 9), "the pid namespace takes it along");
    container.wait();
    container.delete();
}

#[test]
fn many_execs_at_once_all_work() {
    let container = running();
    let commands: Vec<_> = (0..12)
        .map(|n| container.exec_command(&[], &["sh", "-c", &format!("echo {n}; exit {n}")]).spawn())
        .collect();
    for (n, command) in commands.into_iter().enumerate() {
        let out = command.wait();
        assert_eq!((out.code, out.stdout.trim()), (n as i32, n.to_string().as_str()), "{out}");
    }
}

#[test]
fn exec_applies_the_containers_rlimits_and_umask() {
    let mut container = Container::lasting();
    container.set("/process/user/umask", 0o027);
    container.up();
    let out = container.exec(&["sh", "-c", "ulimit -n"]).ok();
    assert_eq!(out.stdout, "1024\n");
    let umask = container.exec(&["sh", "-c", "umask"]).ok();
    need!(
        umask.stdout == "0027\n" || orlop_tests::runtime::is_orlop(),
        "this runtime's exec forgets the umask"
    );
    assert_eq!(umask.stdout, "0027\n");
}

/// The numbers of the session keyrings in a listing of keys.
fn session_keyrings(keys: &str) -> Vec<String> {
    let keyrings = keys.lines().filter(|line| line.contains(" keyring ") && line.contains(" _ses"));
    keyrings.map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_callers_session_keyring_stays_the_callers() {
    // As another user than the keyrings' owner one sees only what one possesses.
    let as_another = |container: &mut Container| {
        container
            .set("/linux/maskedPaths", json!([]))
            .set("/process/user", json!({"uid": 1000, "gid": 1000}));
    };
    let mut callers = Container::new(&["cat", "/proc/keys"]);
    as_another(&mut callers);
    let callers = session_keyrings(&callers.with_bundle("run", &["--no-new-keyring"]).ok().stdout);
    let mut own = Container::new(&["cat", "/proc/keys"]);
    as_another(&mut own);
    let mut lasting = Container::lasting();
    as_another(&mut lasting);
    lasting.up();
    for out in [own.run(), lasting.exec(&["cat", "/proc/keys"])] {
        let keyrings = session_keyrings(&out.stdout);
        assert_eq!(keyrings.len(), 1, "{out}");
        assert!(!callers.contains(&keyrings[0]), "the caller's are {callers:?}: {out}");
    }
}

#[test]
fn exec_goes_to_a_cgroup_below_the_containers() {
    let container = running();
    let own = cgroup::unified_directory(container.pid()).expect("a container has a cgroup on version 2");
    fs::create_dir(own.join("sub")).expect("a cgroup below");
    let place = |flags: &[&str]| {
        let out = container.exec_command(flags, &["cat", "/proc/self/cgroup"]).ok();
        out.lines().iter().find_map(|line| line.strip_prefix("0::")).expect("version 2").to_owned()
    };
    assert!(place(&["--cgroup", "sub"]).ends_with("/sub"));
    for own in [&[][..], &["--cgroup", "/"], &["--cgroup", ""]] {
        assert!(!place(own).ends_with("/sub"), "{own:?}");
    }
    for (flags, words) in [
        (&["--cgroup", ".."][..], "bad sub cgroup path"),
        (&["--cgroup", "sub/../../x"], "bad sub cgroup path"),
        (&["--cgroup", "missing"], "No such file or directory"),
        (&["--cgroup", "whaaat:/"], "unknown controller whaaat"),
        (&["--cgroup", "sub", "--cgroup", "sub"], "missing <controller>: prefix"),
    ] {
        let out = container.exec_command(flags, &["true"]).output().fails_with(words);
        assert_eq!(out.code, 255, "{out}");
    }
}

#[test]
fn exec_goes_to_a_cgroup_of_one_controller() {
    let found = cgroup::controller("pids");
    need!(found.is_some(), "no cgroup hierarchy here has the pids controller");
    let mut container = Container::lasting();
    container.set("/linux/resources/pids/limit", 50);
    container.up();
    let (version, own) = cgroup::directory(container.pid(), "pids");
    fs::create_dir(own.join("sub")).expect("a cgroup below");
    let out = container.exec_command(&["--cgroup", "pids:sub"], &["cat", "/proc/self/cgroup"]).ok();
    let start = if version == Version::V1 { ":pids:" } else { "0::" };
    let line = out.lines().into_iter().find(|line| line.contains(start)).expect("the hierarchy");
    assert!(line.ends_with("/sub"), "{out}");
    container.exec_command(&["--cgroup", "pids:missing"], &["true"]).output().fails_with("adding pid");
}

#[test]
fn exec_follows_a_container_that_has_left_its_cgroup() {
    // One process, which starts no other while it is moved.
    let container = Container::new(&["sleep", "1000"]);
    container.up();
    let own = cgroup::unified_directory(container.pid()).expect("a container has a cgroup on version 2");
    let other = own.with_file_name(format!("{}-other", container.id));
    fs::create_dir(&other).expect("a cgroup beside");
    for pid in fs::read_to_string(own.join("cgroup.procs")).expect("it is there").lines() {
        fs::write(other.join("cgroup.procs"), pid).expect("the process moves");
    }
    fs::remove_dir(&own).expect("nobody is left in it");
    let exec = container.exec_detached(&[], &["sleep", "1000"]);
    assert_eq!(cgroup::unified_directory(exec.pid()), Some(other.clone()));
    fs::write(other.join("cgroup.kill"), "1").expect("all are killed");
    for exec in container.take_detached() {
        exec.reap();
    }
    container.wait();
    when_file(&other.join("cgroup.events"), |text| text.contains("populated 0"));
    fs::remove_dir(&other).expect("nobody is left in it");
}

#[test]
fn exec_in_a_paused_container_waits_if_asked() {
    let container = running();
    container.command::<&str>("pause", &[]).ok();
    let waiting = container.exec_command(&["--ignore-paused"], &["echo", "thawed"]).spawn();
    container.command::<&str>("resume", &[]).ok();
    assert_eq!(waiting.wait().ok().stdout, "thawed\n");
}

#[test]
fn what_fails_before_the_program_is_255() {
    let container = running();
    for flags in [
        &["--pid-file", "/no/such/directory/pid"][..],
        &["--user", "root"],
        &["--cwd", "relative"],
        &["--process", "/no/such/file"],
        &["--console-socket", "/no/such/socket", "--tty"],
        &["--preserve-fds", "1000"],
        &["--no-such-flag"],
    ] {
        let args: &[&str] = if flags[0] == "--process" { &[] } else { &["true"] };
        let out = container.exec_command(flags, args).output();
        assert_eq!(out.code, 255, "{out}");
    }
}
