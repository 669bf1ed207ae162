//! What people and programs know from runc and rely on. Each was found missing by runc's own suite (`hack/conformance`).
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use orlop_tests::Container;
use orlop_tests::container::printed;
use orlop_tests::spec::{HOST_ID, add_user_namespace};
use orlop_tests::terminal::Terminal;
use serde_json::json;

/// A hook that fails, after one that does not.
fn with_failing_hook(kind: &str) -> Container {
    let mut container = Container::sh("echo ran; sleep 1000");
    for program in ["/bin/true", "/bin/false"] {
        container.push(&format!("/hooks/{kind}"), json!({"path": program}));
    }
    container
}

#[test]
fn a_failing_hook_is_named_by_kind_and_number() {
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer"] {
        let out = with_failing_hook(kind).run();
        assert_ne!(out.code, 0, "{kind}: {out}");
        assert!(out.stderr.contains(&format!("error running {kind} hook #1:")), "{kind}: {out}");
    }
}

#[test]
fn a_failing_poststart_hook_ends_the_container() {
    // runtime.md, "Lifecycle", 9: an error is generated, and the container stopped.
    let container = with_failing_hook("poststart");
    container.run().fails_with("error running poststart hook #1:");
    container.assert_no_leaks();
    container.create();
    container.command::<&str>("start", &[]).output().fails_with("error running poststart hook #1:");
    assert_eq!(container.wait(), 128 + 9);
    assert_eq!(container.status(), "stopped");
}

#[test]
fn a_start_hook_without_environment_has_that_of_the_process_and_its_home() {
    let mut container = Container::sh("true");
    let script = "#!/bin/sh -ue\n[ $ONE = two ] && echo $HOME\nexit 7\n";
    let hook = container.bundle.rootfs().join("hook");
    fs::write(&hook, script).expect("a new file");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("our own file");
    container.push("/process/env", "ONE=two").push("/hooks/startContainer", json!({"path": "/hook"}));
    let out = container.run();
    assert!(out.stderr.contains("exit status 7: /"), "{out}");
}

#[test]
fn a_start_hook_is_under_the_filter_of_the_container() {
    let mut container = Container::sh("echo ran");
    container
        .set("/process/rlimits", json!([{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]))
        .set(
            "/linux/seccomp",
            json!({
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL"}],
            }),
        )
        .push("/hooks/startContainer", json!({"path": "/bin/sh", "args": ["sh", "-c", "mkdir /dev/shm/a"]}));
    let out = container.run();
    assert!(out.code != 0 && !out.stdout.contains("ran"), "{out}");
    assert!(out.stderr.contains("bad system call"), "{out}");
}

#[test]
fn a_script_without_its_interpreter_is_told_in_one_line() {
    let mut container = Container::sh("");
    let script = container.bundle.rootfs().join("script");
    fs::write(&script, "#!/no/such\n").expect("a new file");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("our own file");
    container.set("/process/args", json!(["/script"]));
    let out = container.run();
    assert_eq!((out.code, out.stderr.as_str()), (1, "exec /script: no such file or directory\n"), "{out}");
}

#[test]
fn a_created_container_holds_nothing_but_sockets() {
    let container = Container::sh("true");
    let leaked = fs::File::open("/proc/version").expect("it is there");
    // The tests' commands pass on nothing by themselves: this one is handed over on purpose.
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).expect("our own descriptor");
    container.create();
    drop(leaked);
    let descriptors = fs::read_dir(format!("/proc/{}/fd", container.pid())).expect("the process is there");
    for entry in descriptors.map(|entry| entry.expect("it can be listed")) {
        if entry.file_name().to_string_lossy().parse::<i32>().is_ok_and(|number| number > 2) {
            let file = fs::read_link(entry.path()).unwrap_or_default();
            assert!(
                file.to_string_lossy().starts_with("socket:"),
                "{:?}: {}",
                entry.file_name(),
                file.display()
            );
        }
    }
}

#[test]
fn a_tmpfs_says_the_permissions_that_it_took_over() {
    let mut container = Container::sh("grep ' /dir ' /proc/self/mounts; stat -c %a /dir");
    let directory = container.bundle.rootfs().join("dir");
    fs::create_dir(&directory).expect("a new directory");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o710)).expect("our own directory");
    container.push("/mounts", json!({"destination": "/dir", "type": "tmpfs", "source": "tmpfs"}));
    let out = container.run().ok();
    assert!(out.stdout.contains("mode=710") && out.stdout.ends_with("710\n"), "{out}");
}

#[test]
fn a_mount_follows_links_to_what_is_missing() {
    for (link, target) in [("/made/deep/file", "/made/deep/file"), ("../jump/file", "/far/away/file")] {
        let mut container = Container::sh(&format!("grep -c ' {target} ' /proc/self/mounts; cat {target}"));
        let rootfs = container.bundle.rootfs();
        fs::create_dir_all(rootfs.join("etc")).expect("our own directory");
        symlink(link, rootfs.join("etc/place")).expect("it is new");
        symlink("/far/away", rootfs.join("jump")).expect("it is new");
        let source = container.home().join("source");
        fs::write(&source, "words\n").expect("a new file");
        let mount =
            json!({"destination": "/etc/place", "source": source.to_string_lossy(), "options": ["bind"]});
        container.push("/mounts", mount);
        assert_eq!(container.run().ok().stdout, "1\nwords\n", "{link}");
    }
}

#[test]
fn a_mount_does_not_follow_links_in_a_circle() {
    let mut container = Container::sh("true");
    let rootfs = container.bundle.rootfs();
    symlink("/b/x", rootfs.join("a")).expect("it is new");
    symlink("/a/x", rootfs.join("b")).expect("it is new");
    container.push("/mounts", json!({"destination": "/a", "type": "tmpfs", "source": "tmpfs"}));
    assert_ne!(container.run().code, 0);
    container.assert_no_leaks();
}

#[test]
fn a_bind_mount_can_show_what_was_mounted_in_the_container_before() {
    for user_namespace in [false, true] {
        let mut container = Container::sh("cat /copy/below/file");
        if user_namespace {
            add_user_namespace(&mut container.bundle.config, &[(0, HOST_ID, 65536)]);
        }
        let source = container.home().join("source");
        fs::create_dir(&source).expect("a new directory");
        fs::write(source.join("file"), "words\n").expect("a new file");
        // In another user namespace nothing can be made in a root that is the host's.
        for directory in ["first/below", "copy"] {
            fs::create_dir_all(container.bundle.rootfs().join(directory)).expect("our own directory");
        }
        // Destinations may be given as the host's paths, too.
        let root = container.bundle.rootfs().to_string_lossy().into_owned();
        for (from, to) in [
            (source.to_string_lossy().into_owned(), "/first/below".to_owned()),
            (format!("{root}/first"), format!("{root}/copy")),
        ] {
            container.push("/mounts", json!({"destination": to, "source": from, "options": ["rbind"]}));
        }
        assert_eq!(container.run().ok().stdout, "words\n", "user namespace: {user_namespace}");
    }
}

#[test]
fn procfs_on_a_link_is_refused_in_known_words() {
    let container = Container::sh("true");
    let proc = container.bundle.rootfs().join("proc");
    fs::remove_dir(&proc).ok();
    symlink("/elsewhere", &proc).expect("it is new");
    container.run().fails_with("must be mounted on ordinary directory");
}

#[test]
fn lines_of_a_terminal_end_plainly_in_a_file_though_somebody_sits_at_the_keyboard() {
    let mut container = Container::sh("echo words");
    container.set("/process/terminal", true);
    let (_terminal, other) = Terminal::open();
    let out = container.with_bundle::<&str>("run", &[]).within(&["setsid", "--ctty"]).stdin(other).output();
    assert_eq!(out.stdout, "words\n", "{out}");
}

#[test]
fn an_empty_home_hides_those_before_it() {
    let changes = [("/process/env", json!(["PATH=/bin", "HOME=/before", "HOME="]))];
    let home = printed("echo $HOME", &changes);
    assert_ne!(home.trim(), "/before");
    assert!(home.starts_with('/'), "{home}");
}

#[test]
fn added_capabilities_are_ambient_where_the_container_has_them_inheritable() {
    let mut container = Container::lasting();
    let set = json!(["CAP_CHOWN", "CAP_SYSLOG"]);
    container.set(
        "/process/capabilities",
        json!({
            "bounding": set, "inheritable": set,
            "effective": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"], "ambient": ["CAP_CHOWN"],
        }),
    );
    container.up();
    let ambient = |flags: &[&str]| {
        let out = container.exec_command(flags, &["grep", "CapAmb", "/proc/self/status"]).ok();
        out.stdout.trim_start_matches("CapAmb:").trim().to_owned()
    };
    assert_eq!(ambient(&[]), "0000000000000001");
    assert_eq!(ambient(&["--cap", "CAP_SYSLOG"]), "0000000400000001");
    assert_eq!(ambient(&["--cap", "CAP_KILL"]), "0000000000000001");
}

#[test]
fn an_ambient_capability_that_cannot_be_is_a_warning() {
    let mut container = Container::sh("grep CapAmb /proc/self/status");
    container
        .set("/process/capabilities/inheritable", json!(["CAP_KILL"]))
        .set("/process/capabilities/ambient", json!(["CAP_KILL", "CAP_AUDIT_WRITE"]));
    let out = container.run().ok();
    assert!(out.stdout.ends_with("0020\n"), "{out}");
    assert!(out.stderr.contains("can't raise ambient capability CAP_AUDIT_WRITE: "), "{out}");
}

#[test]
fn in_runcs_place_it_goes_by_that_name() {
    let container = Container::sh("true");
    let link = container.home().join("runc");
    symlink(orlop_tests::runtime::binary(), &link).expect("it is new");
    let out = orlop_tests::Invocation::new(&link, &container.io()).arg("--version").ok();
    assert!(out.stdout.starts_with("runc version ") && out.stdout.contains("(orlop)"), "{out}");
    let out = orlop_tests::Invocation::new(&link, &container.io()).args(["run", "--help"]).ok();
    assert!(out.stdout.starts_with("NAME:\n   runc run - "), "{out}");
    let container = Container::new(&["/no/such/program"]);
    let with_bundle = container.with_bundle::<&str>("run", &[]);
    // As a link of that name would be called.
    let out = with_bundle.within(&[
        "sh",
        "-c",
        "link=$1; shift 2; exec \"$link\" \"$@\"",
        "sh",
        &link.to_string_lossy(),
    ]);
    let words = "runc run failed: unable to start container process: error during container init: exec: ";
    out.output().fails_with(words);
}

/// A container whose `/mnt` is bound, with these options, from a file system that is mounted `ro,noexec`.
fn bound_from_restricted(options: &[&str], in_user_namespace: bool) -> orlop_tests::Output {
    let mut container = Container::sh("grep ' /mnt ' /proc/self/mounts");
    if in_user_namespace {
        add_user_namespace(&mut container.bundle.config, &[(0, HOST_ID, 65536)]);
    }
    let source = container.home().join("source");
    fs::create_dir(&source).expect("a new directory");
    let mount = json!({"destination": "/mnt", "source": source.to_string_lossy(), "options": options});
    container.push("/mounts", mount);
    let place = source.display();
    let mount = format!("mount -t tmpfs tmpfs {place} && mount -o remount,bind,ro,noexec {place}");
    let script = format!("{mount} && exec \"$@\"");
    let wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-c", &script, "sh"];
    container.with_bundle::<&str>("run", &[]).within(&wrapper).output()
}

/// As the kernel has it for mounts that come to a user namespace from outside: runc leaves it to the kernel.
#[test]
fn in_a_user_namespace_what_the_hosts_mount_forbids_stays_forbidden() {
    let out = bound_from_restricted(&["bind", "rw", "exec"], false).ok();
    assert!(out.stdout.contains(" rw,") && !out.stdout.contains("noexec"), "{out}");
    let out = bound_from_restricted(&["bind", "nosuid"], true).ok();
    assert!(out.stdout.contains(" ro,nosuid,noexec,"), "{out}");
    for (option, word) in
        [("rw", "read-only"), ("exec", "noexec"), ("rexec", "noexec"), ("strictatime", "relatime")]
    {
        let out = bound_from_restricted(&["bind", option], true);
        let out = out.fails_with(&format!("it is mounted {word}")).fails_with("operation not permitted");
        out.fails_with("/mounts/").fails_with("error mounting");
    }
}
